/** Open findings: totals and trends by severity, the hosts most at risk; and running imports. */

import { useState } from "preact/hooks";
import { link } from "../../app/router";
import { count } from "../../components/format";
import { Problem } from "../../components/problem";
import { request, useQuery } from "../../live";
import type { Statistics } from "../../types/hub";
import { Running } from "../imports/running";
import { Hosts } from "./hosts";
import { SeverityChart } from "./severity_chart";
import { TrendChart } from "./trend_chart";
import { keyOf, METRICS, SEVERITIES, type Metric } from "./metrics";
import "./style.css";

const EVENTS = ["vulnerability-change", "import-undone", "kev-sync-update"];

export default function Overview() {
  const [metric, setMetric] = useState<Metric>("count");
  const query = useQuery(() => request<{ data: Statistics }>("get-vulnerability-stats", {}), {
    events: EVENTS,
    interval: 2000,
  });
  const statistics = query.data.value?.data;
  const isEmpty = statistics !== undefined && statistics.totals.findings === 0;
  return (
    <>
      <h1>Overview</h1>
      <Problem of={query.error.value} />
      {isEmpty && (
        <p class="note">
          There are no open findings. <a href={link("imports")}>Import a file</a> of a scanner.
        </p>
      )}
      {statistics !== undefined && <Tiles statistics={statistics} />}
      <Running />
      <div class="overview-grid">
        <section class="card" aria-labelledby="trend-title">
          <div class="card-header">
            <h2 id="trend-title">Open vulnerabilities per scan</h2>
            <MetricChoice metric={metric} onMetric={setMetric} />
          </div>
          <TrendChart metric={metric} />
        </section>
        {!isEmpty && (
          <section class="card" aria-labelledby="severity-title">
            <h2 id="severity-title">By severity</h2>
            {statistics !== undefined && <SeverityChart metric={metric} statistics={statistics} />}
          </section>
        )}
      </div>
      {!isEmpty && <Hosts />}
    </>
  );
}

function Tiles({ statistics }: { statistics: Statistics }) {
  const { bySeverity, trend, kev, totals } = statistics;
  return (
    <div class="tiles overview-tiles">
      {SEVERITIES.map((severity) => (
        <a key={severity} class="tile" href={link("findings", { severity: keyOf(severity) })}>
          <span>
            <span class={`badge badge-${keyOf(severity)}`}>{severity}</span>
          </span>
          <strong>{count(bySeverity[keyOf(severity)].count)}</strong>
          <Change value={trend?.[severity]?.count_change ?? 0} />
        </a>
      ))}
      <a class="tile" href={link("exploited")}>
        <span>Exploited</span>
        <strong>{count(kev.matched_kevs)}</strong>
        <span class={kev.overdue_kevs > 0 ? "overdue" : "hint"}>{count(kev.overdue_kevs)} overdue</span>
      </a>
      <div class="tile">
        <span>Hosts</span>
        <strong>{count(totals.devices)}</strong>
        <span class="hint">{count(totals.cves)} CVEs</span>
      </div>
    </div>
  );
}

function Change({ value }: { value: number }) {
  if (value === 0) return <span class="hint">unchanged</span>;
  return (
    <span class={value > 0 ? "change-worse" : "change-better"}>
      {value > 0 ? "+" : "−"}
      {count(Math.abs(value))}
      <span class="hint"> since last scan</span>
    </span>
  );
}

function MetricChoice({ metric, onMetric }: { metric: Metric; onMetric: (metric: Metric) => void }) {
  return (
    <fieldset class="segments">
      <legend class="visually-hidden">Numbers of the charts</legend>
      {METRICS.map(({ id, title }) => (
        <label key={id} class={id === metric ? "chosen" : ""}>
          <input
            class="visually-hidden"
            type="radio"
            name="metric"
            checked={id === metric}
            onChange={() => onMetric(id)}
          />
          {title}
        </label>
      ))}
    </fieldset>
  );
}
