/** Payloads of the hub that the page reads; see docs/clients.md. */

export interface Finding {
  id: number;
  hostname: string;
  ip_address: string | null;
  host_key: string;
  cve: string | null;
  severity: string;
  vpr_score: number | null;
  cvss_score: number | null;
  plugin_id: string | null;
  plugin_name: string | null;
  vendor: string | null;
  vulnerability_date: string | null;
  first_seen: string | null;
  last_seen: string | null;
  scan_date: string | null;
  state: string | null;
  lifecycle_state: "active" | "resolved" | "reopened";
  resolved_date: string | null;
  resolution_reason: string | null;
  source: string | null;
  kev_due_date: string | null;
  known_ransomware_use: string | null;
  kev_required_action: string | null;
  isKev: "Yes" | "No";
}

export interface FindingDetails extends Finding {
  description: string | null;
  solution: string | null;
  operating_system: string | null;
  import_id: number | null;
}

export interface Pagination {
  page: number;
  limit: number;
  total: number;
  pages: number;
}

export interface ListAnswer<T> {
  data: T[];
  pagination: Pagination;
}

/** An editor, as `get-data` lists editors. */
export interface Editor {
  resourceType: string;
  resourceId: string | number;
  userId: string;
  username: string;
  startTime: number;
}

/** `vulnerability-updated`, also within `batch-updates`. */
export interface FindingUpdate {
  id: number | string;
  data: Partial<Finding>;
}
