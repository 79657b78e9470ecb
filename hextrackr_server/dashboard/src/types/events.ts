/** Types of the events of the HexTrackr hub 0.1.0, by `hextrackr-server types`: do not edit. `io<ServerToClientEvents, ClientToServerEvents>(url)` */

/** A request for a page of a resource, or for one record by its ID. */
export interface DataRequest {
  resource: "findings" | "vulnerabilities" | "vulnerability" | "resolved" | "devices" | "imports" | "import" | "kev" | "progress" | "sources" | "tickets" | "trends" | "editors";
  id?: number | string | null;
  filters?: Record<string, any> | null;
  /** Default: 1. */
  page?: number;
  /** Default: 50. */
  limit?: number;
  sort?: string | null;
}

/** Filters of findings; an empty or missing one selects all. Dates look like 2025-09-30. */
export interface FindingFilters {
  severity?: "critical" | "high" | "medium" | "low" | "info" | "unknown" | string | ("critical" | "high" | "medium" | "low" | "info" | "unknown")[] | null;
  isKev?: boolean | null;
  vendor?: string | null;
  source?: string | null;
  cve?: string | null;
  host?: string | null;
  hostname?: string | null;
  search?: string | null;
  scanDate?: string | null;
  since?: string | null;
}

/** The same filters, inside an object. */
export interface NestedFilters {
  filters: FindingFilters | null;
}

/** Import of a file that was uploaded before. */
export interface UploadImport {
  source: "upload";
  vendor?: string | null;
  scanDate?: string | null;
  sessionId?: string | null;
  scope?: string | null;
  /** Default: false. */
  confirm?: boolean;
  /** Default: false. */
  allowPartial?: boolean;
  mapping?: string | null;
  uploadId: string;
}

/** Import of a small file within the event, as text or as rows. */
export interface InlineImport {
  source: "inline";
  vendor?: string | null;
  scanDate?: string | null;
  sessionId?: string | null;
  scope?: string | null;
  /** Default: false. */
  confirm?: boolean;
  /** Default: false. */
  allowPartial?: boolean;
  mapping?: string | null;
  filename: string;
  csv?: string | null;
  rows?: (Record<string, string | number | boolean | null>)[] | null;
}

/** Import of a file in the inbox. */
export interface PathImport {
  source: "path";
  vendor?: string | null;
  scanDate?: string | null;
  sessionId?: string | null;
  scope?: string | null;
  /** Default: false. */
  confirm?: boolean;
  /** Default: false. */
  allowPartial?: boolean;
  mapping?: string | null;
  path: string;
}

/** Import that a producer does and reports. */
export interface ExternalImport {
  source: "external";
  vendor?: string | null;
  scanDate?: string | null;
  sessionId?: string | null;
  scope?: string | null;
  /** Default: false. */
  confirm?: boolean;
  /** Default: false. */
  allowPartial?: boolean;
  mapping?: string | null;
  totalRecords?: number | null;
  filename?: string;
}

/** A message of an administrator. */
export interface Announcement {
  message: string;
  priority?: "low" | "normal" | "high" | "critical" | null;
}

/** The client to disconnect, by the ID of its socket. */
export interface DisconnectClient {
  id: string;
}

/** The requested page of the connected clients, of one user or of all. */
export interface ListClients {
  userId?: string | null;
  /** Default: 1. */
  page?: number;
  /** Default: 100. */
  limit?: number;
}

/** A maintenance window; the duration is in milliseconds, the start may be ISO 8601 text. */
export interface MaintenanceRequest {
  startTime: number | string;
  duration: number;
  message?: string | null;
}

/** The acknowledgement of a failed event. */
export interface Refusal {
  success: false;
  error: string;
  code: ErrorCode;
  fields?: FieldProblem[];
  details?: any;
  retryAfterMs?: number;
  errorId?: string;
}

/** Error codes in acknowledgements, in events and in HTTP bodies. */
export type ErrorCode = "VALIDATION_ERROR" | "UNAUTHORIZED" | "FORBIDDEN" | "NOT_FOUND" | "METHOD_NOT_ALLOWED" | "CONFLICT" | "TOO_LARGE" | "IMPORT_FAILED" | "INTERRUPTED" | "CANCELLED" | "STALLED" | "TIMEOUT" | "HANDLER_ERROR" | "SESSION_EXPIRED" | "RATE_LIMITED" | "UNKNOWN_EVENT" | "MAINTENANCE" | "UNAVAILABLE";

/** A field of a payload or file, and the problem with its value. */
export interface FieldProblem {
  path: string;
  message: string;
}

/** The acknowledgement of `cancel-import`. */
export interface StoppedImport {
  success: true;
  importId: number | string;
  status: "cancelled" | "cancelling";
}

/** The acknowledgement of `get-data`: the rows of a list, or one record. */
export interface DataAnswer {
  success: true;
  data: Vulnerability[] | Device[] | ImportJob[] | ImportEntry[] | Source[] | KevEntry[] | Ticket[] | TrendDay[] | ResourceEditor[] | VulnerabilityDetails | ImportRecord;
  pagination?: Pagination;
}

/** The place of a page among all rows. */
export interface Pagination {
  page: number;
  limit: number;
  total: number;
  pages: number;
}

/** The columns of one finding, with its texts. */
export interface VulnerabilityDetails {
  id: number;
  hostname: string;
  ip_address: string;
  cve: string;
  severity: string;
  vpr_score: number | null;
  cvss_score: number | null;
  plugin_id: string;
  plugin_name: string;
  vendor: string;
  vulnerability_date: string | null;
  first_seen: string;
  last_seen: string;
  scan_date: string;
  state: string;
  lifecycle_state: "active" | "reopened" | "resolved";
  resolved_date: string | null;
  resolution_reason: string | null;
  source: string;
  host_key: string;
  kev_due_date: string | null;
  known_ransomware_use: number | null;
  kev_required_action: string | null;
  isKev: "Yes" | "No";
  description: string;
  solution: string;
  operating_system: string;
  import_id: number;
}

/** The state of one import, and its row in the list of imports. */
export interface ImportRecord {
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
  timestamp: number;
  message: string;
  seq: number;
  result?: ImportResult;
  job: ImportJob | null;
}

/** A row of the lists of open and resolved findings. */
export interface Vulnerability {
  id: number;
  hostname: string;
  ip_address: string;
  cve: string;
  severity: string;
  vpr_score: number | null;
  cvss_score: number | null;
  plugin_id: string;
  plugin_name: string;
  vendor: string;
  vulnerability_date: string | null;
  first_seen: string;
  last_seen: string;
  scan_date: string;
  state: string;
  lifecycle_state: "active" | "reopened" | "resolved";
  resolved_date: string | null;
  resolution_reason: string | null;
  source: string;
  host_key: string;
  kev_due_date: string | null;
  known_ransomware_use: number | null;
  kev_required_action: string | null;
  isKev: "Yes" | "No";
}

/** A host with its open vulnerabilities. */
export interface Device {
  hostname: string;
  hostKey: string;
  totalCount: number;
  totalVPR: number;
  criticalCount: number;
  criticalVPR: number;
  highCount: number;
  highVPR: number;
  mediumCount: number;
  mediumVPR: number;
  lowCount: number;
  lowVPR: number;
  hasKev: boolean;
}

/** An import in the list of imports. */
export interface ImportJob {
  import_id: number;
  session_id: string;
  user_id: string;
  filename: string;
  vendor: string | null;
  scan_date: string | null;
  scope: string | null;
  status: string;
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

/** A running or recently ended import; `external` is one that a producer does. */
export interface ImportEntry {
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
  timestamp: number;
  message: string;
  seq: number;
  result?: ImportResult;
  userId: string | null;
  filename: string;
  vendor: string | null;
  external: boolean;
  interrupted: boolean;
}

/** A format that reports findings, with the number of its open findings. */
export interface Source {
  source: string;
  title: string;
  findings: number;
}

/** An entry of the KEV catalog; `matched` is whether it has open findings. */
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
  cwes: string;
  last_synced: number;
  matched: boolean;
  open_findings: number;
  hosts: number;
  max_severity: string | null;
}

/** A ticket as the list of tickets contains it. */
export interface Ticket {
  id: string;
  xt_number: string | null;
  date_submitted: string | null;
  date_due: string | null;
  hexagon_ticket: string | null;
  service_now_ticket: string | null;
  location: string;
  devices: string | null;
  supervisor: string | null;
  tech: string | null;
  status: string | null;
  notes: string | null;
  site: string | null;
  job_type: string | null;
  created_at: string | null;
  updated_at: string | null;
}

/** The totals of a scan day. */
export interface TrendDay {
  date: string;
  Critical: DayTotals;
  High: DayTotals;
  Medium: DayTotals;
  Low: DayTotals;
  resolved: number;
  reopened: number;
}

/** A user who edits a resource. */
export interface ResourceEditor {
  resourceType: string;
  resourceId: number | string;
  userId: string;
  username: string;
  startTime: number;
}

/** The states of an import in order; the last three are final. */
export type ImportStatus = "queued" | "starting" | "parsing" | "staging" | "processing" | "finalizing" | "completed" | "failed" | "cancelled";

/** The result of an ended import; a failed one has a code and a message only. */
export interface ImportResult {
  totalProcessed?: number;
  errors?: number;
  errorDetails?: RowProblem[];
  warnings?: number;
  warningDetails?: FileWarning[];
  summary?: ImportCounts;
  code?: string;
  message?: string;
  fields?: FieldProblem[];
  details?: any;
  detailsOmitted?: boolean;
}

/** Open vulnerabilities of a severity on a day. */
export interface DayTotals {
  count: number;
  total_vpr: number;
}

/** Numbers of rows and findings of an import; those of a producer may have other fields. */
export interface ImportCounts {
  notices?: string[];
  profile?: string;
  rows?: number;
  rowsSkipped?: number;
  findings?: number;
  duplicates?: number;
  inserted?: number;
  updated?: number;
  reopened?: number;
  resolved?: number;
  withheld?: number;
  adopted?: number;
  withoutSource?: number;
  absence?: Absence;
  warnings?: WarningCount[];
  vendors?: string[];
  scanDate?: string;
  scope?: string;
}

/** A problem of one row; rows are numbered as in a spreadsheet. */
export interface RowProblem {
  row: number;
  column: string;
  message: string;
  value?: string | null;
}

/** A value that was not understood; null stands for a whole row, column or file. */
export interface FileWarning {
  column: string | null;
  row: number | null;
  value: string | null;
  message: string;
}

/** The findings that are missing from the file and were resolved, or would be if confirmed. */
export interface Absence {
  scope: string;
  reason: string;
  missing: number;
  openInScope: number;
  openOfAll: number;
  namedHosts: number;
  confirmationRequired: boolean;
}

/** The number of warnings of a kind. */
export interface WarningCount {
  column: string;
  message: string;
  count: number;
}

/** The acknowledgement of `get-vulnerability-stats`. */
export interface StatisticsAnswer {
  success: true;
  data: Statistics;
}

/** Statistics of open findings; `trend` is null with filters. */
export interface Statistics {
  bySeverity: SeverityNumbers;
  totals: Totals;
  trend: Trend | null;
  kev: KevNumbers;
  vendors: VendorTotals[];
  lastImport: LastImport | null;
  generatedAt: number;
}

/** The totals of all severities. */
export interface SeverityNumbers {
  critical: SeverityTotals;
  high: SeverityTotals;
  medium: SeverityTotals;
  low: SeverityTotals;
  info: SeverityTotals;
  unknown: SeverityTotals;
}

/** Numbers of open vulnerabilities, findings, devices and CVEs. */
export interface Totals {
  vulnerabilities: number;
  findings: number;
  total_vpr: number;
  devices: number;
  cves: number;
}

/** Numbers of entries of the KEV catalog: all, with ransomware use, open, overdue. */
export interface KevNumbers {
  total_kevs: number;
  ransomware_kevs: number;
  matched_kevs: number;
  overdue_kevs: number;
}

/** Open vulnerabilities of a severity; dates look like 2025-09-30. */
export interface SeverityTotals {
  count: number;
  total_vpr: number;
  avg_vpr: number;
  earliest: string | null;
  latest: string | null;
}

/** The differences of all severities between the last two scan days. */
export interface Trend {
  Critical: SeverityChange;
  High: SeverityChange;
  Medium: SeverityChange;
  Low: SeverityChange;
}

/** Open vulnerabilities of a vendor. */
export interface VendorTotals {
  vendor: string;
  count: number;
  avgVpr: number;
  maxVpr: number;
  affectedDevices: number;
}

/** The last completed import. */
export interface LastImport {
  importId: number;
  filename: string;
  vendor: string | null;
  scanDate: string | null;
  rowCount: number | null;
}

/** The difference between the last two scan days. */
export interface SeverityChange {
  count_change: number;
  vpr_change: number;
}

/** The acknowledgement of `join-import-room`. */
export interface FollowedImport {
  success: true;
  status: ImportState;
}

/** The current state of an import. */
export interface ImportState {
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
  timestamp: number;
  message: string;
  seq: number;
  result?: ImportResult;
}

/** The acknowledgement of `join-progress`; the status is null before the session begins. */
export interface FollowedSession {
  success: true;
  status: ProgressStatus | null;
}

/** The state of a session, as the dialog of HexTrackr's front end names it. */
export interface ProgressStatus {
  sessionId: string;
  progress: number;
  status: "processing" | "completed" | "error" | "cancelled";
  message: string;
  metadata: SessionMetadata;
  late?: true;
  interrupted?: true;
}

/** Details of a session; those of a producer may have other fields. */
export interface SessionMetadata {
  operation?: string;
  message?: string;
  importId?: number | string;
  filename?: string;
  vendor?: string | null;
  scanDate?: string | null;
  totalSteps?: number;
  currentStep?: number;
  rowCount?: number | null;
  processedRows?: number;
  success?: boolean;
  stagingErrors?: number;
  insertedToCurrent?: number;
  updatedInCurrent?: number;
  reopenedCount?: number;
  resolvedCount?: number;
  importSummary?: Record<string, any>;
  importSummaryOmitted?: boolean;
}

/** The acknowledgement of an event without a result. */
export interface Success {
  success: true;
}

/** The acknowledgement with the editors of a resource. */
export interface Editors {
  success: true;
  currentEditors: Editor[];
}

/** A user who edits a resource; `socketId` is that of the receiving socket. */
export interface Editor {
  userId: string;
  username: string;
  startTime: number;
  socketId?: string;
}

/** The acknowledgement of `start-import`. */
export interface StartedImport {
  success: true;
  importId: number;
  sessionId: string;
  status: "queued";
  totalRecords: number | null;
}

/** The acknowledgement of `undo-import`: the numbers of findings. */
export interface UndoneImport {
  success: true;
  importId: number;
  deleted: number;
  restored: number;
}

/** An error that no acknowledgement contains. */
export interface ApplicationError {
  code: ErrorCode;
  message: string;
  timestamp: number;
  event?: string;
  fields?: FieldProblem[];
  details?: any;
  retryAfterMs?: number;
  errorId?: string;
}

export interface BatchUpdates {
  "vulnerability-change"?: VulnerabilityChange[];
  "vulnerability-updated"?: VulnerabilityUpdate[];
}

/** A change of a finding, or the summary of many; `personalized` marks one for its user. */
export interface VulnerabilityChange {
  type: "created" | "updated" | "deleted" | "status_changed";
  data: ChangeSummary | FindingProperties;
  timestamp: number;
  personalized?: true;
}

/** The current properties of a finding. */
export interface VulnerabilityUpdate {
  id: number | string;
  data: FindingProperties;
  timestamp: number;
}

/** Properties of a changed finding, or of a CVE in the KEV catalog. */
export interface FindingProperties {
  id?: number | string;
  hostname?: string;
  ip_address?: string;
  cve?: string;
  severity?: string;
  vpr_score?: number | null;
  cvss_score?: number | null;
  plugin_id?: string;
  plugin_name?: string;
  vendor?: string;
  first_seen?: string;
  last_seen?: string;
  scan_date?: string;
  state?: string;
  lifecycle_state?: "active" | "reopened" | "resolved";
  resolved_date?: string | null;
  resolution_reason?: string | null;
  status?: string;
  isKev?: boolean;
  dueDate?: string;
  knownRansomwareCampaignUse?: boolean;
  hosts?: number | string[];
  countsDelta?: Record<string, any>;
}

/** The summary of many changes; an import has all numbers of its findings. */
export interface ChangeSummary {
  summary: true;
  importId?: number;
  created?: number;
  updated?: number;
  deleted?: number;
  status_changed?: number;
  resolved?: number;
  reopened?: number;
  restored?: number;
  undone?: true;
  dataRestored?: true;
  backupTime?: number;
  topCritical?: FindingProperties[];
  changes?: SentChanges;
}

/** The numbers of changed findings that the hub sent and did not send. */
export interface SentChanges {
  sent: number;
  more: number;
}

/** The end of an import; `late` marks an event that is sent at a connection. */
export interface ImportEnded {
  totalProcessed?: number;
  errors?: number;
  errorDetails?: RowProblem[];
  warnings?: number;
  warningDetails?: FileWarning[];
  summary?: ImportCounts;
  code?: string;
  message?: string;
  fields?: FieldProblem[];
  details?: any;
  detailsOmitted?: boolean;
  importId: number | string;
  sessionId: string;
  status: ImportStatus;
  duration: number;
  timestamp: number;
  processed?: number;
  total?: number | null;
  late?: true;
}

/** The progress of an import; `late` and `interrupted` mark events sent at a connection. */
export interface ImportProgress {
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
  timestamp: number;
  message: string;
  seq: number;
  result?: ImportResult;
  progress: ImportStep;
  late?: true;
  interrupted?: true;
}

/** The progress of an import, as a part of `import-progress`. */
export interface ImportStep {
  processed: number;
  total: number | null;
  percentage: number;
  status: ImportStatus;
  timestamp: number;
}

/** An import that has started. */
export interface ImportStarted {
  importId: number | string;
  sessionId: string;
  totalRecords: number | null;
  filename: string;
  vendor: string | null;
  timestamp: number;
}

/** The import whose findings are as they were before it. */
export interface ImportUndone {
  importId: number;
  deleted: number;
  restored: number;
  timestamp: number;
}

/** The progress of a synchronization of the KEV catalog. */
export interface KevSyncUpdate {
  status: "started" | "fetching" | "processing" | "completed" | "failed" | "skipped";
  processedCount: number;
  newEntries: number;
  timestamp: number;
  total?: number;
  matchedCount?: number;
  catalogVersion?: string | null;
  changes?: SentChanges;
  problemEntries?: number;
  error?: string;
}

/** A planned or active maintenance window; times are milliseconds. */
export interface MaintenanceWindow {
  id: string;
  startTime: number;
  duration: number;
  scheduledBy: string;
  isActive: boolean;
  timestamp: number;
  message?: string;
}

/** The end of a completed session. */
export interface ProgressComplete {
  sessionId: string;
  progress: number;
  status: "processing" | "completed" | "error" | "cancelled";
  message: string;
  metadata: SessionMetadata;
  timestamp: number;
  duration: number;
}

/** The end of a failed or cancelled session. */
export interface ProgressError {
  sessionId: string;
  progress: number;
  status: "processing" | "completed" | "error" | "cancelled";
  message: string;
  metadata: SessionMetadata;
  timestamp: number;
  error: ProgressFailure;
}

/** The reason why a session ended early. */
export interface ProgressFailure {
  code?: string;
  message?: string;
}

/** The progress of a session; `eta` is in seconds. */
export interface ProgressUpdate {
  sessionId: string;
  progress: number;
  status: "processing" | "completed" | "error" | "cancelled";
  message: string;
  metadata: SessionMetadata;
  timestamp: number;
  stage: string;
  current: number;
  total: number | null;
  eta: number | null;
}

export interface SystemAnnouncement {
  id: string;
  message: string;
  priority: "low" | "normal" | "high" | "critical";
  timestamp: number;
  from: string;
}

/** A notification for all users; one of a maintenance has the ID of its window. */
export interface SystemNotification {
  id: string;
  type: string;
  message: string;
  timestamp: number;
  maintenanceId?: string;
}

/** A notification for one user; it may arrive twice with the same ID. */
export interface UserNotification {
  id: string;
  type: string;
  message: string;
  timestamp: number;
  data?: any;
}

/** A user who started or stopped editing a resource. */
export interface EditingChange {
  resourceType: "ticket" | "vulnerability" | "device" | "import" | "template";
  resourceId: number | string;
  userId: string;
  user: EditingUser;
  timestamp: number;
}

/** The ID and the name of a user. */
export interface EditingUser {
  id: string;
  username: string;
}

/** The acknowledgement with the ID of a new object. */
export interface Created {
  success: true;
  id: string;
}

/** The acknowledgement of `disconnect-client`. */
export interface DisconnectedClient {
  success: true;
  id: string;
  userId: string;
}

/** The acknowledgement of `get-metrics`. */
export interface MetricsAnswer {
  success: true;
  data: Metrics;
}

/** Numbers of the server since its start; gauges are present values. */
export interface Metrics {
  totalConnections: number;
  activeConnections: number;
  reconnections: number;
  errors: number;
  errorsByType: Record<string, number>;
  uptimeSeconds: number;
  memoryBytes: number;
  gauges: Record<string, number | boolean>;
  timestamp: number;
}

/** The acknowledgement of `list-clients`. */
export interface ClientList {
  success: true;
  data: ConnectedClient[];
  pagination: Pagination;
}

/** A connected socket; `since` is its time in milliseconds. */
export interface ConnectedClient {
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

/** The acknowledgement of `list-maintenance`. */
export interface MaintenanceList {
  success: true;
  data: MaintenanceWindow[];
}

/** Events that the server sends in the namespace "/". */
export interface ServerToClientEvents {
  /** Report an error that no acknowledgement contains to the affected client. */
  "application-error": (error: ApplicationError) => void;
  /** Send further changes of findings, by type of event, to all users. */
  "batch-updates": (updates: BatchUpdates) => void;
  /** Report a cancelled import to its room and its user. */
  "import-cancelled": (end: ImportEnded) => void;
  /** Report a completed import to its room. */
  "import-completed": (end: ImportEnded) => void;
  /** Report a failed import to its room and its user. */
  "import-failed": (end: ImportEnded) => void;
  /** Report a completed import to its user. */
  "import-finished": (end: ImportEnded) => void;
  /** Report the progress of an import to its room, and in coarse steps to its user. */
  "import-progress": (progress: ImportProgress) => void;
  /** Report the start of an import to its user. */
  "import-started": (started: ImportStarted) => void;
  /** Report an undone import to its room, its user and administrators. */
  "import-undone": (undone: ImportUndone) => void;
  /** Report the progress of a synchronization of the KEV catalog to all users. */
  "kev-sync-update": (update: KevSyncUpdate) => void;
  /** Announce a maintenance window in every namespace. */
  "maintenance-scheduled": (window: MaintenanceWindow) => void;
  /** Answer the event `ping`. */
  pong: () => void;
  /** Report a completed session to the sockets that joined the session. */
  "progress-complete": (end: ProgressComplete) => void;
  /** Report a failed session to the sockets that joined the session. */
  "progress-error": (error: ProgressError) => void;
  /** Report the state of a session at its end, and when a socket joins the session. */
  "progress-status": (status: ProgressStatus) => void;
  /** Report the progress of a session to the sockets that joined the session. */
  "progress-update": (progress: ProgressUpdate) => void;
  /** Send a message of an administrator in every namespace. */
  "system-announcement": (announcement: SystemAnnouncement) => void;
  /** Send a notification to all users. */
  "system-notification": (notification: SystemNotification) => void;
  /** Notify one user; with HEXTRACKR_NOTIFICATION_ACKS=true, the client acknowledges. */
  "user-notification": (notification: UserNotification) => void;
  /** Report a user who edits a resource to all other users, or to its watchers. */
  "user-started-editing": (change: EditingChange) => void;
  /** Report a user who stopped editing to all other users, or to the watchers. */
  "user-stopped-editing": (change: EditingChange) => void;
  /** Report a changed finding, or the summary of many, to all users. */
  "vulnerability-change": (change: VulnerabilityChange) => void;
  /** Report a changed finding to an affected user. */
  "vulnerability-notification": (change: VulnerabilityChange) => void;
  /** Send the current properties of a finding to all users. */
  "vulnerability-updated": (update: VulnerabilityUpdate) => void;
}

/** Events that the server handles in the namespace "/". */
export interface ClientToServerEvents {
  /** Stop an import; its findings stay unchanged. */
  "cancel-import": (importId: number | string, ack: (answer: StoppedImport | Refusal) => void) => void;
  /** Return a page of a list, or one record. */
  "get-data": (query: DataRequest, ack: (answer: DataAnswer | Refusal) => void) => void;
  /** Return statistics of the open findings that match filters. */
  "get-vulnerability-stats": (
    ...args:
      | [ack: (answer: StatisticsAnswer | Refusal) => void]
      | [filters: FindingFilters | NestedFilters | null, ack: (answer: StatisticsAnswer | Refusal) => void]
  ) => void;
  /** Receive the progress of an import. */
  "join-import-room": (importId: number | string, ack: (answer: FollowedImport | Refusal) => void) => void;
  /** Receive the progress of a session, which may not exist yet. */
  "join-progress": (sessionId: string, ack: (answer: FollowedSession | Refusal) => void) => void;
  /** Stop following an import. */
  "leave-import-room": (importId: number | string, ack: (answer: Success | Refusal) => void) => void;
  /** Stop following a session. */
  "leave-progress": (sessionId: string, ack: (answer: Success | Refusal) => void) => void;
  /** Request the event `pong`. */
  ping: () => void;
  /** Start or continue to edit a resource. */
  "start-editing": (resourceType: "ticket" | "vulnerability" | "device" | "import" | "template", resourceId: number | string, ack: (answer: Editors | Refusal) => void) => void;
  /** Start the import of a file, or of the records of a producer. */
  "start-import": (payload: UploadImport | InlineImport | PathImport | ExternalImport, ack: (answer: StartedImport | Refusal) => void) => void;
  /** Stop editing a resource. */
  "stop-editing": (resourceType: "ticket" | "vulnerability" | "device" | "import" | "template", resourceId: number | string, ack: (answer: Success | Refusal) => void) => void;
  /** Undo the last import of a source; for administrators. */
  "undo-import": (importId: number | string, ack: (answer: UndoneImport | Refusal) => void) => void;
  /** Stop watching a resource. */
  "unwatch-resource": (resourceType: "ticket" | "vulnerability" | "device" | "import" | "template", resourceId: number | string, ack: (answer: Success | Refusal) => void) => void;
  /** Receive the changes of the editors of a resource. */
  "watch-resource": (resourceType: "ticket" | "vulnerability" | "device" | "import" | "template", resourceId: number | string, ack: (answer: Editors | Refusal) => void) => void;
}

/** Events that the server sends in the namespace "/admin". */
export interface AdminServerToClientEvents {
  /** Report an error that no acknowledgement contains to the affected client. */
  "application-error": (error: ApplicationError) => void;
  /** Announce a maintenance window in every namespace. */
  "maintenance-scheduled": (window: MaintenanceWindow) => void;
  /** Send a message of an administrator in every namespace. */
  "system-announcement": (announcement: SystemAnnouncement) => void;
}

/** Events that the server handles in the namespace "/admin". */
export interface AdminClientToServerEvents {
  /** Send an announcement to all namespaces. */
  "broadcast-announcement": (payload: Announcement, ack: (answer: Created | Refusal) => void) => void;
  /** Cancel or end a maintenance window. */
  "cancel-maintenance": (number: string, ack: (answer: Success | Refusal) => void) => void;
  /** Disconnect a client with its connection. */
  "disconnect-client": (payload: DisconnectClient, ack: (answer: DisconnectedClient | Refusal) => void) => void;
  /** Return the numbers of the server. */
  "get-metrics": (ack: (answer: MetricsAnswer | Refusal) => void) => void;
  /** Return a page of the connected clients. */
  "list-clients": (
    ...args:
      | [ack: (answer: ClientList | Refusal) => void]
      | [payload: ListClients, ack: (answer: ClientList | Refusal) => void]
  ) => void;
  /** Return the planned and active maintenance windows. */
  "list-maintenance": (ack: (answer: MaintenanceList | Refusal) => void) => void;
  /** Schedule and announce a maintenance window. */
  "system-maintenance": (payload: MaintenanceRequest, ack: (answer: Created | Refusal) => void) => void;
}

/** Events that the server sends in the namespace "/users". */
export interface UsersServerToClientEvents {
  /** Report an error that no acknowledgement contains to the affected client. */
  "application-error": (error: ApplicationError) => void;
  /** Announce a maintenance window in every namespace. */
  "maintenance-scheduled": (window: MaintenanceWindow) => void;
  /** Send a message of an administrator in every namespace. */
  "system-announcement": (announcement: SystemAnnouncement) => void;
}

/** Events that the server handles in the namespace "/users". */
export interface UsersClientToServerEvents {
}
