/** Totals of the open findings, by severity. */

import { explain } from "../../api";
import { link } from "../../app/router";
import { request, useQuery } from "../../live";

interface Total {
  count: number;
}

interface Statistics {
  data: { bySeverity: Record<string, Total> };
}

const EVENTS = ["vulnerability-change", "import-undone"];

export default function Overview() {
  const totals = useQuery(() => request<Statistics>("get-vulnerability-stats", {}), { events: EVENTS });
  const bySeverity = totals.data.value?.data.bySeverity ?? {};
  return (
    <>
      <h1>Overview</h1>
      {totals.error.value !== null && (
        <p class="note note-error" role="alert">
          {explain(totals.error.value)}
        </p>
      )}
      <div class="tiles">
        {Object.entries(bySeverity).map(([severity, { count }]) => (
          <a key={severity} class="tile" href={link("findings", { severity })}>
            <span>
              <span class={`badge badge-${severity}`}>{severity}</span>
            </span>
            <strong>{count.toLocaleString("en-US")}</strong>
            <span class="hint">open findings</span>
          </a>
        ))}
      </div>
    </>
  );
}
