"""Write the tables of docs/metrics.md from the descriptions of the metrics."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from hextrackr_server.application import Application
from hextrackr_server.cluster.origin import OriginApplication
from hextrackr_server.cluster.rendezvous import Rendezvous
from hextrackr_server.config.settings import Settings
from socketio_core.server_metrics import METRICS, MetricInfo

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "metrics.md"


def hub_metrics() -> dict[str, MetricInfo]:
    """Return the metrics of a hub with all optional features: gateways, Redis, held notices."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            database=Path(folder) / "hub.db",
            jwt_secret=b"d" * 32,
            redis_url="redis://127.0.0.1:1",
            notification_acks=True,
            workers=2,
        )
        rendezvous = Rendezvous(Path(folder), b"d" * 32)
        application: Application = OriginApplication(settings, rendezvous, 0)
        application.database.close()
        return dict(sorted(application.context.metrics.infos.items()))


def table(infos: Iterable[MetricInfo]) -> str:
    """Return the rows of a table as Markdown."""
    rows = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|"]
    for info in infos:
        labels = ", ".join(f"`{label}`" for label in info.labels)
        rows.append(f"| `{info.exported}` | {info.kind} | {labels} | {info.help} |")
    return "\n".join(rows)


def render(text: str) -> str:
    """Return the document with current tables."""
    tables = {"library": table(METRICS.values()), "hub": table(hub_metrics().values())}
    for name, rows in tables.items():
        pattern = re.compile(rf"(<!-- {name}:begin -->\n\n).*?(\n\n<!-- {name}:end -->)", re.DOTALL)
        text, count = pattern.subn(lambda match, rows=rows: match[1] + rows + match[2], text)
        if count != 1:
            raise ValueError(f"{DOCUMENT.name} must contain the markers of {name} once")
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(render(DOCUMENT.read_text("utf-8")), "utf-8")
