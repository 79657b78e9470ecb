/** The hosts with the highest total VPR. */

import { link } from "../../app/router";
import { count } from "../../components/format";
import { Problem } from "../../components/problem";
import { request, useQuery } from "../../live";
import type { Device, Page } from "../../types/hub";
import { SEVERITIES } from "./metrics";

const LIMIT = 10;
const EVENTS = ["vulnerability-change", "import-undone", "kev-sync-update"];

const numberOf = (device: Device, severity: (typeof SEVERITIES)[number]): number =>
  ({ Critical: device.criticalCount, High: device.highCount, Medium: device.mediumCount, Low: device.lowCount })[
    severity
  ];

export function Hosts() {
  const query = useQuery(
    () => request<Page<Device>>("get-data", { resource: "devices", sort: "-totalVPR", limit: LIMIT }),
    { events: EVENTS, interval: 2000 },
  );
  const answer = query.data.value;
  const devices = answer?.data ?? [];
  const most = Math.max(1, ...devices.map((device) => device.totalCount));
  return (
    <section class="card" aria-labelledby="hosts-title">
      <div class="card-header">
        <h2 id="hosts-title">Hosts most at risk</h2>
        {answer !== undefined && <span class="hint">of {count(answer.pagination.total)}, by total VPR</span>}
      </div>
      <Problem of={query.error.value} />
      {devices.length > 0 && (
        <div class="table-scroll">
          <table class="table table-stack">
            <thead>
              <tr>
                <th scope="col">Host</th>
                <th scope="col" class="number">
                  Total VPR
                </th>
                <th scope="col" class="wide" aria-hidden="true" />
                {SEVERITIES.map((severity) => (
                  <th key={severity} scope="col" class="number">
                    {severity}
                  </th>
                ))}
                <th scope="col" class="number">
                  All
                </th>
                <th scope="col">Exploited</th>
              </tr>
            </thead>
            <tbody>
              {devices.map((device) => (
                <tr key={device.hostKey}>
                  <th scope="row" class="cut">
                    <a href={link("findings", { host: device.hostKey })}>{device.hostname || device.hostKey}</a>
                    {device.hostname !== "" && device.hostname !== device.hostKey && (
                      <span class="hint"> {device.hostKey}</span>
                    )}
                  </th>
                  <td class="number" data-label="Total VPR">
                    <strong>{count(Math.round(device.totalVPR))}</strong>
                  </td>
                  <td class="wide" aria-hidden="true">
                    <Parts device={device} most={most} />
                  </td>
                  {SEVERITIES.map((severity) => (
                    <td key={severity} class="number" data-label={severity}>
                      {count(numberOf(device, severity))}
                    </td>
                  ))}
                  <td class="number" data-label="All">
                    {count(device.totalCount)}
                  </td>
                  <td data-label="Exploited">
                    {device.hasKev ? <span class="badge badge-critical">Exploited</span> : "–"}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

/** The share of each severity, relative to the host with the most vulnerabilities. */
function Parts({ device, most }: { device: Device; most: number }) {
  return (
    <span class="parts">
      {SEVERITIES.map((severity) => (
        <span
          key={severity}
          class={`chart-fill-${severity.toLowerCase()}`}
          style={{ width: `${(100 * numberOf(device, severity)) / most}%` }}
        />
      ))}
    </span>
  );
}
