"""SVG chart of measured values as shares of their goals.

`chart` draws the comparison with Node.
"""

from __future__ import annotations

from html import escape

ROW, LEFT, WIDTH, RIGHT, TOP = 26, 330, 420, 150, 44
LONGEST = 1.5  # times the goal; a longer bar is cut, and its number gets an arrow
REACHED, MISSED, GOAL, INK = "#2b6cb0", "#b7791f", "#c53030", "#1a202c"


def draw(title: str, shares: list[tuple[str, float]]) -> str:
    """Return the chart: one bar per name, whose share is the measured value over its goal."""
    bottom = TOP + ROW * len(shares)
    goal = LEFT + WIDTH / LONGEST
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + RIGHT}" '
        f'height="{bottom + 30}" font-family="sans-serif" font-size="12" fill="{INK}">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="16" y="22" font-size="15">{escape(title)}</text>',
        *(_bar(name, share, TOP + ROW * index) for index, (name, share) in enumerate(shares)),
        f'<line x1="{goal}" y1="{TOP - 6}" x2="{goal}" y2="{bottom}" stroke="{GOAL}" '
        'stroke-width="2"/>',
        f'<text x="{goal}" y="{bottom + 16}" text-anchor="middle">goal</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _bar(name: str, share: float, y: int) -> str:
    width = WIDTH * min(share, LONGEST) / LONGEST
    more = " &#8594;" if share > LONGEST else ""
    # The line of the goal would cover a number that is close to it.
    number = max(LEFT + width, LEFT + WIDTH / LONGEST if 0.85 < share <= 1 else 0) + 6
    return (
        f'<text x="{LEFT - 10}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{LEFT}" y="{y + 2}" width="{width:.1f}" height="14" '
        f'fill="{REACHED if share <= 1 else MISSED}"/>'
        f'<text x="{number:.1f}" y="{y + 13}" font-size="11">{share:.0%}{more}</text>'
    )
