"""Reads the list of known exploited vulnerabilities (KEV) with their open findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, case, func, or_, select

from hextrackr_server.findings.filters import IS_OPEN
from hextrackr_server.findings.kev_statistics import has_open_findings
from hextrackr_server.findings.pages import Page, PageRequest, read_page
from hextrackr_server.findings.text_match import contains_text
from hextrackr_server.storage.encoding import RANKED_SEVERITIES
from hextrackr_server.storage.finding_tables import finding_identities, findings
from hextrackr_server.storage.schema import kev_status as kev


def exploited_vulnerabilities(connection: Connection, request: PageRequest) -> Page:
    """Return a page of the catalog, by default the latest entries first."""
    matched = has_open_findings()
    query = select(kev, case((matched, 1), else_=0).label("matched"))
    for name, value in request.filters:
        if name == "search":
            found = ("cve_id", "vulnerability_name", "vendor_project", "product")
            query = query.where(or_(*(contains_text(kev.c[each], str(value)) for each in found)))
        elif name == "matched":
            query = query.where(matched if value else ~matched)
    sortable = {column.name: column for column in kev.c}
    rows, total = read_page(connection, request, query, sortable, "-date_added", kev.c.cve_id)
    numbers = _open_findings(connection, [row["cve_id"] for row in rows if row["matched"]])
    return Page([_entry(row, numbers.get(row["cve_id"])) for row in rows], total)


def _open_findings(connection: Connection, cves: Sequence[str]) -> dict[str, Any]:
    """Return the numbers of open findings and hosts, and the highest severity, by CVE."""
    if not cves:
        return {}
    query = (
        select(
            finding_identities.c.cve,
            func.count().label("open_findings"),
            func.count(findings.c.host_id.distinct()).label("hosts"),
            func.max(findings.c.severity).label("severity"),
        )
        .join(findings, findings.c.identity_id == finding_identities.c.id)
        .where(finding_identities.c.cve.in_(cves), IS_OPEN)
        .group_by(finding_identities.c.cve)
    )
    return {row["cve"]: row for row in connection.execute(query).mappings()}


def _entry(row: Any, found: Any) -> dict[str, Any]:
    return dict(row) | {
        "matched": bool(row["matched"]),
        "open_findings": 0 if found is None else found["open_findings"],
        "hosts": 0 if found is None else found["hosts"],
        "max_severity": None if found is None else RANKED_SEVERITIES[found["severity"]],
    }
