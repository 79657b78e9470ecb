/** Texts of imports: states, scopes and phases. */

import type { ImportJob, ImportStatus, Scope } from "../../types/hub";

export const SCOPES: readonly { id: Scope; title: string; text: string }[] = [
  {
    id: "auto",
    title: "What the file proves",
    text: "Missing findings of this format on the hosts of the file, if the file is a complete scan.",
  },
  { id: "hosts", title: "Hosts of the file", text: "Missing findings of any format on the hosts of the file." },
  { id: "vendor", title: "Vendors of the file", text: "Missing findings of the vendors in the file." },
  { id: "full", title: "All findings", text: "All missing findings: the file is the whole inventory." },
  { id: "none", title: "Nothing", text: "Only rows with a closed state resolve findings." },
];

const PHASES: Record<ImportStatus, string> = {
  queued: "Waiting",
  starting: "Starting",
  parsing: "Reading",
  staging: "Reading",
  processing: "Merging",
  finalizing: "Finishing",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Canceled",
};

export const phaseOf = (status: ImportStatus): string => PHASES[status] ?? status;

export interface Outcome {
  title: string;
  kind: "good" | "critical" | "medium" | "info";
}

/** Return how an import ended, or that it runs. */
export function outcomeOf({ status, error_code, undone_at }: ImportJob): Outcome {
  if (undone_at !== null) return { title: "Undone", kind: "info" };
  if (status === "completed") return { title: "Completed", kind: "good" };
  if (status === "cancelled") return { title: "Canceled", kind: "info" };
  if (status !== "failed") return { title: "Running", kind: "info" };
  return error_code === "INTERRUPTED"
    ? { title: "Interrupted", kind: "medium" }
    : { title: "Failed", kind: "critical" };
}

const FIELDS: Record<string, string> = {
  cve: "CVE",
  host: "Host",
  hostname: "Host name",
  address: "Address",
  ip: "Address",
  plugin_id: "Plugin ID",
  plugin_name: "Plugin name",
  cvss: "CVSS score",
  cvss_score: "CVSS score",
  vpr: "VPR score",
  vpr_score: "VPR score",
};

/** Return the name of a field of findings for users. */
export const fieldTitle = (name: string): string =>
  FIELDS[name] ?? (name.charAt(0).toUpperCase() + name.slice(1)).replaceAll("_", " ");

export function bytes(size: number): string {
  if (size < 1000) return `${size} bytes`;
  return size < 1_000_000 ? `${Math.round(size / 1000)} kB` : `${(size / 1_000_000).toFixed(1)} MB`;
}
