/** Imports: choose and inspect a file, follow running imports, and read how imports ended. */

import { useEffect, useRef } from "preact/hooks";
import { route } from "../../app/router";
import { Details } from "./details";
import { draft } from "./draft";
import { DropZone } from "./drop_zone";
import { History } from "./history";
import { InspectionPanel } from "./inspection_panel";
import { Running } from "./running";
import "./style.css";

export default function Imports() {
  const id = route.value.parameters.get("id");
  const running = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // Without this, the browser would open a file that misses the place to drop it.
    const ignore = (event: DragEvent): void => event.preventDefault();
    addEventListener("dragover", ignore);
    addEventListener("drop", ignore);
    return () => {
      removeEventListener("dragover", ignore);
      removeEventListener("drop", ignore);
    };
  }, []);
  if (id !== null) return <Details key={id} id={id} />;
  const state = draft.value;
  return (
    <>
      <h1>Imports</h1>
      {state.phase === "inspected" ? (
        <InspectionPanel draft={state} onStarted={() => running.current?.focus()} />
      ) : (
        <DropZone />
      )}
      <section class="stack" aria-labelledby="running-title">
        <h2 id="running-title" tabIndex={-1} ref={running}>
          Running imports
        </h2>
        <Running whenNone={<p class="hint">No import is running.</p>} />
      </section>
      <History />
    </>
  );
}
