/** The columns of an inspected file, and its first findings. */

import { count, counted, score } from "../../components/format";
import { Severity } from "../../components/severity";
import { TableHead } from "../../components/table";
import type { Inspection } from "../../types/hub";
import { fieldTitle } from "./texts";

export function Columns({ inspection: { columns, unusedColumns } }: { inspection: Inspection }) {
  return (
    <div class="table-scroll">
      <table class="table">
        <TableHead columns={["Field", "Columns of the file"]} />
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
        <TableHead
          columns={[
            { number: "Row" },
            "Severity",
            "Host",
            "CVE",
            "Vulnerability",
            { number: "CVSS" },
            { number: "VPR" },
            "State",
            "Seen",
          ]}
        />
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
