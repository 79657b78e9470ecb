/** The list of stored imports, the newest first, page by page. */

import { useState } from "preact/hooks";
import { link, route, setParameters } from "../../app/router";
import { user } from "../../app/session";
import { count, when } from "../../components/format";
import { Problem } from "../../components/problem";
import { Pager, TableHead } from "../../components/table";
import { request, useImports, useQuery } from "../../live";
import type { ImportJob, Page } from "../../types/hub";
import { outcomeOf } from "./texts";

const LIMIT = 20;
const STATES = [
  ["", "All"],
  ["completed", "Completed"],
  ["failed", "Failed"],
  ["cancelled", "Canceled"],
] as const;
const EVENTS = [
  "import-started",
  "import-finished",
  "import-completed",
  "import-failed",
  "import-cancelled",
  "import-undone",
  // Restored data and undone imports.
  "vulnerability-change",
];

export function History() {
  const status = route.value.parameters.get("status") ?? "";
  const [page, setPage] = useState(1);
  const query = useQuery(
    () =>
      request<Page<ImportJob>>("get-data", {
        resource: "imports",
        filters: { status },
        page,
        limit: LIMIT,
      }),
    { events: EVENTS, keep: true },
    [status, page],
  );
  const isAdmin = user.value?.isAdmin ?? false;
  const answer = query.data.value;
  const rows = answer?.data ?? [];
  const pages = answer?.pagination.pages ?? 1;
  return (
    <section class="card" aria-labelledby="history-title">
      <div class="card-header">
        <h2 id="history-title">{isAdmin ? "Imports of all users" : "Your imports"}</h2>
        <label class="check">
          <span>Show</span>
          <select
            value={status}
            onChange={(event) => {
              setPage(1);
              setParameters({ status: event.currentTarget.value });
            }}
          >
            {STATES.map(([value, title]) => (
              <option key={value} value={value}>
                {title}
              </option>
            ))}
          </select>
        </label>
      </div>
      <Problem of={query.error.value} />
      {answer !== undefined && rows.length === 0 && (
        <p class="hint">{status ? "No import has this state." : "There is no import yet."}</p>
      )}
      {rows.length > 0 && (
        <div class="table-scroll">
          <table class="table table-stack">
            <TableHead
              columns={[
                "File",
                "Result",
                { number: "New" },
                { number: "Updated" },
                { number: "Reopened" },
                { number: "Resolved" },
                { number: "Rejected" },
                { number: "Warnings" },
                isAdmin && "Started by",
                "Ended",
              ]}
            />
            <tbody>
              {rows.map((job) => (
                <Row key={job.import_id} job={job} isAdmin={isAdmin} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Pager list="imports" page={page} pages={pages} onPage={setPage} labels={["Newer", "Older"]} />
      <ProducerImports />
    </section>
  );
}

function Row({ job, isAdmin }: { job: ImportJob; isAdmin: boolean }) {
  const { title, kind } = outcomeOf(job);
  const number = (value: number | null): string => (value === null ? "–" : count(value));
  return (
    <tr>
      <th scope="row" class="cut file">
        <a href={link("imports", { id: String(job.import_id) })}>{job.filename}</a>
        <span class="hint">
          Import {job.import_id}, {job.profile && `${job.profile}, `}
          <span class="nowrap">{job.scan_date}</span>
        </span>
      </th>
      <td class="nowrap" data-label="Result">
        <span class={`badge badge-${kind}`}>{title}</span>
        {job.confirmation_required && <span class="badge badge-medium">Not confirmed</span>}
      </td>
      <td class="number" data-label="New">
        {number(job.inserted)}
      </td>
      <td class="number" data-label="Updated">
        {number(job.updated)}
      </td>
      <td class="number" data-label="Reopened">
        {number(job.reopened)}
      </td>
      <td class="number" data-label="Resolved">
        {number(job.resolved)}
      </td>
      <td class="number" data-label="Rejected rows">
        {job.profile === null ? "–" : count(job.errors)}
      </td>
      <td class="number" data-label="Warnings">
        {number(job.warnings)}
      </td>
      {isAdmin && (
        <td class="cut" data-label="Started by">
          {job.user_id}
        </td>
      )}
      <td class="nowrap" data-label="Ended">
        {job.finished_at === null ? "–" : when(job.finished_at)}
      </td>
    </tr>
  );
}

/** Ended imports that producers ran: the server does not store them. */
function ProducerImports() {
  const ended = useImports().all.value.filter(
    ({ external, status }) => external && ["completed", "failed", "cancelled"].includes(status),
  );
  if (ended.length === 0) return null;
  return (
    <details class="part">
      <summary>Imports of producers that ended within the last hour ({count(ended.length)})</summary>
      <ul class="plain-list">
        {ended.map(({ importId, filename, status, message, processed }) => (
          <li key={importId}>
            <strong class="cut">{filename || importId}</strong>{" "}
            <span class={status === "completed" ? "badge badge-good" : "badge badge-critical"}>{status}</span>{" "}
            <span class="hint">
              {count(processed)} rows. {message}
            </span>
          </li>
        ))}
      </ul>
    </details>
  );
}
