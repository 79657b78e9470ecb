/** Filters and sort order of the table, as parameters of its address and as the hub reads them. */

export const STATES = ["open", "active", "reopened", "resolved", "all"] as const;
export const DEFAULT_SORT = "-vpr_score";

export interface Filters {
  search: string;
  severity: string[];
  state: string;
  vendor: string;
  source: string;
  host: string;
  cve: string;
  isKev: boolean;
}

export function readFilters(parameters: URLSearchParams): Filters {
  const text = (name: string): string => parameters.get(name) ?? "";
  const state = text("state");
  return {
    search: text("search"),
    severity: text("severity").split(",").filter(Boolean),
    state: (STATES as readonly string[]).includes(state) ? state : "open",
    vendor: text("vendor"),
    source: text("source"),
    host: text("host"),
    cve: text("cve"),
    isKev: text("isKev") === "true",
  };
}

/** Return the filters of `get-data`, without those that select everything. */
export function toRequest(filters: Filters): Record<string, unknown> {
  const { severity, isKev, ...texts } = filters;
  const wanted: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(texts)) if (value !== "") wanted[name] = value;
  if (severity.length) wanted.severity = severity;
  if (isKev) wanted.isKev = true;
  return wanted;
}

/** Return the same filters as the query of an export. */
export function toQuery(filters: Filters): Record<string, string> {
  const query: Record<string, string> = {};
  for (const [name, value] of Object.entries(toRequest(filters))) {
    query[name] = Array.isArray(value) ? value.join(",") : String(value);
  }
  return query;
}

export function countFilters({ severity, state, isKev, ...texts }: Filters): number {
  const set = Object.values(texts).filter((value) => value !== "").length;
  return set + Number(severity.length > 0) + Number(state !== "open") + Number(isKev);
}

/** Return the order after a click on a column: scores and dates begin with the highest. */
export function nextSort(current: string, column: string, descendingFirst: boolean): string {
  const [down, up] = [`-${column}`, column];
  const first = descendingFirst ? down : up;
  if (current !== down && current !== up) return first;
  return current === down ? up : down;
}
