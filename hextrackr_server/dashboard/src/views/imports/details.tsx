/** One import: its progress while it runs, and how it ended. */

import { link } from "../../app/router";
import { user } from "../../app/session";
import { count, counted, duration, when } from "../../components/format";
import { Problem } from "../../components/problem";
import { request, useImports, useQuery } from "../../live";
import type { ImportResult, ImportState } from "../../types/hub";
import { Counter } from "./inspection_panel";
import { Problems } from "./problems";
import { RunningImport } from "./running";
import { outcomeOf, phaseOf, SCOPES } from "./texts";
import { UndoButton, useUndoable } from "./undo";

const EVENTS = ["import-finished", "import-completed", "import-failed", "import-cancelled", "import-undone"];

export function Details({ id }: { id: string }) {
  const query = useQuery(
    () => request<{ data: ImportState }>("get-data", { resource: "import", id }),
    { events: EVENTS, interval: 300 },
    [id],
  );
  const state = query.data.value?.data;
  const job = state?.job ?? null;
  const progress = useImports().all.value.find((each) => String(each.importId) === id);
  const filename = job?.filename ?? progress?.filename ?? "";
  return (
    <>
      <nav aria-label="Imports">
        <a href={link("imports")}>All imports</a>
      </nav>
      <h1 class="cut">
        {filename ? `Import ${id}: ${filename}` : `Import ${id}`}{" "}
        {job !== null && <span class={`badge badge-${outcomeOf(job).kind}`}>{outcomeOf(job).title}</span>}
      </h1>
      <Problem of={query.error.value} />
      {state !== undefined && (
        <>
          {progress !== undefined && !["completed", "failed", "cancelled"].includes(state.status) ? (
            <section class="card" aria-label="Progress">
              <RunningImport of={progress} />
            </section>
          ) : (
            <Ending state={state} />
          )}
          <Facts state={state} />
          {state.result?.summary !== undefined && <Summary result={state.result} />}
        </>
      )}
    </>
  );
}

function Ending({ state }: { state: ImportState }) {
  const { job, status, message, result } = state;
  if (status === "completed") {
    if (!job?.undone_at) return null;
    return <p class="note">An administrator undid this import: {when(job.undone_at)}.</p>;
  }
  const isInterrupted = result?.code === "INTERRUPTED";
  const title = isInterrupted ? "Interrupted." : `${phaseOf(status)}.`;
  const fields = result?.fields ?? [];
  return (
    <div class={status === "failed" ? "note note-error" : "note"} role="status">
      <p>
        <strong>{title}</strong> {message || result?.message}
      </p>
      {isInterrupted && job !== null && <p>The findings are unchanged. Import the file again.</p>}
      {fields.length > 0 && (
        <ul class="bullets">
          {fields.map(({ path, message: problem }, index) => (
            <li key={index}>
              {path} {problem}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Facts({ state }: { state: ImportState }) {
  const { job, elapsedTime } = state;
  const canUndo = useUndoable(user.value?.isAdmin ?? false);
  if (job === null) return null;
  const scope = SCOPES.find((each) => each.id === job.scope);
  const pairs: [string, string][] = [
    ["Format", job.profile ?? "–"],
    ["Scan date", job.scan_date ?? "–"],
    ["Vendor", job.vendor || "–"],
    ["Missing findings", scope?.title ?? job.scope ?? "–"],
    ["Started by", job.user_id],
    ["Started", job.started_at === null ? "–" : when(job.started_at)],
    ["Ended", job.finished_at === null ? "–" : when(job.finished_at)],
    ["Duration", elapsedTime > 0 ? duration(elapsedTime) : "–"],
  ];
  return (
    <section class="card" aria-label="Facts">
      <dl class="pairs">
        {pairs.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="cut">{value}</dd>
          </div>
        ))}
      </dl>
      {canUndo.has(job.import_id) && (
        <div>
          <UndoButton importId={job.import_id} filename={job.filename} />
        </div>
      )}
    </section>
  );
}

/** The summary of a producer may have any values. */
const numberOf = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);
const listOf = <T,>(value: T[] | undefined): T[] => (Array.isArray(value) ? value : []);

function Summary({ result }: { result: ImportResult }) {
  const summary = result.summary!;
  const { absence, withheld = 0, adopted = 0, withoutSource = 0 } = summary;
  const notices = listOf(summary.notices).map(String);
  const rowsSkipped = numberOf(summary.rowsSkipped);
  const rows: [number | undefined, string][] = [
    [numberOf(summary.rows), "row"],
    [numberOf(summary.findings), "finding"],
    [numberOf(summary.duplicates), "duplicate"],
  ];
  return (
    <section class="card" aria-labelledby="summary-title">
      <h2 id="summary-title">Changes</h2>
      {notices.length > 0 && (
        <div class="note note-warning">
          <strong>Read first:</strong>
          <ul class="bullets">
            {notices.map((notice) => (
              <li key={notice}>{notice}</li>
            ))}
          </ul>
        </div>
      )}
      <ul class="tiles counters" aria-label="Changes">
        <Counter value={numberOf(summary.inserted)} text="new findings" />
        <Counter value={numberOf(summary.updated)} text="updated" />
        <Counter value={numberOf(summary.reopened)} text="reopened" />
        <Counter value={numberOf(summary.resolved)} text="resolved" />
      </ul>
      <p class="facts">
        {rows.map(([value, name]) => value !== undefined && <span key={name}>{counted(value, name)}</span>)}
        {rowsSkipped !== undefined && <span>{counted(rowsSkipped, "row")} without a finding</span>}
        {adopted > 0 && <span>{counted(adopted, "finding")} of version 0.1.0 adopted</span>}
      </p>
      <p class="hint">
        {absence !== undefined && numberOf(absence?.missing) !== undefined &&
          (absence.reason
            ? `No missing finding was resolved: ${absence.reason}.`
            : `The file lacked ${count(absence.missing)} of ${counted(absence.openInScope, "open finding")} in its scope.`)}
        {withheld > 0 &&
          ` ${counted(withheld, "missing finding")} stayed open, because a row without a finding may refer to them.`}
        {withoutSource > 0 && ` ${counted(withoutSource, "open finding")} of version 0.1.0 have no source.`}
      </p>
      <Problems
        errors={numberOf(result.errors) ?? 0}
        errorDetails={listOf(result.errorDetails)}
        warnings={numberOf(result.warnings) ?? 0}
        kinds={listOf(summary.warnings)}
        warningDetails={listOf(result.warningDetails)}
      />
    </section>
  );
}
