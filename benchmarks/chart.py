"""SVG chart of the figures: bars of cost relative to Node.

The module draws outcomes. `figures` computes them.
"""

from __future__ import annotations

from html import escape

from .figures import Outcome

ROW, BAR, LEFT, WIDTH, TOP, RIGHT = 34, 12, 330, 420, 56, 150
LONGEST = 1.5  # times Node; a longer bar is cut, and its number gets an arrow
OURS_COLOR, FLOOR_COLOR, PYTHON_COLOR = "#2b6cb0", "#1a365d", "#b7791f"
INK = "#1a202c"


def draw(outcomes: list[Outcome]) -> str:
    """Return the chart of all figures that have a goal and are compared with Node."""
    shown = [each for each in outcomes if each.goal is not None and each.base_name == "Node"]
    height = TOP + ROW * len(shown) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + RIGHT}" '
        f'height="{height}" font-family="sans-serif" font-size="12" fill="{INK}">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="16" y="22" font-size="15">Cost relative to socket.io on Node: CPU of the server '
        "per message, memory per connection</text>",
        _legend(),
    ]
    for index, outcome in enumerate(shown):
        parts += _row(outcome, TOP + ROW * index)
    node = LEFT + WIDTH / LONGEST
    bottom = TOP + ROW * len(shown)
    parts += [
        f'<line x1="{node}" y1="{TOP - 6}" x2="{node}" y2="{bottom}" stroke="{INK}"/>',
        f'<text x="{node}" y="{bottom + 16}" text-anchor="middle">Node = 1</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _legend() -> str:
    return (
        f'<rect x="{LEFT}" y="32" width="12" height="10" fill="{OURS_COLOR}"/>'
        f'<text x="{LEFT + 18}" y="41">ours</text>'
        f'<rect x="{LEFT + 64}" y="32" width="12" height="10" fill="{FLOOR_COLOR}"/>'
        f'<text x="{LEFT + 82}" y="41">floor</text>'
        f'<rect x="{LEFT + 176}" y="32" width="12" height="10" fill="{PYTHON_COLOR}"/>'
        f'<text x="{LEFT + 194}" y="41">python-socketio</text>'
        f'<line x1="{LEFT + 308}" y1="30" x2="{LEFT + 308}" y2="44" stroke="#c53030" '
        f'stroke-width="2"/><text x="{LEFT + 316}" y="41">goal</text>'
    )


def _row(outcome: Outcome, y: int) -> list[str]:
    assert outcome.goal is not None, "the chart shows only figures with a goal"
    parts = [
        f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end">{escape(outcome.name)}</text>',
        _bar(outcome.ratio, y, OURS_COLOR, outcome.goal),
    ]
    if outcome.floor is not None:
        width = WIDTH * outcome.floor / outcome.base / LONGEST
        parts.append(
            f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" '
            f'fill="{FLOOR_COLOR}"/>'
        )
    if outcome.python_socketio is not None:
        parts.append(_bar(outcome.python_socketio / outcome.base, y + BAR, PYTHON_COLOR))
    goal = LEFT + WIDTH * outcome.goal / LONGEST
    parts.append(
        f'<line x1="{goal:.1f}" y1="{y - 2}" x2="{goal:.1f}" y2="{y + BAR + 2}" '
        'stroke="#c53030" stroke-width="2"/>'
    )
    return parts


def _bar(ratio: float, y: int, color: str, goal: float = 0.0) -> str:
    width = WIDTH * min(ratio, LONGEST) / LONGEST
    more = " &#8594;" if ratio > LONGEST else ""
    # A goal close to the end of the bar would cover the number, so the number stands behind it.
    end = max(width, WIDTH * goal / LONGEST) if goal < ratio + 0.12 else width
    return (
        f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{color}"/>'
        f'<text x="{LEFT + end + 6:.1f}" y="{y + 9}" font-size="10">{ratio:.2f}{more}</text>'
    )
