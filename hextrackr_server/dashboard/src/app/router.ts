/** The present view and its parameters, which are in the fragment of the address. */

import { signal } from "@preact/signals";
import { link, parse, type Location } from "./address";

export { link, parse } from "./address";

export const route = signal<Location>(parse(location.hash));

/** Change parameters of the present view, without a new entry of the history; "" removes one. */
export function setParameters(change: Record<string, string>): void {
  const { view, parameters } = route.peek();
  const next = new URLSearchParams(parameters);
  for (const [name, value] of Object.entries(change)) {
    if (value === "") next.delete(name);
    else next.set(name, value);
  }
  history.replaceState(null, "", link(view, next));
  route.value = { view, parameters: next };
}

/** Follow the address; `onChange` runs before it is read. */
export function watchAddress(onChange: () => void): void {
  addEventListener("hashchange", () => {
    onChange();
    route.value = parse(location.hash);
  });
}
