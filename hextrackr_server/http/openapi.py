"""The OpenAPI document of the HTTP API, served at `GET /api/openapi.json`.

`OPERATIONS` has one row for each route. A test compares it with the routes of the application.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hextrackr_server import __version__

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
INTEGER: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
OBJECT: Final[Schema] = {"type": "object"}
ID: Final[Schema] = {"oneOf": [INTEGER, TEXT]}
FILE: Final[Schema] = {"type": "string", "format": "binary"}
TEXTS: Final[Schema] = {"type": "array", "items": TEXT}

USER: Final = ("token", "session")
PRODUCER: Final = ("producer", "signature")
OPERATOR: Final = ("metrics",)

IMPORT_OPTIONS: Final = {
    "vendor": TEXT,
    "scanDate": TEXT | {"format": "date"},
    "sessionId": TEXT,
    "scope": {"enum": ["auto", "hosts", "vendor", "full", "none"]},
    "confirm": BOOLEAN,
    "allowPartial": BOOLEAN,
    "mapping": TEXT | {"description": "the TOML text of a mapping"},
}
INSPECT_OPTIONS: Final = {
    name: IMPORT_OPTIONS[name] for name in ("vendor", "scanDate", "allowPartial", "mapping")
}
FINDING_FILTERS: Final = {
    "format": {"enum": ["csv", "json"]},
    "state": {"enum": ["open", "active", "reopened", "resolved", "all"]},
    "severity": TEXT | {"description": "severities, separated by commas"},
}
MESSAGE: Final = {"message": TEXT}
END_OF_IMPORT: Final = MESSAGE | {"code": TEXT, "details": {}}


class Operation(NamedTuple):
    """One method of a path. `access` names the accepted proofs: one of them suffices.

    `query` and `body` map names to schemas; `required` lists those of the body. `upload`: the body
    is a file or a form with a file. `status` is that of success, `content` the type of its body.
    """

    method: str
    path: str
    summary: str
    access: tuple[str, ...] = ()
    query: Mapping[str, Schema] = MappingProxyType({})
    body: dict[str, Schema] | None = None
    required: tuple[str, ...] = ()
    upload: bool = False
    status: int = 200
    content: tuple[str, ...] = ("application/json",)


def _report(
    method: str, path: str, summary: str, body: dict[str, Schema], *required: str
) -> Operation:
    """Return a report of a producer (docs/producers.md)."""
    return Operation(
        method, f"/ingest/v1/{path}", summary, PRODUCER, body=body, required=required, status=202
    )


OPERATIONS: Final = (
    Operation("GET", "/", "The dashboard", content=("text/html",)),
    Operation("GET", "/assets/{name}", "Scripts and styles of the dashboard",
              content=("text/javascript", "text/css", "image/svg+xml")),
    Operation("GET", "/api/session", "The signed-in user", USER),
    Operation("GET", "/health", "Whether the process runs"),
    Operation("GET", "/ready", "Whether the server accepts clients; 503 if not"),
    Operation("GET", "/api/openapi.json", "This document"),
    Operation("GET", "/api/asyncapi.json", "The AsyncAPI document of the events"),
    Operation("GET", "/metrics", "Metrics for Prometheus", OPERATOR,
              content=("text/plain", "application/openmetrics-text")),
    Operation("GET", "/socket-metrics", "Metrics as JSON", OPERATOR),
    Operation("POST", "/api/imports", "Import a file", USER, IMPORT_OPTIONS, upload=True,
              status=202),
    Operation("POST", "/api/imports/upload", "Store a file for `start-import`", USER, upload=True,
              status=201),
    Operation("POST", "/api/imports/inspect",
              "Store a file for `start-import`; return how it is read and what an import changes",
              USER, INSPECT_OPTIONS, upload=True),
    Operation("POST", "/api/imports/upload/{upload_id}/inspect", "Inspect a stored file again",
              USER, body=INSPECT_OPTIONS),
    Operation("POST", "/api/imports/upload/{upload_id}/discard", "Delete a stored file", USER),
    Operation("GET", "/api/imports/{import_id}", "Status of an import", USER),
    Operation("POST", "/api/imports/{import_id}/cancel", "Cancel an import", USER, status=202),
    Operation("GET", "/api/imports/undoable", "Last import of each source; administrators", USER),
    Operation("POST", "/api/imports/{import_id}/undo",
              "Undo the last import of a source; administrators", USER),
    Operation("POST", "/api/vulnerabilities/import-staging",
              "Import a file from HexTrackr's front end", USER, IMPORT_OPTIONS, upload=True),
    Operation("POST", "/api/vulnerabilities/import-cancel",
              "Cancel an import from HexTrackr's front end", USER, body={"sessionId": TEXT},
              required=("sessionId",)),
    Operation("GET", "/api/import/progress/{session_id}", "Progress of a session", USER),
    Operation("GET", "/api/findings/export",
              "Findings as CSV or JSON; the filters of `get-vulnerability-stats` are accepted too",
              USER, FINDING_FILTERS, content=("text/csv", "application/json")),
    Operation("POST", "/api/kev/sync",
              "Synchronize the KEV catalog, from its source or from the body; administrators only",
              USER, {"force": BOOLEAN}, body={}),
    Operation("GET", "/api/kev/status", "Number of entries, last and next synchronization", USER),
    Operation("GET", "/api/kev/stats", "The four numbers of dashboards", USER),
    Operation("GET", "/api/kev/{cve}", "One entry of the KEV catalog", USER),
    Operation("POST", "/api/backup/restore",
              "Replace all data by the backup in the body; administrators only",
              USER, {"replace": BOOLEAN}, body={}),
    _report("POST", "emit", "Send an event as Express would", {
        "event": TEXT, "args": {"type": "array", "items": {}}, "rooms": TEXTS, "except": TEXTS,
        "namespace": TEXT,
    }, "event"),
    _report("POST", "progress/{session_id}", "Report the progress of a session", {
        "op": {"enum": ["create", "progress", "complete", "error", "cancel"]},
        "progress": NUMBER, "message": TEXT, "metadata": OBJECT, "ownerUserId": ID,
        "importSummary": OBJECT, "seq": INTEGER,
    }, "op"),
    _report("POST", "imports", "Start an import", {
        "userId": ID, "importId": ID, "sessionId": TEXT, "filename": TEXT, "vendor": TEXT,
        "totalRecords": INTEGER,
    }, "userId"),
    _report("PATCH", "imports/{key}", "Report the progress of an import", {
        "processed": INTEGER, "total": INTEGER, "status": TEXT, "message": TEXT,
    }, "processed"),
    _report("POST", "imports/{key}/complete", "Complete an import", {
        "processed": INTEGER, "errors": INTEGER, "summary": OBJECT,
    }, "processed"),
    _report("POST", "imports/{key}/fail", "Report the failure of an import", END_OF_IMPORT),
    _report("POST", "imports/{key}/cancel", "Report the cancellation of an import", MESSAGE),
    _report("POST", "notifications", "Notify all users", {"type": TEXT, "message": TEXT},
            "type", "message"),
    _report("POST", "users/{user_id}/notifications", "Notify one user", {
        "type": TEXT, "message": TEXT, "data": {},
    }, "type", "message"),
    _report("POST", "announcements", "Announce to all users", {
        "message": TEXT, "priority": {"enum": ["low", "normal", "high", "critical"]},
    }, "message"),
    _report("POST", "maintenance", "Announce maintenance", {
        "startTime": ID, "duration": INTEGER | {"description": "milliseconds"}, "message": TEXT,
    }, "startTime", "duration"),
    _report("POST", "sessions/revoke", "End a session, or all logins of a user", {
        "sessionId": TEXT, "userId": ID,
    }),
    _report("POST", "vulnerabilities/changes", "Report changed vulnerabilities", {
        "changes": {"type": "array", "items": OBJECT},
    }, "changes"),
    _report("POST", "kev/sync", "Report the progress of a KEV synchronization", {
        "status": {"enum": ["started", "fetching", "processing", "completed", "failed", "skipped"]},
        "processed": INTEGER, "newEntries": INTEGER, "total": INTEGER, "matchedCount": INTEGER,
        "catalogVersion": TEXT, "error": TEXT,
    }, "status"),
)  # fmt: skip

_ERROR: Final[Schema] = {
    "type": "object",
    "required": ["success", "error", "code"],
    "properties": {
        "success": {"const": False},
        "error": TEXT,
        "code": TEXT,
        "fields": {
            "type": "array",
            "items": {"type": "object", "properties": {"path": TEXT, "message": TEXT}},
        },
    },
}
_SCHEMES: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "the token of a user"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "hextrackr.sid",
        "description": "the session of HexTrackr's login; the name of the cookie is a setting",
    },
    "producer": {"type": "http", "scheme": "bearer", "description": "the secret of a producer"},
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-HexTrackr-Signature",
        "description": "t=<ms since 1970>,v1=<hex HMAC-SHA256 of `<t>.<body>` with the secret>",
    },
    "metrics": {"type": "http", "scheme": "bearer", "description": "HEXTRACKR_METRICS_TOKEN"},
}


def create_document() -> dict[str, Any]:
    """Return the document: OpenAPI 3.1.0 (https://spec.openapis.org/oas/v3.1.0)."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "HexTrackr hub", "version": __version__},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}, "securitySchemes": _SCHEMES},
    }


def _describe(operation: Operation) -> dict[str, Any]:
    error = {"$ref": "#/components/schemas/Error"}
    parameters = [
        {"name": part[1:-1], "in": "path", "required": True, "schema": TEXT}
        for part in operation.path.split("/")
        if part.startswith("{")
    ]
    parameters += [
        {"name": name, "in": "query", "schema": schema} for name, schema in operation.query.items()
    ]
    described: dict[str, Any] = {
        "summary": operation.summary,
        "security": [{name: []} for name in operation.access],
        "parameters": parameters,
        "responses": {
            str(operation.status): {
                "description": "Success",
                "content": {kind: {} for kind in operation.content},
            },
            "default": {
                "description": "Refusal; `code` names the reason",
                "content": {"application/json": {"schema": error}},
            },
        },
    }
    if operation.upload:
        form = {"csvFile": FILE} | dict(operation.query or IMPORT_OPTIONS)
        schema = {"type": "object", "required": ["csvFile"], "properties": form}
        described["requestBody"] = {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": schema},
                "text/csv": {"schema": TEXT},
                "application/octet-stream": {},
            },
        }
    elif operation.body is not None:
        schema = {"type": "object", "properties": operation.body}
        if operation.required:
            schema["required"] = list(operation.required)
        described["requestBody"] = {
            "required": bool(operation.required),
            "content": {"application/json": {"schema": schema}},
        }
    return described


async def _document(_: Request) -> Response:  # noqa: RUF029 - Starlette runs others in a thread
    return JSONResponse(create_document())


ROUTE: Final = Route("/api/openapi.json", _document, methods=["GET"])
