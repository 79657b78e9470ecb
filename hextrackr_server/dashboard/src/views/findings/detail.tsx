/** All fields of one finding, its editors, and the buttons that begin and end editing. */

import { useEffect, useRef, useState } from "preact/hooks";
import { explain } from "../../api";
import { announce } from "../../app/announcer";
import { user } from "../../app/session";
import { Icon } from "../../components/icon";
import { day, score, when } from "../../components/format";
import { useSettled } from "../../components/settled";
import { Severity } from "../../components/severity";
import { on, request, useQuery } from "../../live";
import { edit, editorsByResource, keyOf, own, watch } from "../../live/presence";
import type { VulnerabilityDetails, VulnerabilityUpdate } from "../../types/events";

const CVE = /^CVE-\d{4}-\d{4,}$/;

/** A user who moves through the list with the arrow keys reads and watches the findings they stop at. */
const SETTLED_MILLISECONDS = 200;

export function Detail({ id: latest }: { id: number }) {
  const id = useSettled(latest, SETTLED_MILLISECONDS);
  const finding = useQuery(
    () => request<{ data: VulnerabilityDetails }>("get-data", { resource: "vulnerability", id }),
    { events: ["vulnerability-change", "import-undone"], keep: true },
    [id],
  );
  useEffect(() => {
    const reloadIfOwn = (update: VulnerabilityUpdate): void => {
      if (Number(update.id) === id) finding.reload();
    };
    return on("vulnerability-updated", reloadIfOwn);
  }, [finding, id]);
  const error = finding.error.value;
  const found = finding.data.value?.data;
  if (error !== null) {
    return (
      <p class="note note-error" role="alert">
        {explain(error)}
      </p>
    );
  }
  if (found === undefined) return <p class="hint">Loading the finding…</p>;
  return (
    <div class={found.id === latest ? "detail" : "detail stale"} aria-busy={finding.loading.value}>
      <p class="detail-title">
        <Severity value={found.severity} /> {found.plugin_name || found.cve || "Unnamed finding"}
      </p>
      <Editing id={id} />
      <dl class="fields">
        {fields(found).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <LongText title="Description" text={found.description} />
      <LongText title="Solution" text={found.solution} />
    </div>
  );
}

function fields(found: VulnerabilityDetails): [string, preact.ComponentChildren][] {
  const all: [string, preact.ComponentChildren][] = [
    ["Host", found.hostname],
    ["Address", found.ip_address],
    ["Host key", found.host_key],
    ["Operating system", found.operating_system],
    ["CVE", found.cve && <CveLink cve={found.cve} />],
    ["Plugin", found.plugin_id],
    ["Vendor", found.vendor],
    ["VPR", score(found.vpr_score)],
    ["CVSS", score(found.cvss_score)],
    ["Published", day(found.vulnerability_date)],
    ["First seen", day(found.first_seen)],
    ["Last seen", day(found.last_seen)],
    ["Scan", day(found.scan_date)],
    ["State", found.state ? `${found.lifecycle_state} (${found.state})` : found.lifecycle_state],
    ["Resolved", found.resolved_date],
    ["Reason", found.resolution_reason],
    ["Source", found.source],
    ["Import", found.import_id],
    ["Known exploited", found.isKev === "Yes" ? "Yes" : "No"],
    ["Due", found.kev_due_date],
    ["Ransomware use", found.kev_due_date && (found.known_ransomware_use ? "Known" : "Unknown")],
    ["Required action", found.kev_required_action],
    ["ID", found.id],
  ];
  return all.filter(([, value]) => value !== null && value !== "" && value !== undefined);
}

/** A link to the public entry of a CVE; other texts of files are never links. */
function CveLink({ cve }: { cve: string }) {
  if (!CVE.test(cve)) return <>{cve}</>;
  return (
    <a href={`https://nvd.nist.gov/vuln/detail/${cve}`} target="_blank" rel="noopener noreferrer">
      {cve} <Icon name="external" size={12} />
      <span class="visually-hidden"> (opens a new tab)</span>
    </a>
  );
}

function LongText({ title, text }: { title: string; text: string | null }) {
  if (!text) return null;
  return (
    <section>
      <h3>{title}</h3>
      <p class="long-text">{text}</p>
    </section>
  );
}

function Editing({ id }: { id: number }) {
  const key = keyOf("vulnerability", id);
  const [problem, setProblem] = useState<string | null>(null);
  const end = own.value.get(key);
  const others = (editorsByResource.value.get(key) ?? []).filter(({ userId }) => userId !== user.value?.userId);
  const names = others.map(({ username }) => username).join(", ");
  const known = useRef(names);

  useEffect(() => {
    setProblem(null);
    return watch("vulnerability", id);
  }, [id]);
  useEffect(() => {
    if (names !== known.current) announce(names ? `${names} is editing this finding` : "No other user is editing");
    known.current = names;
  }, [names]);

  return (
    <div class="editing">
      <p>
        {others.length === 0
          ? "No other user is editing this finding."
          : others.map(({ userId, username, startTime }) => (
              <span key={userId} class="badge badge-editing">
                {username} is editing since {when(startTime)}
              </span>
            ))}
      </p>
      <button
        type="button"
        class={end ? "button" : "button button-primary"}
        onClick={() => {
          setProblem(null);
          if (end) end();
          else edit("vulnerability", id).catch((error: unknown) => setProblem(explain(error)));
        }}
      >
        <Icon name={end ? "check" : "editing"} /> {end ? "Stop editing" : "Start editing"}
      </button>
      {problem !== null && (
        <p class="note note-error" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}
