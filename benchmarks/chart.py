"""SVG chart of the figures: bars of cost relative to Node.

The module draws outcomes. `figures` computes them.
"""

from __future__ import annotations

from html import escape

from .figures import Outcome

ROW, BAR, LEFT, WIDTH, TOP, RIGHT = 58, 12, 330, 420, 56, 150
LONGEST = 1.5  # times Node; a longer bar is cut, and its number gets an arrow
OURS_COLOR, FLOOR_COLOR = "#2b6cb0", "#1a365d"
#: The bars below that of this server, from top to bottom.
COLORS = {"socketioxide": "#9c4221", "Go": "#2c7a7b", "python-socketio": "#b7791f"}
INK = "#1a202c"


def draw(outcomes: list[Outcome]) -> str:
    """Return the chart of all figures that have a goal and are compared with Node."""
    shown = [
        each for each in outcomes if each.to_base.goal is not None and each.base_name == "Node"
    ]
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
    parts = []
    x = LEFT
    for name, color in {"ours": OURS_COLOR, "floor": FLOOR_COLOR, **COLORS}.items():
        parts.append(
            f'<rect x="{x}" y="32" width="12" height="10" fill="{color}"/>'
            f'<text x="{x + 18}" y="41">{name}</text>'
        )
        x += 38 + 7 * len(name)
    parts.append(
        f'<line x1="{x}" y1="30" x2="{x}" y2="44" stroke="#c53030" stroke-width="2"/>'
        f'<text x="{x + 8}" y="41">goal</text>'
    )
    return "".join(parts)


def _row(outcome: Outcome, y: int) -> list[str]:
    to_node = outcome.to_base
    assert to_node.goal is not None, "the chart shows only figures with a goal"
    parts = [
        f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end">{escape(outcome.name)}</text>',
        _bar(to_node.median, y, OURS_COLOR, to_node.goal),
    ]
    floor = outcome.others.get("floor")
    if floor is not None:
        width = WIDTH * floor.median / outcome.base.median / LONGEST
        parts.append(
            f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" '
            f'fill="{FLOOR_COLOR}"/>'
        )
    compared = [name for name in COLORS if name in outcome.others]
    for index, name in enumerate(compared, 1):
        ratio = outcome.others[name].median / outcome.base.median
        parts.append(_bar(ratio, y + BAR * index, COLORS[name]))
    goal = LEFT + WIDTH * to_node.goal / LONGEST
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
