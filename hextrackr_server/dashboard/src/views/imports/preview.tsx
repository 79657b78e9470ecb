/** The columns of an inspected file, and its first findings. */

import { count, counted, score } from "../../components/format";
import { Severity } from "../../components/severity";
import type { Inspection } from "../../types/hub";
import { fieldTitle } from "./texts";

export function Columns({ inspection: { columns, unusedColumns } }: { inspection: Inspection }) {
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

export function Preview({ inspection: { preview, findings } }: { inspection: Inspection }) {
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
