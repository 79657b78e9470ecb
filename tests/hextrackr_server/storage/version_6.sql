BEGIN TRANSACTION;
CREATE TABLE external_imports (
	session_id VARCHAR(128) NOT NULL, 
	finished_at BIGINT, 
	state TEXT NOT NULL, 
	PRIMARY KEY (session_id)
);
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
INSERT INTO "import_jobs" VALUES(1,'session-0','7','export.csv','CISCO, Other','2030-05-01','auto','completed',3,3,0,NULL,NULL,0,NULL,1795857652998,'{"totalProcessed": 3, "errors": 0, "errorDetails": [], "warnings": 0, "warningDetails": [], "summary": {"notices": [], "profile": "tenable_vm", "rows": 3, "rowsSkipped": 0, "findings": 4, "duplicates": 0, "inserted": 4, "updated": 0, "reopened": 0, "resolved": 0, "withheld": 0, "absence": {"scope": "none", "reason": "an export of this format does not list all findings of a host", "missing": 0, "openInScope": 0, "openOfAll": 0, "namedHosts": 0, "confirmationRequired": false}, "warnings": [], "vendors": ["CISCO", "Other"], "scanDate": "2030-05-01", "scope": "auto", "adopted": 0, "withoutSource": 0}, "importSummary": {"sessionId": "session-0", "importMetadata": {"sessionId": "session-0", "importId": 1, "filename": "export.csv", "vendor": "CISCO, Other", "scanDate": "2030-05-01", "totalRows": 3, "processingTime": 38}, "cveDiscovery": {"newCves": [{"cve": "CVE-2030-1001", "severity": "High", "hostCount": 1, "totalVpr": 7.5, "firstSeen": "2030-05-01"}, {"cve": "CVE-2030-1002", "severity": "High", "hostCount": 1, "totalVpr": 7.5, "firstSeen": "2030-05-01"}], "totalNewCves": 2, "totalNewVulnerabilities": 4, "totalNewVpr": 17.5, "resolvedCves": [], "totalResolvedCves": 0, "totalResolvedVulnerabilities": 0, "totalResolvedVpr": 0.0, "truncated": false}, "severityImpact": {"critical": {"current": 0, "previous": 0, "netChange": 0, "vprChange": 0}, "high": {"current": 1, "previous": 0, "netChange": 1, "vprChange": 7.5}, "medium": {"current": 0, "previous": 0, "netChange": 0, "vprChange": 0}, "low": {"current": 1, "previous": 0, "netChange": 1, "vprChange": 2.5}}, "hostImpact": {"totalUniqueHosts": 2, "newHostsAffected": 2, "existingHostsUpdated": 0}, "comparison": {"previousTotal": 0, "currentTotal": 3, "netChange": 3, "percentageChange": 0.0, "significantChange": false, "changeThreshold": 25, "resolvedCount": 0, "reopenedCount": 0}}}');
INSERT INTO "import_jobs" VALUES(2,'session-1','7','export.csv','CISCO, Other','2030-05-08','auto','completed',2,2,0,NULL,NULL,0,NULL,1795857653014,'{"totalProcessed": 2, "errors": 0, "errorDetails": [], "warnings": 0, "warningDetails": [], "summary": {"notices": [], "profile": "tenable_vm", "rows": 2, "rowsSkipped": 0, "findings": 3, "duplicates": 0, "inserted": 0, "updated": 3, "reopened": 0, "resolved": 2, "withheld": 0, "absence": {"scope": "none", "reason": "an export of this format does not list all findings of a host", "missing": 0, "openInScope": 0, "openOfAll": 0, "namedHosts": 0, "confirmationRequired": false}, "warnings": [], "vendors": ["CISCO", "Other"], "scanDate": "2030-05-08", "scope": "auto", "adopted": 0, "withoutSource": 0}, "importSummary": {"sessionId": "session-1", "importMetadata": {"sessionId": "session-1", "importId": 2, "filename": "export.csv", "vendor": "CISCO, Other", "scanDate": "2030-05-08", "totalRows": 2, "processingTime": 11}, "cveDiscovery": {"newCves": [], "totalNewCves": 0, "totalNewVulnerabilities": 0, "totalNewVpr": 0.0, "resolvedCves": [{"cve": "CVE-2030-1001", "severity": "High", "hostCount": 1, "totalVpr": 7.5, "lastSeen": "2030-05-08"}, {"cve": "CVE-2030-1002", "severity": "High", "hostCount": 1, "totalVpr": 7.5, "lastSeen": "2030-05-08"}], "totalResolvedCves": 2, "totalResolvedVulnerabilities": 2, "totalResolvedVpr": 15.0, "truncated": false}, "severityImpact": {"critical": {"current": 0, "previous": 0, "netChange": 0, "vprChange": 0}, "high": {"current": 0, "previous": 1, "netChange": -1, "vprChange": -7.5}, "medium": {"current": 0, "previous": 0, "netChange": 0, "vprChange": 0}, "low": {"current": 1, "previous": 1, "netChange": 0, "vprChange": 0.0}}, "hostImpact": {"totalUniqueHosts": 2, "newHostsAffected": 0, "existingHostsUpdated": 2}, "comparison": {"previousTotal": 3, "currentTotal": 2, "netChange": -1, "percentageChange": -33.33, "significantChange": true, "changeThreshold": 25, "resolvedCount": 2, "reopenedCount": 0}}}');
INSERT INTO "import_jobs" VALUES(3,'session-2','7','export.csv','CISCO','2030-05-15','auto','completed',1,1,0,NULL,NULL,0,NULL,1795857653029,'{"totalProcessed": 1, "errors": 0, "errorDetails": [], "warnings": 0, "warningDetails": [], "summary": {"notices": [], "profile": "tenable_vm", "rows": 1, "rowsSkipped": 0, "findings": 2, "duplicates": 0, "inserted": 0, "updated": 2, "reopened": 2, "resolved": 0, "withheld": 0, "absence": {"scope": "none", "reason": "an export of this format does not list all findings of a host", "missing": 0, "openInScope": 0, "openOfAll": 0, "namedHosts": 0, "confirmationRequired": false}, "warnings": [], "vendors": ["CISCO"], "scanDate": "2030-05-15", "scope": "auto", "adopted": 0, "withoutSource": 0}, "importSummary": {"sessionId": "session-2", "importMetadata": {"sessionId": "session-2", "importId": 3, "filename": "export.csv", "vendor": "CISCO", "scanDate": "2030-05-15", "totalRows": 1, "processingTime": 11}, "cveDiscovery": {"newCves": [{"cve": "CVE-2030-1001", "severity": "High", "hostCount": 1, "totalVpr": 7.5, "firstSeen": "2030-05-01"}, {"cve": "CVE-2030-1002", "severity": "High", "hostCount": 1, "totalVpr": 7.5, "firstSeen": "2030-05-01"}], "totalNewCves": 2, "totalNewVulnerabilities": 2, "totalNewVpr": 15.0, "resolvedCves": [], "totalResolvedCves": 0, "totalResolvedVulnerabilities": 0, "totalResolvedVpr": 0.0, "truncated": false}, "severityImpact": {"critical": {"current": 0, "previous": 0, "netChange": 0, "vprChange": 0}, "high": {"current": 1, "previous": 0, "netChange": 1, "vprChange": 7.5}, "medium": {"current": 0, "previous": 0, "netChange": 0, "vprChange": 0}, "low": {"current": 1, "previous": 1, "netChange": 0, "vprChange": 0.0}}, "hostImpact": {"totalUniqueHosts": 1, "newHostsAffected": 0, "existingHostsUpdated": 1}, "comparison": {"previousTotal": 2, "currentTotal": 3, "netChange": 1, "percentageChange": 50.0, "significantChange": true, "changeThreshold": 25, "resolvedCount": 0, "reopenedCount": 2}}}');
INSERT INTO "import_jobs" VALUES(4,'session-3','7','export.csv','Other','2030-05-15','auto','completed',2,2,0,NULL,NULL,0,NULL,1795857653056,'{"totalProcessed": 2, "errors": 0, "errorDetails": [], "warnings": 0, "warningDetails": [], "summary": {"notices": [], "profile": "trustwave", "rows": 2, "rowsSkipped": 0, "findings": 2, "duplicates": 0, "inserted": 1, "updated": 1, "reopened": 0, "resolved": 0, "withheld": 0, "absence": {"scope": "auto", "reason": "", "missing": 0, "openInScope": 0, "openOfAll": 4, "namedHosts": 1, "confirmationRequired": false}, "warnings": [], "vendors": ["Other"], "scanDate": "2030-05-15", "scope": "auto", "adopted": 0, "withoutSource": 0}, "importSummary": {"sessionId": "session-3", "importMetadata": {"sessionId": "session-3", "importId": 4, "filename": "export.csv", "vendor": "Other", "scanDate": "2030-05-15", "totalRows": 2, "processingTime": 23}, "cveDiscovery": {"newCves": [], "totalNewCves": 0, "totalNewVulnerabilities": 1, "totalNewVpr": 0.0, "resolvedCves": [], "totalResolvedCves": 0, "totalResolvedVulnerabilities": 0, "totalResolvedVpr": 0.0, "truncated": false}, "severityImpact": {"critical": {"current": 0, "previous": 0, "netChange": 0, "vprChange": 0}, "high": {"current": 2, "previous": 1, "netChange": 1, "vprChange": 7.5}, "medium": {"current": 0, "previous": 0, "netChange": 0, "vprChange": 0}, "low": {"current": 2, "previous": 1, "netChange": 1, "vprChange": 0.0}}, "hostImpact": {"totalUniqueHosts": 1, "newHostsAffected": 0, "existingHostsUpdated": 1}, "comparison": {"previousTotal": 3, "currentTotal": 5, "netChange": 2, "percentageChange": 66.67, "significantChange": true, "changeThreshold": 25, "resolvedCount": 0, "reopenedCount": 0}}}');
CREATE TABLE import_rejections (
	import_id INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	value VARCHAR(600) NOT NULL, 
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
INSERT INTO "meta" VALUES('schema_version','6');
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
INSERT INTO "vendor_daily_totals" VALUES('2030-05-01','CISCO',0,0.0,1,7.5,0,0.0,0,0.0,1,7.5,0,0);
INSERT INTO "vendor_daily_totals" VALUES('2030-05-01','Other',0,0.0,0,0.0,0,0.0,1,2.5,2,2.5,0,0);
INSERT INTO "vendor_daily_totals" VALUES('2030-05-08','CISCO',0,0.0,0,0.0,0,0.0,0,0.0,0,0.0,2,0);
INSERT INTO "vendor_daily_totals" VALUES('2030-05-08','Other',0,0.0,0,0.0,0,0.0,1,2.5,2,2.5,0,0);
INSERT INTO "vendor_daily_totals" VALUES('2030-05-15','CISCO',0,0.0,1,7.5,0,0.0,0,0.0,1,7.5,0,2);
INSERT INTO "vendor_daily_totals" VALUES('2030-05-15','Other',0,0.0,1,7.5,0,0.0,2,2.5,4,10.0,0,0);
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
	source TEXT, 
	host_key VARCHAR(255), 
	resolved_date VARCHAR(10), 
	resolution_reason VARCHAR(64), 
	changed_import_id INTEGER, 
	PRIMARY KEY (id), 
	FOREIGN KEY(import_id) REFERENCES import_jobs (import_id)
);
INSERT INTO "vulnerabilities_current" VALUES(1,4,'2030-05-15','web-1','192.0.2.10','CVE-2030-1001','High',7.5,NULL,'','Example two','','','Other',NULL,'2030-05-01','2030-05-15','ACTIVE','','cve:CVE-2030-1001|host:192.0.2.10',2,85,'reopened','tenable_vm,trustwave','192.0.2.10',NULL,NULL,3);
INSERT INTO "vulnerabilities_current" VALUES(2,3,'2030-05-15','web-1','192.0.2.10','CVE-2030-1002','High',7.5,NULL,'900001','Example flaw','It''s an example: of
two lines.','Upgrade it.','CISCO',NULL,'2030-05-01','2030-05-15','ACTIVE','Example OS 1','cve:CVE-2030-1002|host:192.0.2.10',2,85,'reopened','tenable_vm','192.0.2.10',NULL,NULL,3);
INSERT INTO "vulnerabilities_current" VALUES(3,1,'2030-05-01','db-1','','','Low',2.5,NULL,'','Example named check','','','Other',NULL,'2030-05-01','2030-05-01','ACTIVE','','name:24bfbe2475ed596fe889cc5d55d4fdd5|host:db-1.example.test',4,50,'active','tenable_vm','db-1.example.test',NULL,NULL,1);
INSERT INTO "vulnerabilities_current" VALUES(4,2,'2030-05-08','db-1','','','Info',NULL,NULL,'900003','Example service','Another text.','','Other',NULL,'2030-05-01','2030-05-08','ACTIVE','Example OS 2','plugin:tenable:900003|host:db-1.example.test',3,70,'active','tenable_vm','db-1.example.test',NULL,NULL,1);
INSERT INTO "vulnerabilities_current" VALUES(5,4,'2030-05-15','web-1','192.0.2.10','','Low',NULL,NULL,'','Example three','','','Other',NULL,'2030-05-15','2030-05-15','ACTIVE','','name:6a02bc5738697a05c59a050f044e4f45|host:192.0.2.10',4,50,'active','trustwave','192.0.2.10',NULL,NULL,4);
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
INSERT INTO "vulnerability_daily_totals" VALUES('2030-05-01',0,0.0,1,7.5,0,0.0,1,2.5,3,10.0,0,0);
INSERT INTO "vulnerability_daily_totals" VALUES('2030-05-08',0,0.0,0,0.0,0,0.0,1,2.5,2,2.5,2,0);
INSERT INTO "vulnerability_daily_totals" VALUES('2030-05-15',0,0.0,2,15.0,0,0.0,2,2.5,5,17.5,0,2);
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
INSERT INTO "vulnerability_snapshots" VALUES(1,1,'2030-05-01','web-1','192.0.2.10','CVE-2030-1001','High',7.5,NULL,'900001','Example flaw','CISCO',NULL,'2030-05-01','2030-05-01','ACTIVE','cve:CVE-2030-1001|host:192.0.2.10',2,85);
INSERT INTO "vulnerability_snapshots" VALUES(2,1,'2030-05-01','web-1','192.0.2.10','CVE-2030-1002','High',7.5,NULL,'900001','Example flaw','CISCO',NULL,'2030-05-01','2030-05-01','ACTIVE','cve:CVE-2030-1002|host:192.0.2.10',2,85);
INSERT INTO "vulnerability_snapshots" VALUES(3,1,'2030-05-01','db-1','','','Low',2.5,NULL,'','Example named check','Other',NULL,'2030-05-01','2030-05-01','ACTIVE','name:24bfbe2475ed596fe889cc5d55d4fdd5|host:db-1.example.test',4,50);
INSERT INTO "vulnerability_snapshots" VALUES(4,1,'2030-05-01','db-1','','','Info',NULL,NULL,'900003','Example service','Other',NULL,'2030-05-01','2030-05-01','ACTIVE','plugin:tenable:900003|host:db-1.example.test',3,70);
INSERT INTO "vulnerability_snapshots" VALUES(5,2,'2030-05-08','web-1','192.0.2.10','CVE-2030-1001','High',7.5,NULL,'900001','Example flaw','CISCO',NULL,'2030-05-08','2030-05-08','FIXED','cve:CVE-2030-1001|host:192.0.2.10',2,85);
INSERT INTO "vulnerability_snapshots" VALUES(6,2,'2030-05-08','web-1','192.0.2.10','CVE-2030-1002','High',7.5,NULL,'900001','Example flaw','CISCO',NULL,'2030-05-08','2030-05-08','FIXED','cve:CVE-2030-1002|host:192.0.2.10',2,85);
INSERT INTO "vulnerability_snapshots" VALUES(7,2,'2030-05-08','db-1','','','Info',NULL,NULL,'900003','Example service','Other',NULL,'2030-05-08','2030-05-08','ACTIVE','plugin:tenable:900003|host:db-1.example.test',3,70);
INSERT INTO "vulnerability_snapshots" VALUES(8,4,'2030-05-15','web-1','192.0.2.10','CVE-2030-1001','High',NULL,NULL,'','Example two','Other',NULL,'2030-05-15','2030-05-15','ACTIVE','cve:CVE-2030-1001|host:192.0.2.10',2,85);
INSERT INTO "vulnerability_snapshots" VALUES(9,3,'2030-05-15','web-1','192.0.2.10','CVE-2030-1002','High',7.5,NULL,'900001','Example flaw','CISCO',NULL,'2030-05-15','2030-05-15','ACTIVE','cve:CVE-2030-1002|host:192.0.2.10',2,85);
INSERT INTO "vulnerability_snapshots" VALUES(10,4,'2030-05-15','web-1','192.0.2.10','','Low',NULL,NULL,'','Example three','Other',NULL,'2030-05-15','2030-05-15','ACTIVE','name:6a02bc5738697a05c59a050f044e4f45|host:192.0.2.10',4,50);
CREATE TABLE vulnerability_staging (
	id INTEGER NOT NULL, 
	import_id INTEGER NOT NULL, 
	row_number INTEGER NOT NULL, 
	weight INTEGER NOT NULL, 
	closed_as VARCHAR(16), 
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
	source TEXT, 
	host_key VARCHAR(255), 
	PRIMARY KEY (id), 
	FOREIGN KEY(import_id) REFERENCES import_jobs (import_id)
);
CREATE INDEX ix_kev_history_cve ON kev_history (cve_id);
CREATE INDEX ix_sync_metadata_type ON sync_metadata (sync_type, id);
CREATE INDEX ix_user_notifications_age ON user_notifications (created_at);
CREATE INDEX ix_user_notifications_user ON user_notifications (user_id, number);
CREATE UNIQUE INDEX ix_staging_key ON vulnerability_staging (import_id, unique_key);
CREATE INDEX ix_current_vendor ON vulnerabilities_current (vendor, lifecycle_state);
CREATE INDEX ix_current_hostname ON vulnerabilities_current (hostname);
CREATE UNIQUE INDEX ix_current_key ON vulnerabilities_current (unique_key);
CREATE INDEX ix_current_cve ON vulnerabilities_current (cve);
CREATE UNIQUE INDEX ix_snapshots_key ON vulnerability_snapshots (scan_date, unique_key);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('import_jobs',4);
COMMIT;
