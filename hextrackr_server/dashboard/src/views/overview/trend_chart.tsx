/** Open vulnerabilities on the days of scans, by severity: lines, and the same numbers as a table. */

import { useState } from "preact/hooks";
import { count } from "../../components/format";
import { Problem } from "../../components/problem";
import { TableHead } from "../../components/table";
import { request, useQuery } from "../../live";
import type { Page, TrendDay } from "../../types/hub";
import { Chart, LOOKS, metricText, metricTitle, SEVERITIES, type Metric } from "./metrics";

const DAYS = 120;
const axis = new Intl.DateTimeFormat("en-US", { month: "short", day: "numeric", timeZone: "UTC" });
const EVENTS = ["vulnerability-change", "import-undone"];

export function TrendChart({ metric }: { metric: Metric }) {
  const [point, setPoint] = useState<number | null>(null);
  const query = useQuery(
    async () => {
      const answer = await request<Page<TrendDay>>("get-data", {
        resource: "trends",
        sort: "-date",
        limit: DAYS,
      });
      return answer.data.reverse();
    },
    { events: EVENTS, interval: 2000 },
  );
  const days = query.data.value;
  if (query.error.value !== null) return <Problem of={query.error.value} />;
  if (days === undefined) return <p class="hint">Loading…</p>;
  if (days.length === 0) return <p class="hint">There is no scan yet.</p>;
  const shown = days[point ?? days.length - 1] ?? days[days.length - 1]!;
  return (
    <figure class="chart-figure">
      <ul class="chart-legend" aria-hidden="true">
        <li class="hint">{shown.date}</li>
        {SEVERITIES.map((severity) => (
          <li key={severity}>
            <span class={`chart-line chart-line-${severity.toLowerCase()}`} />
            {severity} <strong>{metricText(shown[severity][metric])}</strong>
          </li>
        ))}
      </ul>
      <Chart
        label={`Lines: ${metricTitle(metric)} by severity on ${days.length} days of scans`}
        kind="lines"
        x={days.map(({ date }) => Date.parse(date) / 1000)}
        series={SEVERITIES.map((severity) => ({
          name: severity,
          ...LOOKS[severity],
          values: days.map((day) => day[severity][metric]),
        }))}
        formatTime={(seconds) => axis.format(seconds * 1000)}
        onPoint={setPoint}
      />
      <details class="part">
        <summary>Show the numbers</summary>
        <div class="table-scroll limited" role="region" aria-label="Numbers of the trend" tabIndex={0}>
          <table class="table">
            <caption>The days of scans, {metricTitle(metric)} by severity</caption>
            <TableHead
              columns={[
                "Day",
                ...SEVERITIES.map((number) => ({ number })),
                { number: "Resolved" },
                { number: "Reopened" },
              ]}
            />
            <tbody>
              {[...days].reverse().map((day) => (
                <tr key={day.date}>
                  <th scope="row">{day.date}</th>
                  {SEVERITIES.map((severity) => (
                    <td key={severity} class="number">
                      {metricText(day[severity][metric])}
                    </td>
                  ))}
                  <td class="number">{count(day.resolved)}</td>
                  <td class="number">{count(day.reopened)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}
