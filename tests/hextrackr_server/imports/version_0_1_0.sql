BEGIN TRANSACTION;
CREATE TABLE import_jobs (
	import_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	session_id VARCHAR(128) NOT NULL, 
	user_id VARCHAR(128) NOT NULL, 
	filename VARCHAR(255) NOT NULL, 
	vendor VARCHAR(255), 
	scan_date VARCHAR(10) NOT NULL, 
	scope VARCHAR(16) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	total INTEGER, 
	processed INTEGER NOT NULL, 
	errors INTEGER NOT NULL, 
	error_code VARCHAR(64), 
	error_message TEXT, 
	created_at BIGINT NOT NULL, 
	started_at BIGINT, 
	finished_at BIGINT, 
	result TEXT, 
	UNIQUE (session_id)
);
INSERT INTO "import_jobs" VALUES(1,'import-1-old','7','scan.csv','CISCO, Other','2030-05-01','vendor','completed',8,8,0,NULL,NULL,0,NULL,1795849702771,'{"totalProcessed": 8, "errors": 0, "errorDetails": [], "warnings": 0, "warningDetails": [], "summary": {"rows": 8, "findings": 8, "duplicates": 0, "inserted": 8, "updated": 0, "reopened": 0, "resolved": 0, "withheld": 0, "vendors": ["CISCO", "Other"], "scanDate": "2030-05-01", "scope": "vendor"}, "importSummary": {"sessionId": "import-1-old", "importMetadata": {"sessionId": "import-1-old", "importId": 1, "filename": "scan.csv", "vendor": "CISCO, Other", "scanDate": "2030-05-01", "totalRows": 8, "processingTime": 105}, "cveDiscovery": {"newCves": [{"cve": "CVE-2030-1001", "severity": "High", "hostCount": 2, "totalVpr": 0.0, "firstSeen": "2030-05-01"}, {"cve": "CVE-2030-1002", "severity": "High", "hostCount": 1, "totalVpr": 0.0, "firstSeen": "2030-05-01"}], "totalNewCves": 2, "totalNewVulnerabilities": 7, "totalNewVpr": 0.0, "resolvedCves": [], "totalResolvedCves": 0, "totalResolvedVulnerabilities": 0, "totalResolvedVpr": 0.0, "truncated": false}, "severityImpact": {"critical": {"current": 0, "previous": 0, "netChange": 0, "vprChange": 0}, "high": {"current": 3, "previous": 0, "netChange": 3, "vprChange": 0.0}, "medium": {"current": 0, "previous": 0, "netChange": 0, "vprChange": 0}, "low": {"current": 3, "previous": 0, "netChange": 3, "vprChange": 0.0}}, "hostImpact": {"totalUniqueHosts": 7, "newHostsAffected": 6, "existingHostsUpdated": 1}, "comparison": {"previousTotal": 0, "currentTotal": 7, "netChange": 7, "percentageChange": 0.0, "significantChange": false, "changeThreshold": 25, "resolvedCount": 0, "reopenedCount": 0}}}');
CREATE TABLE import_rejections (
	import_id INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	value VARCHAR(255) NOT NULL, 
	PRIMARY KEY (import_id, kind, value), 
	FOREIGN KEY(import_id) REFERENCES import_jobs (import_id)
);
CREATE TABLE kev_history (
	id INTEGER NOT NULL, 
	cve_id VARCHAR(32) NOT NULL, 
	change VARCHAR(16) NOT NULL, 
	catalog_version VARCHAR(64) NOT NULL, 
	changed_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE kev_status (
	cve_id VARCHAR(32) NOT NULL, 
	date_added VARCHAR(10) NOT NULL, 
	vulnerability_name TEXT NOT NULL, 
	vendor_project TEXT NOT NULL, 
	product TEXT NOT NULL, 
	short_description TEXT NOT NULL, 
	required_action TEXT NOT NULL, 
	due_date VARCHAR(10) NOT NULL, 
	known_ransomware_use INTEGER NOT NULL, 
	notes TEXT NOT NULL, 
	cwes TEXT NOT NULL, 
	last_synced BIGINT NOT NULL, 
	PRIMARY KEY (cve_id)
);
CREATE TABLE maintenance_windows (
	id VARCHAR(16) NOT NULL, 
	start_ms BIGINT NOT NULL, 
	duration_ms BIGINT NOT NULL, 
	message TEXT, 
	scheduled_by TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE meta (
	name VARCHAR(64) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "meta" VALUES('schema_version','4');
CREATE TABLE sync_metadata (
	id INTEGER NOT NULL, 
	sync_type VARCHAR(16) NOT NULL, 
	sync_time BIGINT NOT NULL, 
	version VARCHAR(64), 
	record_count INTEGER, 
	status VARCHAR(16) NOT NULL, 
	error_message TEXT, 
	next_sync_time BIGINT, 
	etag VARCHAR(255), 
	last_modified VARCHAR(64), 
	PRIMARY KEY (id)
);
CREATE TABLE tickets (
	id VARCHAR(64) NOT NULL, 
	xt_number VARCHAR(16), 
	date_submitted VARCHAR(32), 
	date_due VARCHAR(32), 
	hexagon_ticket VARCHAR(64), 
	service_now_ticket VARCHAR(64), 
	location VARCHAR(255) NOT NULL, 
	devices TEXT, 
	supervisor VARCHAR(255), 
	tech VARCHAR(255), 
	status VARCHAR(64), 
	notes TEXT, 
	site VARCHAR(255), 
	job_type VARCHAR(64), 
	deleted INTEGER NOT NULL, 
	created_at VARCHAR(32), 
	updated_at VARCHAR(32), 
	PRIMARY KEY (id)
);
CREATE TABLE user_notifications (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id VARCHAR(16) NOT NULL, 
	user_id VARCHAR(128) NOT NULL, 
	payload TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	UNIQUE (id)
);
CREATE TABLE vendor_daily_totals (
	scan_date VARCHAR(10) NOT NULL, 
	vendor VARCHAR(32) NOT NULL, 
	critical_count INTEGER NOT NULL, 
	critical_total_vpr FLOAT NOT NULL, 
	high_count INTEGER NOT NULL, 
	high_total_vpr FLOAT NOT NULL, 
	medium_count INTEGER NOT NULL, 
	medium_total_vpr FLOAT NOT NULL, 
	low_count INTEGER NOT NULL, 
	low_total_vpr FLOAT NOT NULL, 
	total_vulnerabilities INTEGER NOT NULL, 
	total_vpr FLOAT NOT NULL, 
	resolved_count INTEGER NOT NULL, 
	reopened_count INTEGER NOT NULL, 
	PRIMARY KEY (scan_date, vendor)
);
INSERT INTO "vendor_daily_totals" VALUES('2030-05-01','CISCO',0,0.0,0,0.0,0,0.0,1,0.0,1,0.0,0,0);
INSERT INTO "vendor_daily_totals" VALUES('2030-05-01','Other',0,0.0,3,0.0,0,0.0,2,0.0,6,0.0,0,0);
CREATE TABLE vulnerabilities_current (
	id INTEGER NOT NULL, 
	import_id INTEGER NOT NULL, 
	scan_date VARCHAR(10) NOT NULL, 
	hostname VARCHAR(255) NOT NULL, 
	ip_address VARCHAR(64) NOT NULL, 
	cve VARCHAR(128) NOT NULL, 
	severity VARCHAR(16) NOT NULL, 
	vpr_score FLOAT, 
	cvss_score FLOAT, 
	plugin_id VARCHAR(255) NOT NULL, 
	plugin_name VARCHAR(500) NOT NULL, 
	description TEXT NOT NULL, 
	solution TEXT NOT NULL, 
	vendor VARCHAR(32) NOT NULL, 
	vulnerability_date VARCHAR(10), 
	first_seen VARCHAR(10) NOT NULL, 
	last_seen VARCHAR(10) NOT NULL, 
	state VARCHAR(64) NOT NULL, 
	operating_system VARCHAR(255) NOT NULL, 
	unique_key VARCHAR(600) NOT NULL, 
	dedup_tier INTEGER NOT NULL, 
	confidence_score INTEGER NOT NULL, 
	lifecycle_state VARCHAR(16) NOT NULL, 
	resolved_date VARCHAR(10), 
	resolution_reason VARCHAR(64), 
	changed_import_id INTEGER, 
	PRIMARY KEY (id), 
	FOREIGN KEY(import_id) REFERENCES import_jobs (import_id)
);
INSERT INTO "vulnerabilities_current" VALUES(1,1,'2030-05-01','db-2','192.0.2.11','','Low',NULL,NULL,'900004','Example system','fourth','','CISCO',NULL,'2030-05-01','2030-05-01','ACTIVE','','asset:a-1|plugin:900004',1,95,'active',NULL,NULL,1);
INSERT INTO "vulnerabilities_current" VALUES(2,1,'2030-05-01','db-1','192.0.2.10','CVE-2030-1001','High',NULL,NULL,'900001','Example flaw','first','','Other',NULL,'2030-05-01','2030-05-01','ACTIVE','','cve:CVE-2030-1001|host:192.0.2.10',2,85,'active',NULL,NULL,1);
INSERT INTO "vulnerabilities_current" VALUES(3,1,'2030-05-01','web-1','','CVE-2030-1001','High',NULL,NULL,'900001','Example flaw','first','','Other',NULL,'2030-05-01','2030-05-01','ACTIVE','','cve:CVE-2030-1001|host:web-1',2,85,'active',NULL,NULL,1);
INSERT INTO "vulnerabilities_current" VALUES(4,1,'2030-05-01','fw1','','CVE-2030-1002','High',NULL,NULL,'900002','Example other flaw','second','','Other',NULL,'2030-05-01','2030-05-01','ACTIVE','','cve:CVE-2030-1002|host:fw1',2,85,'active',NULL,NULL,1);
INSERT INTO "vulnerabilities_current" VALUES(5,1,'2030-05-01','gone-2','','CVE-2030-1009','Low',NULL,NULL,'900010','Example fixed check','tenth','','Other',NULL,'2030-05-01','2030-05-01','FIXED','','cve:CVE-2030-1009|host:gone-2',2,85,'resolved','2030-05-01','reported_fixed',NULL);
INSERT INTO "vulnerabilities_current" VALUES(6,1,'2030-05-01','old-1','192.0.2.12','','Low',NULL,NULL,'','Example named check','Example text','','Other',NULL,'2030-05-01','2030-05-01','ACTIVE','','desc:93b0ec3f066ca5c4|host:192.0.2.12',4,50,'active',NULL,NULL,1);
INSERT INTO "vulnerabilities_current" VALUES(7,1,'2030-05-01','db-1','192.0.2.10','','Info',NULL,NULL,'900003','Example service','third','','Other',NULL,'2030-05-01','2030-05-01','ACTIVE','','plugin:900003|host:192.0.2.10|vendor:Other',3,70,'active',NULL,NULL,1);
INSERT INTO "vulnerabilities_current" VALUES(8,1,'2030-05-01','gone-1','','','Low',NULL,NULL,'900009','Example retired check','ninth','','Other',NULL,'2030-05-01','2030-05-01','ACTIVE','','plugin:900009|host:gone-1|vendor:Other',3,70,'active',NULL,NULL,1);
CREATE TABLE vulnerability_daily_totals (
	scan_date VARCHAR(10) NOT NULL, 
	critical_count INTEGER NOT NULL, 
	critical_total_vpr FLOAT NOT NULL, 
	high_count INTEGER NOT NULL, 
	high_total_vpr FLOAT NOT NULL, 
	medium_count INTEGER NOT NULL, 
	medium_total_vpr FLOAT NOT NULL, 
	low_count INTEGER NOT NULL, 
	low_total_vpr FLOAT NOT NULL, 
	total_vulnerabilities INTEGER NOT NULL, 
	total_vpr FLOAT NOT NULL, 
	resolved_count INTEGER NOT NULL, 
	reopened_count INTEGER NOT NULL, 
	PRIMARY KEY (scan_date)
);
INSERT INTO "vulnerability_daily_totals" VALUES('2030-05-01',0,0.0,3,0.0,0,0.0,3,0.0,7,0.0,0,0);
CREATE TABLE vulnerability_snapshots (
	id INTEGER NOT NULL, 
	import_id INTEGER NOT NULL, 
	scan_date VARCHAR(10) NOT NULL, 
	hostname VARCHAR(255) NOT NULL, 
	ip_address VARCHAR(64) NOT NULL, 
	cve VARCHAR(128) NOT NULL, 
	severity VARCHAR(16) NOT NULL, 
	vpr_score FLOAT, 
	cvss_score FLOAT, 
	plugin_id VARCHAR(255) NOT NULL, 
	plugin_name VARCHAR(500) NOT NULL, 
	vendor VARCHAR(32) NOT NULL, 
	vulnerability_date VARCHAR(10), 
	first_seen VARCHAR(10) NOT NULL, 
	last_seen VARCHAR(10) NOT NULL, 
	state VARCHAR(64) NOT NULL, 
	unique_key VARCHAR(600) NOT NULL, 
	dedup_tier INTEGER NOT NULL, 
	confidence_score INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(import_id) REFERENCES import_jobs (import_id)
);
INSERT INTO "vulnerability_snapshots" VALUES(1,1,'2030-05-01','db-2','192.0.2.11','','Low',NULL,NULL,'900004','Example system','CISCO',NULL,'2030-05-01','2030-05-01','ACTIVE','asset:a-1|plugin:900004',1,95);
INSERT INTO "vulnerability_snapshots" VALUES(2,1,'2030-05-01','db-1','192.0.2.10','CVE-2030-1001','High',NULL,NULL,'900001','Example flaw','Other',NULL,'2030-05-01','2030-05-01','ACTIVE','cve:CVE-2030-1001|host:192.0.2.10',2,85);
INSERT INTO "vulnerability_snapshots" VALUES(3,1,'2030-05-01','web-1','','CVE-2030-1001','High',NULL,NULL,'900001','Example flaw','Other',NULL,'2030-05-01','2030-05-01','ACTIVE','cve:CVE-2030-1001|host:web-1',2,85);
INSERT INTO "vulnerability_snapshots" VALUES(4,1,'2030-05-01','fw1','','CVE-2030-1002','High',NULL,NULL,'900002','Example other flaw','Other',NULL,'2030-05-01','2030-05-01','ACTIVE','cve:CVE-2030-1002|host:fw1',2,85);
INSERT INTO "vulnerability_snapshots" VALUES(5,1,'2030-05-01','gone-2','','CVE-2030-1009','Low',NULL,NULL,'900010','Example fixed check','Other',NULL,'2030-05-01','2030-05-01','FIXED','cve:CVE-2030-1009|host:gone-2',2,85);
INSERT INTO "vulnerability_snapshots" VALUES(6,1,'2030-05-01','old-1','192.0.2.12','','Low',NULL,NULL,'','Example named check','Other',NULL,'2030-05-01','2030-05-01','ACTIVE','desc:93b0ec3f066ca5c4|host:192.0.2.12',4,50);
INSERT INTO "vulnerability_snapshots" VALUES(7,1,'2030-05-01','db-1','192.0.2.10','','Info',NULL,NULL,'900003','Example service','Other',NULL,'2030-05-01','2030-05-01','ACTIVE','plugin:900003|host:192.0.2.10|vendor:Other',3,70);
INSERT INTO "vulnerability_snapshots" VALUES(8,1,'2030-05-01','gone-1','','','Low',NULL,NULL,'900009','Example retired check','Other',NULL,'2030-05-01','2030-05-01','ACTIVE','plugin:900009|host:gone-1|vendor:Other',3,70);
CREATE TABLE vulnerability_staging (
	id INTEGER NOT NULL, 
	import_id INTEGER NOT NULL, 
	row_number INTEGER NOT NULL, 
	weight INTEGER NOT NULL, 
	hostname VARCHAR(255) NOT NULL, 
	ip_address VARCHAR(64) NOT NULL, 
	cve VARCHAR(128) NOT NULL, 
	severity VARCHAR(16) NOT NULL, 
	vpr_score FLOAT, 
	cvss_score FLOAT, 
	plugin_id VARCHAR(255) NOT NULL, 
	plugin_name VARCHAR(500) NOT NULL, 
	description TEXT NOT NULL, 
	solution TEXT NOT NULL, 
	vendor VARCHAR(32) NOT NULL, 
	vulnerability_date VARCHAR(10), 
	first_seen VARCHAR(10) NOT NULL, 
	last_seen VARCHAR(10) NOT NULL, 
	state VARCHAR(64) NOT NULL, 
	operating_system VARCHAR(255) NOT NULL, 
	unique_key VARCHAR(600) NOT NULL, 
	dedup_tier INTEGER NOT NULL, 
	confidence_score INTEGER NOT NULL, 
	lifecycle_state VARCHAR(16) NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(import_id) REFERENCES import_jobs (import_id)
);
CREATE INDEX ix_kev_history_cve ON kev_history (cve_id);
CREATE INDEX ix_sync_metadata_type ON sync_metadata (sync_type, id);
CREATE INDEX ix_user_notifications_user ON user_notifications (user_id, number);
CREATE INDEX ix_user_notifications_age ON user_notifications (created_at);
CREATE UNIQUE INDEX ix_staging_key ON vulnerability_staging (import_id, unique_key);
CREATE INDEX ix_current_cve ON vulnerabilities_current (cve);
CREATE INDEX ix_current_vendor ON vulnerabilities_current (vendor, lifecycle_state);
CREATE INDEX ix_current_hostname ON vulnerabilities_current (hostname);
CREATE UNIQUE INDEX ix_current_key ON vulnerabilities_current (unique_key);
CREATE UNIQUE INDEX ix_snapshots_key ON vulnerability_snapshots (scan_date, unique_key);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('import_jobs',1);
COMMIT;
