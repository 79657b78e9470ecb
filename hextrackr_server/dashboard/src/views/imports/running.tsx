/** Running imports with their progress; also a part of the overview. */

import { useState } from "preact/hooks";
import { link } from "../../app/router";
import { user } from "../../app/session";
import { count, duration } from "../../components/format";
import { Problem } from "../../components/problem";
import { ProgressBar } from "../../components/progress_bar";
import { request, useImports } from "../../live";
import type { ImportStatus, Progress } from "../../types/hub";
import { phaseOf } from "./texts";
import "./style.css";

/** Phases whose message repeats the number of rows. */
const COUNTED: ReadonlySet<ImportStatus> = new Set(["staging", "processing"]);

export function Running({ whenNone = null }: { whenNone?: preact.ComponentChildren }) {
  const { running, query } = useImports();
  const imports = running.value;
  return (
    <>
      <Problem of={query.error.value} />
      {imports.length === 0 ? (
        whenNone
      ) : (
        <ul class="running" aria-label="Running imports">
          {imports.map((each) => (
            <li key={each.importId} class="card">
              <RunningImport of={each} />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

export function RunningImport({ of: each }: { of: Progress }) {
  const { importId, filename, status, overall, processed, total, rate, etaMs, message } = each;
  const name = filename || `Import ${importId}`;
  const isOthers = each.userId !== null && each.userId !== user.value?.userId;
  return (
    <>
      <div class="card-header">
        <h3 class="cut">
          <a href={link("imports", { id: String(importId) })}>{name}</a>
        </h3>
        <CancelButton importId={importId} name={name} />
      </div>
      <ProgressBar label={`Progress of ${name}`} value={status === "queued" ? null : overall} />
      <p class="facts">
        <strong>{each.interrupted ? "Waiting for its producer" : phaseOf(status)}</strong>
        {total !== null && total > 0 && (
          <span>
            {count(processed)} of {count(total)} rows
          </span>
        )}
        {rate > 0 && <span>{count(Math.round(rate))} rows/s</span>}
        {etaMs !== null && <span>{duration(etaMs)} left</span>}
        {isOthers && <span>started by {each.userId}</span>}
        {each.external && <span>run by a producer</span>}
        {!COUNTED.has(status) && <span class="cut">{message}</span>}
      </p>
    </>
  );
}

function CancelButton({ importId, name }: { importId: Progress["importId"]; name: string }) {
  const [state, setState] = useState<"idle" | "cancelling">("idle");
  const [error, setError] = useState<unknown>(null);
  const cancel = (): void => {
    setState("cancelling");
    setError(null);
    request("cancel-import", importId).catch((failure: unknown) => {
      setError(failure);
      setState("idle");
    });
  };
  return (
    <>
      <button
        type="button"
        class="button"
        disabled={state === "cancelling"}
        aria-label={`Cancel the import of ${name}`}
        onClick={cancel}
      >
        {state === "cancelling" ? "Canceling…" : "Cancel"}
      </button>
      <Problem of={error} />
    </>
  );
}
