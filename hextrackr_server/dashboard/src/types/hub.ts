/** Payloads of imports, known exploited vulnerabilities and administration; docs/clients.md, docs/hub.md. */

import type { FieldProblem } from "../api";

export interface Page<T> {
  data: T[];
  pagination: { page: number; limit: number; total: number; pages: number };
}

export type ImportStatus =
  | "queued"
  | "starting"
  | "parsing"
  | "staging"
  | "processing"
  | "finalizing"
  | "completed"
  | "failed"
  | "cancelled";

/** A running or recently ended import, as `get-data` lists `progress`. */
export interface Progress {
  importId: number | string;
  sessionId: string;
  status: ImportStatus;
  processed: number;
  total: number | null;
  percentage: number;
  overall: number;
  elapsedTime: number;
  etaMs: number | null;
  rate: number;
  message: string;
  seq: number;
  timestamp: number;
  userId: string | null;
  filename: string;
  vendor: string | null;
  external: boolean;
  interrupted: boolean;
}

/** A stored import, as `get-data` lists `imports`. */
export interface ImportJob {
  import_id: number;
  session_id: string;
  user_id: string;
  filename: string;
  vendor: string | null;
  scan_date: string;
  scope: Scope;
  status: ImportStatus | "running";
  total: number | null;
  processed: number;
  errors: number;
  error_code: string | null;
  error_message: string | null;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
  undone_at: number | null;
  profile: string | null;
  findings: number | null;
  inserted: number | null;
  updated: number | null;
  reopened: number | null;
  resolved: number | null;
  withheld: number | null;
  warnings: number | null;
  confirmation_required: boolean | null;
}

export interface WarningKind {
  column: string;
  message: string;
  count: number;
}

export interface WarningDetail {
  column: string;
  row: number | null;
  value: string;
  message: string;
}

export interface RowProblem {
  row: number;
  column: string;
  message: string;
  value?: string;
}

export type Scope = "auto" | "hosts" | "vendor" | "full" | "none";

/** What the absence of findings from a file resolves. */
export interface Absence {
  scope: Scope;
  reason: string;
  missing: number;
  openInScope: number;
  openOfAll: number;
  namedHosts: number;
  confirmationRequired: boolean;
}

export interface ImportResult {
  code?: string;
  message?: string;
  fields?: FieldProblem[];
  totalProcessed?: number;
  errors?: number;
  errorDetails?: RowProblem[];
  warnings?: number;
  warningDetails?: WarningDetail[];
  summary?: {
    notices: string[];
    profile: string;
    rows: number;
    rowsSkipped: number;
    findings: number;
    duplicates: number;
    inserted: number;
    updated: number;
    reopened: number;
    resolved: number;
    withheld: number;
    adopted?: number;
    withoutSource?: number;
    absence: Absence;
    warnings: WarningKind[];
    vendors: string[];
    scanDate: string;
    scope: Scope;
  };
}

export interface ImportState extends Omit<Progress, "userId" | "filename" | "vendor" | "external" | "interrupted"> {
  result?: ImportResult;
  job: ImportJob | null;
}

export interface PreviewFinding {
  row: number;
  hostname: string;
  address: string;
  hostKey: string;
  cve: string;
  pluginId: string;
  pluginName: string;
  vendor: string;
  severity: string;
  cvssScore: number | null;
  vprScore: number | null;
  state: string;
  closedAs: string | null;
  firstSeen: string;
  lastSeen: string;
}

export interface Inspection {
  profile: string;
  title: string;
  scanDate: string;
  columns: Record<string, string[]>;
  unusedColumns: string[];
  rows: number;
  rowsSkipped: number;
  errors: number;
  errorDetails: RowProblem[];
  warnings: number;
  warningKinds: WarningKind[];
  warningDetails: WarningDetail[];
  notices: string[];
  findings: number;
  duplicates: number;
  vendors: string[];
  preview: PreviewFinding[];
  changes: { inserted: number; updated: number; reopened: number; resolved: number };
  absence: Record<Scope, Absence & { withheld: number }>;
}

export interface InspectionAnswer {
  uploadId: string;
  filename: string;
  size: number;
  sha256: string;
  expiresInMs: number;
  refused: { code: string; message: string; fields?: FieldProblem[] } | null;
  inspection: Inspection | null;
}

export interface KevEntry {
  cve_id: string;
  date_added: string;
  vulnerability_name: string;
  vendor_project: string;
  product: string;
  short_description: string;
  required_action: string;
  due_date: string;
  known_ransomware_use: number;
  notes: string;
  matched: boolean;
  open_findings: number;
  hosts: number;
  max_severity: string | null;
}

/** `GET api/kev/stats`. */
export interface KevStatistics {
  total_kevs: number;
  ransomware_kevs: number;
  matched_kevs: number;
  overdue_kevs: number;
}

/** `GET api/kev/status`. */
export interface KevStatus {
  totalKevs: number;
  matchedCount: number;
  lastSync: number | null;
  nextSync: number | null;
  catalogVersion: string | null;
  syncInProgress: boolean;
}

/** `kev-sync-update`. */
export interface KevProgress {
  status: "started" | "fetching" | "processing" | "completed" | "failed" | "skipped";
  processedCount: number;
  newEntries: number;
  total?: number;
  matchedCount?: number;
  catalogVersion?: string | null;
  error?: string;
  timestamp: number;
}

export interface Device {
  hostname: string;
  hostKey: string;
  totalCount: number;
  totalVPR: number;
  criticalCount: number;
  highCount: number;
  mediumCount: number;
  lowCount: number;
  hasKev: boolean;
}

export interface DayTotal {
  count: number;
  total_vpr: number;
}

export interface TrendDay {
  date: string;
  Critical: DayTotal;
  High: DayTotal;
  Medium: DayTotal;
  Low: DayTotal;
  resolved: number;
  reopened: number;
}

export interface Statistics {
  bySeverity: Record<string, { count: number; total_vpr: number }>;
  totals: { vulnerabilities: number; findings: number; total_vpr: number; devices: number; cves: number };
  trend: Record<string, { count_change: number; vpr_change: number }> | null;
  kev: KevStatistics;
  lastImport: { importId: number; filename: string; scanDate: string; vendor: string | null } | null;
}

export interface Client {
  id: string;
  userId: string;
  username: string;
  role: string;
  namespace: string;
  address: string;
  transport: string;
  since: number;
  recovered: boolean;
  userAgent: string;
  rooms: string[];
}

export interface Metrics {
  totalConnections: number;
  activeConnections: number;
  reconnections: number;
  errors: number;
  errorsByType: Record<string, number>;
  uptimeSeconds: number;
  memoryBytes: number;
  gauges: Record<string, number>;
  timestamp: number;
}

export interface MaintenanceWindow {
  id: string;
  startTime: number;
  duration: number;
  scheduledBy: string;
  isActive: boolean;
  message?: string;
}
