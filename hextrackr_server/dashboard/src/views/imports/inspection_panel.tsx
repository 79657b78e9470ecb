/** How the server reads the chosen file, what its import changes, and the decision of the user. */

import { useEffect, useRef, useState } from "preact/hooks";
import { count, counted } from "../../components/format";
import { Problem } from "../../components/problem";
import type { Inspection, InspectionAnswer, Scope } from "../../types/hub";
import { discard, start, type Draft } from "./draft";
import { OptionsForm } from "./options_form";
import { Columns, Preview } from "./preview";
import { Problems } from "./problems";
import { ScopeChoice } from "./scope_choice";
import { bytes } from "./texts";

type Inspected = Extract<Draft, { phase: "inspected" }>;

export function InspectionPanel({ draft, onStarted }: { draft: Inspected; onStarted: () => void }) {
  const { answer, busy, error } = draft;
  const { inspection, refused } = answer;
  const [scope, setScope] = useState<Scope>("auto");
  const [isConfirmed, setConfirmed] = useState(false);
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus(), [answer]);

  const importFile = async (): Promise<void> => {
    if (await start(scope, isConfirmed)) onStarted();
  };

  return (
    <section class="card inspection" aria-labelledby="inspection-title" aria-busy={busy !== null}>
      <div class="card-header">
        <h2 id="inspection-title" class="cut" tabIndex={-1} ref={title}>
          {answer.filename}
        </h2>
        <span class="facts">
          <span>{bytes(answer.size)}</span>
          {inspection !== null && <span>{counted(inspection.rows, "row")}</span>}
        </span>
      </div>
      {refused !== null && <Refusal {...refused} />}
      {inspection !== null && <Reading inspection={inspection} />}
      <OptionsForm key={answer.sha256} draft={draft} />
      {inspection !== null && (
        <ScopeChoice
          absence={inspection.absence}
          scope={scope}
          isConfirmed={isConfirmed}
          onScope={(chosen) => {
            setScope(chosen);
            setConfirmed(false);
          }}
          onConfirm={setConfirmed}
        />
      )}
      <Problem of={error} />
      <div class="toolbar decision">
        {inspection !== null && (
          <button type="button" class="button button-primary" disabled={busy !== null} onClick={importFile}>
            {busy === "starting" ? "Starting…" : `Import ${counted(inspection.findings, "finding")}`}
          </button>
        )}
        <button type="button" class="button" disabled={busy === "starting"} onClick={discard}>
          {inspection === null ? "Choose another file" : "Discard the file"}
        </button>
      </div>
      {inspection !== null && <Details inspection={inspection} />}
    </section>
  );
}

function Refusal({ message, fields = [] }: NonNullable<InspectionAnswer["refused"]>) {
  return (
    <div class="note note-error" role="alert">
      <p>
        <strong>The file cannot be imported.</strong> {message}
      </p>
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

function Reading({ inspection }: { inspection: Inspection }) {
  const { title, profile, scanDate, findings, duplicates, rowsSkipped, errors, notices, changes } = inspection;
  return (
    <>
      <dl class="pairs">
        <div>
          <dt>Format</dt>
          <dd>
            {title} <code>{profile}</code>
          </dd>
        </div>
        <div>
          <dt>Scan date</dt>
          <dd>{scanDate}</dd>
        </div>
        <div>
          <dt>Findings</dt>
          <dd>
            {count(findings)}
            {duplicates > 0 && ` (${counted(duplicates, "duplicate")})`}
          </dd>
        </div>
        <div>
          <dt>Rows without a finding</dt>
          <dd>
            {count(rowsSkipped)} skipped, {count(errors)} rejected
          </dd>
        </div>
        <div>
          <dt>Vendors</dt>
          <dd>{inspection.vendors.slice(0, 8).join(", ") || "–"}</dd>
        </div>
      </dl>
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
      <h3>What the rows change</h3>
      <ul class="tiles counters" aria-label="What the rows change">
        <Counter value={changes.inserted} text="new" />
        <Counter value={changes.updated} text="already known" />
        <Counter value={changes.reopened} text="reopened" />
        <Counter value={changes.resolved} text="resolved by their state" />
      </ul>
    </>
  );
}

/** A number of findings; imports of producers may lack it. */
export function Counter({ value, text }: { value: number | undefined; text: string }) {
  if (value === undefined) return null;
  return (
    <li class={value === 0 ? "tile tile-zero" : "tile"}>
      <strong>{count(value)}</strong>
      <span class="hint">{text}</span>
    </li>
  );
}

function Details({ inspection }: { inspection: Inspection }) {
  return (
    <>
      <details class="part" open>
        <summary>First findings ({count(inspection.preview.length)})</summary>
        <Preview inspection={inspection} />
      </details>
      <details class="part">
        <summary>Columns ({count(Object.keys(inspection.columns).length)} fields)</summary>
        <Columns inspection={inspection} />
      </details>
      <Problems
        errors={inspection.errors}
        errorDetails={inspection.errorDetails}
        warnings={inspection.warnings}
        kinds={inspection.warningKinds}
        warningDetails={inspection.warningDetails}
      />
    </>
  );
}
