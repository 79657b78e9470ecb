/** The most severe open findings. */

import { explain } from "../../api";
import { request, useQuery } from "../../live";

interface Finding {
  id: number;
  hostname: string;
  cve: string | null;
  severity: string;
  plugin_name: string;
}

const EVENTS = ["vulnerability-change", "import-undone"];

export default function Findings() {
  const findings = useQuery(
    () => request<{ data: Finding[] }>("get-data", { resource: "vulnerabilities", limit: 50 }),
    { events: EVENTS },
  );
  return (
    <>
      <h1>Findings</h1>
      {findings.error.value !== null && (
        <p class="note note-error" role="alert">
          {explain(findings.error.value)}
        </p>
      )}
      <ul class="card">
        {(findings.data.value?.data ?? []).map(({ id, severity, hostname, cve, plugin_name }) => (
          <li key={id}>
            <span class={`badge badge-${severity.toLowerCase()}`}>{severity}</span> {hostname} {cve}{" "}
            {plugin_name}
          </li>
        ))}
      </ul>
    </>
  );
}
