/** The columns of the table: their titles, sort columns of the hub, and cells. */

import type { ComponentChildren } from "preact";
import { day, score } from "../../components/format";
import { Severity } from "../../components/severity";
import type { Vulnerability as Finding } from "../../types/events";

export interface Column {
  id: string;
  title: string;
  /** The column of the hub that sorts; null: not sortable. */
  sort: string | null;
  descendingFirst?: boolean;
  isNumber?: boolean;
  cell: (finding: Finding) => ComponentChildren;
}

export const COLUMNS: readonly Column[] = [
  {
    id: "severity",
    title: "Severity",
    sort: "severity",
    cell: ({ severity, isKev }) => (
      <>
        <Severity value={severity} />
        {isKev === "Yes" && (
          <span class="badge badge-kev" title="Known exploited vulnerability">
            KEV
          </span>
        )}
      </>
    ),
  },
  {
    id: "vpr",
    title: "VPR",
    sort: "vpr_score",
    descendingFirst: true,
    isNumber: true,
    cell: ({ vpr_score }) => score(vpr_score),
  },
  {
    id: "cvss",
    title: "CVSS",
    sort: "cvss_score",
    descendingFirst: true,
    isNumber: true,
    cell: ({ cvss_score }) => score(cvss_score),
  },
  { id: "host", title: "Host", sort: "hostname", cell: ({ hostname }) => hostname || "–" },
  {
    id: "address",
    title: "Address",
    sort: "ip_address",
    cell: ({ ip_address }) => <span class="mono">{ip_address || "–"}</span>,
  },
  {
    id: "cve",
    title: "CVE",
    sort: "cve",
    cell: ({ cve, plugin_id }) => <span class="mono">{cve || (plugin_id ? `#${plugin_id}` : "–")}</span>,
  },
  { id: "name", title: "Name", sort: "plugin_name", cell: ({ plugin_name }) => plugin_name || "–" },
  { id: "vendor", title: "Vendor", sort: "vendor", cell: ({ vendor }) => vendor || "–" },
  {
    id: "seen",
    title: "Last seen",
    sort: "last_seen",
    descendingFirst: true,
    cell: ({ last_seen }) => day(last_seen),
  },
  { id: "state", title: "State", sort: "lifecycle_state", cell: ({ lifecycle_state }) => lifecycle_state },
];
