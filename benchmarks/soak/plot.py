"""SVG plot of the samples: one row per server, one panel per group of metrics."""

from __future__ import annotations

from html import escape
from typing import Final

from benchmarks.chart import COLORS, INK, OURS_COLOR
from benchmarks.soak.series import Record, Series

PANEL, HEIGHT, GAP, LEFT, TOP = 230, 120, 60, 60, 70
PANELS: Final = (
    ("memory (MB)", ("memory",)),
    ("live objects", ("live objects",)),
    ("descriptors, tasks, threads", ("descriptors", "tasks", "threads")),
    ("round trip (ms): median, p99", ("round trip, median", "round trip, p99")),
)
_COLORS: Final = (OURS_COLOR, *COLORS.values())


def draw(records: list[Record], title: str) -> str:
    """Return the plot of all servers."""
    width = LEFT + (PANEL + GAP) * len(PANELS)
    height = TOP + (HEIGHT + GAP) * len(records)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="11" fill="{INK}">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="16" y="22" font-size="15">{escape(title)}</text>',
    ]
    for row, record in enumerate(records):
        y = TOP + row * (HEIGHT + GAP)
        for column, (heading, names) in enumerate(PANELS):
            x = LEFT + column * (PANEL + GAP)
            shown = [each for each in record.series if each.metric.name in names and each.values]
            parts += _panel(x, y, f"{record.name}: {heading}", shown)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(x: int, y: int, heading: str, series: list[Series]) -> list[str]:
    highest = max((max(each.values) for each in series), default=0.0) * 1.1 or 1.0
    last = max((each.times[-1] for each in series), default=0.0) or 1.0
    parts = [
        f'<text x="{x}" y="{y - 8}" font-size="12">{escape(heading)}</text>',
        f'<rect x="{x}" y="{y}" width="{PANEL}" height="{HEIGHT}" fill="none" stroke="#cbd5e0"/>',
        f'<text x="{x - 6}" y="{y + 8}" text-anchor="end">{highest:,.0f}</text>',
        f'<text x="{x - 6}" y="{y + HEIGHT}" text-anchor="end">0</text>',
        f'<text x="{x + PANEL}" y="{y + HEIGHT + 14}" text-anchor="end">{last / 60:.1f} min</text>',
    ]
    for each, color in zip(series, _COLORS, strict=False):
        points = " ".join(
            f"{x + PANEL * time / last:.1f},{y + HEIGHT * (1 - value / highest):.1f}"
            for time, value in zip(each.times, each.values, strict=True)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}"/>')
    return parts
