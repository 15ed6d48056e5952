"""A chart of points on a logarithmic axis, a line for each program, as SVG text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

COLOURS = ("#1b6ca8", "#d1495b", "#8d99ae", "#edae49", "#66a182")
LEFT, TOP, ROW, WIDTH = 190, 46, 17, 860


def dots(title: str, unit: str, series: dict[str, dict[str, float]], names: Sequence[str]) -> str:
    """The figures of each series by name of program, lowest series first in colour and legend."""
    figures = [value for row in series.values() for name, value in row.items() if name in names]
    if not figures:
        return ""
    low, high = math.floor(math.log10(min(figures))), math.ceil(math.log10(max(figures)))
    high = max(high, low + 1)
    scale = (WIDTH - LEFT - 30) / (high - low)
    height = TOP + ROW * len(names) + 34

    def x(value: float) -> float:
        return LEFT + (math.log10(value) - low) * scale

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="8" y="16" font-size="13" font-weight="bold">{escape(title)}</text>',
    ]
    for n, name in enumerate(series):
        at, colour = LEFT + 130 * n, COLOURS[n % len(COLOURS)]
        out.append(f'<circle cx="{at}" cy="30" r="4" fill="{colour}"/>')
        out.append(f'<text x="{at + 8}" y="34">{escape(name)}</text>')
    bottom = TOP + ROW * len(names)
    for power in range(low, high + 1):
        at = x(10.0**power)
        out.append(f'<line x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{bottom}" stroke="#ddd"/>')
        out.append(f'<text x="{at:.1f}" y="{bottom + 14}" text-anchor="middle">{10.0**power:g}</text>')
    out.append(f'<text x="{WIDTH - 30}" y="{bottom + 28}" text-anchor="end">{escape(unit)}</text>')
    for row, name in enumerate(names):
        y = TOP + ROW * row + ROW / 2
        out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        out.append(f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - 30}" y2="{y}" stroke="#f0f0f0"/>')
        for n, by_name in enumerate(series.values()):
            if name in by_name:
                colour = COLOURS[n % len(COLOURS)]
                out.append(f'<circle cx="{x(by_name[name]):.1f}" cy="{y}" r="4" fill="{colour}"/>')
    return "\n".join([*out, "</svg>", ""])
