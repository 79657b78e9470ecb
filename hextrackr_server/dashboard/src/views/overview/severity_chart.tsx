/** Open vulnerabilities by severity now: bars, and the same numbers as a table. */

import { TableHead } from "../../components/table";
import type { Statistics } from "../../types/hub";
import { Chart, keyOf, LOOKS, metricText, metricTitle, SEVERITIES, type Metric } from "./metrics";

export function SeverityChart({ metric, statistics }: { metric: Metric; statistics: Statistics }) {
  const values = SEVERITIES.map((severity) => statistics.bySeverity[keyOf(severity)][metric]);
  const sum = values.reduce((one, other) => one + other, 0);
  return (
    <figure class="chart-figure">
      <Chart
        label={`Bars: ${metricTitle(metric)} by severity`}
        kind="bars"
        x={SEVERITIES.map((_, index) => index)}
        names={SEVERITIES}
        series={SEVERITIES.map((severity, index) => ({
          name: severity,
          color: LOOKS[severity].color,
          values: [values[index]!],
        }))}
      />
      <details class="part">
        <summary>Show the numbers</summary>
        <div class="table-scroll">
          <table class="table">
            <caption>{metricTitle(metric)} by severity</caption>
            <TableHead
              columns={[
                "Severity",
                { number: metric === "count" ? "Number" : "Total VPR" },
                { number: "Share" },
              ]}
            />
            <tbody>
              {SEVERITIES.map((severity, index) => (
                <tr key={severity}>
                  <th scope="row">{severity}</th>
                  <td class="number">{metricText(values[index]!)}</td>
                  <td class="number">{sum ? `${Math.round((100 * values[index]!) / sum)} %` : "–"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}
