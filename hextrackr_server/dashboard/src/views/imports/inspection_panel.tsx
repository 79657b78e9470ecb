/** How the server reads the chosen file, what its import changes, and the decision of the user. */

import { useEffect, useRef, useState } from "preact/hooks";
import { count, counted, score } from "../../components/format";
import { Problem } from "../../components/problem";
import { Severity } from "../../components/severity";
import type { Inspection, InspectionAnswer, Scope } from "../../types/hub";
import { discard, inspectAgain, start, type Draft, type Options } from "./draft";
import { Problems } from "./problems";
import { ScopeChoice } from "./scope_choice";
import { bytes, fieldTitle } from "./texts";

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

function OptionsForm({ draft }: { draft: Inspected }) {
  const [options, setOptions] = useState<Options>(draft.options);
  const change = (part: Partial<Options>): void => setOptions({ ...options, ...part });
  const isChanged = JSON.stringify(options) !== JSON.stringify(draft.options);
  const isRefused = draft.answer.inspection === null;
  return (
    <details class="part" open={isRefused}>
      <summary>Options of reading</summary>
      <form
        class="options"
        onSubmit={(event) => {
          event.preventDefault();
          void inspectAgain(options);
        }}
      >
        <div class="toolbar">
          <label class="field">
            <span>Scan date</span>
            <input
              type="date"
              value={options.scanDate}
              onInput={(event) => change({ scanDate: event.currentTarget.value })}
            />
          </label>
          <label class="field">
            <span>Vendor, where the file has none</span>
            <input
              maxLength={64}
              value={options.vendor}
              onInput={(event) => change({ vendor: event.currentTarget.value })}
            />
          </label>
          <label class="check">
            <input
              type="checkbox"
              checked={options.allowPartial}
              onChange={(event) => change({ allowPartial: event.currentTarget.checked })}
            />
            Read a file that breaks off
          </label>
        </div>
        <label class="field">
          <span>Mapping of the columns (TOML), for a CSV file of another tool</span>
          <textarea
            rows={options.mapping || isRefused ? 8 : 2}
            spellcheck={false}
            class="mono"
            placeholder={'id = "my_tool"\ntitle = "My tool"\nrow = "finding"\n\n[columns]\nhost = ["Server"]\ncve = ["CVE"]'}
            value={options.mapping}
            onInput={(event) => change({ mapping: event.currentTarget.value })}
          />
        </label>
        <div>
          <button type="submit" class="button" disabled={!isChanged || draft.busy !== null}>
            {draft.busy === "inspecting" ? "Reading the file…" : "Read the file again"}
          </button>
        </div>
      </form>
    </details>
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

function Columns({ inspection: { columns, unusedColumns } }: { inspection: Inspection }) {
  return (
    <div class="table-scroll">
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Columns of the file</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(columns).map(([field, names]) => (
            <tr key={field}>
              <th scope="row">{fieldTitle(field)}</th>
              <td class="cut mono">{names.join(", ")}</td>
            </tr>
          ))}
          {unusedColumns.length > 0 && (
            <tr>
              <th scope="row">Not read</th>
              <td class="cut mono hint">{unusedColumns.join(", ")}</td>
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}

function Preview({ inspection: { preview, findings } }: { inspection: Inspection }) {
  return (
    <div class="table-scroll">
      <table class="table table-stack">
        <caption>
          {preview.length < findings
            ? `The first ${preview.length} of ${counted(findings, "finding")}, as they are stored`
            : "All findings, as they are stored"}
        </caption>
        <thead>
          <tr>
            <th scope="col" class="number">
              Row
            </th>
            <th scope="col">Severity</th>
            <th scope="col">Host</th>
            <th scope="col">CVE</th>
            <th scope="col">Vulnerability</th>
            <th scope="col" class="number">
              CVSS
            </th>
            <th scope="col" class="number">
              VPR
            </th>
            <th scope="col">State</th>
            <th scope="col">Seen</th>
          </tr>
        </thead>
        <tbody>
          {preview.map((finding, index) => (
            <tr key={index}>
              <td class="number" data-label="Row">
                {count(finding.row)}
              </td>
              <td data-label="Severity">
                <Severity value={finding.severity} />
              </td>
              <td class="cut" data-label="Host">
                {finding.hostname || finding.address}
                {finding.hostname && finding.address && finding.address !== finding.hostname && (
                  <span class="hint"> {finding.address}</span>
                )}
              </td>
              <td class="nowrap mono" data-label="CVE">
                {finding.cve || "–"}
              </td>
              <td class="cut" data-label="Vulnerability">
                {finding.pluginName || "–"}
              </td>
              <td class="number" data-label="CVSS">
                {score(finding.cvssScore)}
              </td>
              <td class="number" data-label="VPR">
                {score(finding.vprScore)}
              </td>
              <td data-label="State">{finding.closedAs?.replaceAll("_", " ") ?? "open"}</td>
              <td class="nowrap" data-label="Seen">
                {finding.firstSeen === finding.lastSeen
                  ? finding.lastSeen
                  : `${finding.firstSeen} – ${finding.lastSeen}`}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
