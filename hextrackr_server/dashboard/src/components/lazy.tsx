/** Components whose code is loaded when they are first shown. */

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

/** Return a component that loads the other one, and shows nothing until then. */
export function lazy<Props extends object>(load: () => Promise<ComponentType<Props>>): ComponentType<Props> {
  let loaded: ComponentType<Props> | null = null;
  return function Lazy(props: Props) {
    const [, render] = useState(loaded !== null);
    useEffect(() => {
      if (loaded !== null) return undefined;
      let isShown = true;
      load().then(
        (component) => {
          loaded = component;
          if (isShown) render(true);
        },
        () => {}, // offline: the next time that it is shown
      );
      return () => {
        isShown = false;
      };
    }, []);
    const Component = loaded;
    return Component === null ? null : <Component {...props} />;
  };
}
