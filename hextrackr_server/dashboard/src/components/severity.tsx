/** The severity of a finding, as a badge whose text also has the meaning of its color. */

const KNOWN = new Set(["critical", "high", "medium", "low", "info"]);

export const SEVERITIES = ["Critical", "High", "Medium", "Low", "Info"] as const;

export function Severity({ value }: { value: string }) {
  const name = value.toLowerCase();
  return <span class={KNOWN.has(name) ? `badge badge-${name}` : "badge"}>{value || "Unknown"}</span>;
}
