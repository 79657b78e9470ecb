"""Validates the filters of a request, and translates them into conditions on findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, literal, or_, select, true

from hextrackr_server.errors import MAXIMUM_PROBLEMS, invalid
from hextrackr_server.findings.text_match import contains_text, escape_pattern
from hextrackr_server.storage.encoding import (
    ACTIVE,
    RANKED_SEVERITIES,
    REOPENED,
    RESOLVED,
    day_number,
)
from hextrackr_server.storage.finding_tables import (
    finding_assets,
    finding_definitions,
    finding_hosts,
    finding_identities,
    findings,
)
from hextrackr_server.storage.schema import kev_status
from hextrackr_server.text import clean, iso_date

SEVERITIES = ("critical", "high", "medium", "low", "info", "unknown")
KEV = "KEV"
FILTERS = (
    "severity", "isKev", "vendor", "source", "cve", "host", "hostname", "search", "scanDate",
    "since",
)  # fmt: skip
MAXIMUM_SEARCH = 100
#: Severities of one filter; each may be named more than once.
MAXIMUM_SEVERITIES = 100
#: A pattern with more asterisks could keep the database busy for minutes.
MAXIMUM_ASTERISKS = 3

#: Validated filters: sorted and hashable, so that they can be the key of a cache.
Filters = tuple[tuple[str, str | bool | tuple[str, ...]], ...]

#: The condition for open findings.
IS_OPEN = findings.c.lifecycle < RESOLVED

#: Conditions for the lifecycle states that a request can select.
STATES: Mapping[str, ColumnElement[bool]] = {
    "open": IS_OPEN,
    "active": findings.c.lifecycle == ACTIVE,
    "reopened": findings.c.lifecycle == REOPENED,
    "resolved": findings.c.lifecycle == RESOLVED,
    "all": true(),
}


def parse_filters(payload: Any) -> Filters:
    """Parse the filters of a request: `{filters: {...}}`, `{...}` or None.

    Raises ServiceError VALIDATION_ERROR that names the unknown and malformed fields, up to a limit.
    """
    if isinstance(payload, Mapping) and isinstance(payload.get("filters"), Mapping):
        payload = payload["filters"]
    if payload is None:
        payload = {}
    if not isinstance(payload, Mapping):
        raise invalid("Filters must be an object", [("filters", "must be an object")])
    parsed: dict[str, str | bool | tuple[str, ...]] = {}
    problems: list[tuple[str, str]] = []
    for name, value in payload.items():
        if value is None or value == "":
            continue
        try:
            parsed[name] = _parse_filter(name, value)
        except ValueError as error:
            problems.append((str(name)[:64], str(error)))
            if len(problems) == MAXIMUM_PROBLEMS:
                break
    if problems:
        raise invalid("Invalid filters", problems)
    return tuple(sorted(parsed.items()))


def _parse_filter(name: str, value: Any) -> str | bool | tuple[str, ...]:
    match name:
        case "isKev":
            if not isinstance(value, bool):
                raise ValueError("must be true or false")
            return value
        case "severity":
            return _parse_severities(value)
        case "vendor" | "source" | "cve" | "host" | "hostname" | "search":
            return _parse_text(name, value)
        case "scanDate" | "since":
            day = iso_date(value) if isinstance(value, str) else None
            if day is None:
                raise ValueError("must be a date such as 2025-09-30")
            return day
        case _:
            raise ValueError("is not a known filter; use one of: " + ", ".join(FILTERS))


def _parse_text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAXIMUM_SEARCH:
        raise ValueError(f"must be a text of at most {MAXIMUM_SEARCH} characters")
    if name == "host" and value.count("*") > MAXIMUM_ASTERISKS:
        raise ValueError(f"must contain at most {MAXIMUM_ASTERISKS} asterisks")
    # Stored texts contain no control characters, so the filter needs none.
    text = clean(value, MAXIMUM_SEARCH)
    if name == "cve":
        return text.upper()
    return text.lower() if name in {"host", "hostname"} else text


def _parse_severities(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    known = (*SEVERITIES, KEV.lower())
    if not 0 < len(values) <= MAXIMUM_SEVERITIES or not all(
        isinstance(each, str) and each.lower() in known for each in values
    ):
        raise ValueError("must be one or a list of: " + ", ".join((*SEVERITIES, KEV)))
    spelled = {each.upper() if each.upper() == KEV else each.capitalize() for each in values}
    return tuple(sorted(spelled))


def severity_numbers(names: tuple[str, ...]) -> list[int]:
    """Return the numbers of severities; `KEV` is not a severity and has none."""
    return [RANKED_SEVERITIES.index(name) for name in names if name != KEV]


def conditions(filters: Filters) -> list[ColumnElement[bool]]:
    """Return the conditions of filters, which do not restrict the state of findings."""
    conditions: list[ColumnElement[bool]] = []
    for name, value in filters:
        match name:
            case "severity":
                assert isinstance(value, tuple)
                has_severity = findings.c.severity.in_(severity_numbers(value))
                conditions.append(or_(has_severity, is_kev()) if KEV in value else has_severity)
            case "isKev":
                conditions.append(is_kev() if value else ~is_kev())
            case "vendor":
                conditions.append(_has_definition(finding_definitions.c.vendor == value))
            case "source":
                conditions.append(_has_source(str(value)))
            case "cve":
                conditions.append(_has_identity(finding_identities.c.cve == value))
            case "host":
                conditions.append(_is_on_host(str(value)))
            case "hostname":
                conditions.append(_has_asset(finding_assets.c.hostname == value))
            case "scanDate":
                conditions.append(findings.c.scan_date == day_number(str(value)))
            case "since":
                conditions.append(findings.c.last_seen >= day_number(str(value)))
            case "search":
                conditions.append(_contains(str(value)))
    return conditions


def is_kev() -> ColumnElement[bool]:
    """Return the condition for findings whose CVE is a known exploited vulnerability."""
    exploited = select(finding_identities.c.id).join(
        kev_status, kev_status.c.cve_id == finding_identities.c.cve
    )
    return findings.c.identity_id.in_(exploited)


def _contains(text: str) -> ColumnElement[bool]:
    """Search the dictionaries, which are much shorter than the findings."""

    def found(column: ColumnElement[Any]) -> ColumnElement[bool]:
        return contains_text(column, text)

    assets, definitions = finding_assets.c, finding_definitions.c
    return or_(
        _has_asset(or_(found(assets.hostname), found(assets.ip_address))),
        _has_identity(found(finding_identities.c.cve)),
        _has_definition(or_(found(definitions.plugin_name), found(definitions.description))),
    )


def _has_source(source: str) -> ColumnElement[bool]:
    """Return the condition for findings that a format reports, which others may report too."""
    listed = literal(",") + findings.c.source + ","
    return or_(
        findings.c.source == source,
        listed.contains(f",{source},", autoescape=True),
    )


def _is_on_host(text: str) -> ColumnElement[bool]:
    """Compare the name, the address and the key of a host; an asterisk stands for any text."""

    def matches(column: ColumnElement[Any]) -> ColumnElement[bool]:
        if "*" not in text:
            return column == text
        return column.like("%".join(map(escape_pattern, text.split("*"))), escape="/")

    assets, hosts = finding_assets.c, finding_hosts.c
    return or_(
        _has_asset(or_(matches(assets.hostname), matches(assets.ip_address))),
        findings.c.host_id.in_(_ids(hosts.id, matches(hosts.host_key))),
    )


def _has_identity(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return findings.c.identity_id.in_(_ids(finding_identities.c.id, condition))


def _has_asset(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return findings.c.asset_id.in_(_ids(finding_assets.c.id, condition))


def _has_definition(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return findings.c.definition_id.in_(_ids(finding_definitions.c.id, condition))


def _ids(column: ColumnElement[int], condition: ColumnElement[bool]) -> Select[int]:
    return select(column).where(condition)
