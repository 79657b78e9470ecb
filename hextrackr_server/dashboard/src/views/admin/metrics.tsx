/** Metrics of the server as live charts: one sample every two seconds while the view is shown. */

import { useEffect, useState } from "preact/hooks";
import { count, duration } from "../../components/format";
import { lazy } from "../../components/lazy";
import { Problem } from "../../components/problem";
import { TableHead } from "../../components/table";
import { openAdmin, phase } from "../../live";
import type { Metrics } from "../../types/hub";
import { rates, type Sample } from "./samples";

const Chart = lazy(() => import("../../components/chart").then((module) => module.default));

const EVERY_MS = 2000;
/** Five minutes. */
const MAXIMUM = 150;
const clock = new Intl.DateTimeFormat(undefined, { minute: "2-digit", second: "2-digit" });
const megabytes = (bytes: number): string => `${Math.round(bytes / 1_000_000)} MB`;
const perSecond = (value: number): string => (value >= 10 ? count(Math.round(value)) : value.toFixed(1));

export function LiveMetrics() {
  const [samples, setSamples] = useState<readonly Sample[]>([]);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    let isShown = true;
    let isWaiting = false;
    const read = async (): Promise<void> => {
      if (isWaiting || phase.value !== "connected" || document.visibilityState !== "visible") return;
      isWaiting = true;
      try {
        const { data } = await openAdmin().request<{ data: Metrics }>("get-metrics");
        if (!isShown) return;
        setSamples((former) => [...former, data].slice(-MAXIMUM));
        setError(null);
      } catch (failure) {
        if (isShown) setError(failure);
      } finally {
        isWaiting = false;
      }
    };
    void read();
    const timer = setInterval(() => void read(), EVERY_MS);
    return () => {
      isShown = false;
      clearInterval(timer);
    };
  }, []);
  const latest = samples[samples.length - 1];
  return (
    <section class="card" aria-labelledby="metrics-title">
      <div class="card-header">
        <h2 id="metrics-title">Metrics</h2>
        {latest !== undefined && (
          <span class="facts">
            <span>up for {duration(latest.uptimeSeconds * 1000)}</span>
            <span>{count(latest.totalConnections)} connections since the start</span>
            <span>{count(latest.reconnections)} reconnections</span>
            <span>{count(latest.errors)} errors</span>
          </span>
        )}
      </div>
      <Problem of={error} />
      {latest !== undefined && <Charts samples={samples} latest={latest} />}
      {latest !== undefined && <AllNumbers latest={latest} />}
    </section>
  );
}

function Charts({ samples, latest }: { samples: readonly Sample[]; latest: Sample }) {
  const x = samples.map(({ timestamp }) => timestamp / 1000);
  const events = rates(samples, ({ gauges }) => Number(gauges.events_total ?? 0));
  const refused = rates(samples, ({ gauges }) => Number(gauges.events_refused_total ?? 0));
  const last = (values: readonly (number | null)[]): number => values[values.length - 1] ?? 0;
  return (
    <div class="metrics-grid">
      <MetricChart
        title="Connections"
        value={count(latest.activeConnections)}
        x={x}
        color="--accent"
        values={samples.map(({ activeConnections }) => activeConnections)}
      />
      <MetricChart
        title="Events per second"
        value={perSecond(last(events))}
        x={x}
        color="--accent"
        values={events}
        format={perSecond}
      />
      <MetricChart
        title="Refused events per second"
        value={perSecond(last(refused))}
        x={x}
        color="--critical"
        values={refused}
        format={perSecond}
      />
      <MetricChart
        title="Memory"
        value={megabytes(latest.memoryBytes)}
        x={x}
        color="--accent"
        values={samples.map(({ memoryBytes }) => memoryBytes)}
        format={megabytes}
      />
    </div>
  );
}

interface MetricProps {
  title: string;
  value: string;
  x: number[];
  color: string;
  values: readonly (number | null)[];
  format?: (value: number) => string;
}

function MetricChart({ title, value, x, color, values, format }: MetricProps) {
  return (
    <figure class="metric">
      <figcaption>
        {title} <strong>{value}</strong>
      </figcaption>
      <Chart
        label={`${title} during the last minutes, now ${value}`}
        kind="lines"
        height={130}
        x={x}
        series={[{ name: title, color, values }]}
        format={format}
        formatTime={(seconds) => clock.format(seconds * 1000)}
      />
    </figure>
  );
}

function AllNumbers({ latest }: { latest: Sample }) {
  const numbers: [string, number][] = [
    ...Object.entries(latest.gauges).map(([name, value]): [string, number] => [name, Number(value)]),
    ...Object.entries(latest.errorsByType).map(([kind, number]): [string, number] => [`errors: ${kind}`, number]),
  ];
  return (
    <details class="part">
      <summary>All numbers</summary>
      <div class="table-scroll limited" role="region" aria-label="All metrics" tabIndex={0}>
        <table class="table">
          <TableHead columns={["Metric", { number: "Value" }]} />
          <tbody>
            <tr>
              <th scope="row">memory</th>
              <td class="number">{megabytes(latest.memoryBytes)}</td>
            </tr>
            {numbers.map(([name, value]) => (
              <tr key={name}>
                <th scope="row">{name.replaceAll("_", " ")}</th>
                <td class="number">{count(Math.round(value * 100) / 100)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
