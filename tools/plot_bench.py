#!/usr/bin/python3
"""Draws ns per packet against the number of flows, from the JSON of tools/bench.sh, as SVG.

usage: plot_bench.py BENCH.json [OUTPUT.svg]      (docs/ns-against-flows.svg)

headgate's modes (IPv4, client to server, one worker) with solid lines, and beside them, dashed, what
was measured of DPVS and Katran on a machine of the same class, with 14 to 18 ns of generator in it.
Both axes are logarithmic.
"""

import json
import math
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FLOWS = {"1": 1, "1 K": 10**3, "64 K": 64 * 10**3, "1 M": 10**6, "10 M": 10**7}
MODES = {"dr": "#0b6e4f", "ipip": "#1f77b4", "nat": "#7b4fa3", "fullnat": "#c2410c"}
PEERS = {
    "DPVS, DR": ("#777777", {1: 122, 10**3: 160, 64 * 10**3: 641, 10**6: 1102}),
    "DPVS, FNAT": ("#444444", {1: 153, 10**3: 188, 64 * 10**3: 698, 10**6: 1255}),
    "DPVS, IPIP": ("#999999", {1: 138, 10**3: 170, 64 * 10**3: 594, 10**6: 1064}),
    "Katran, IPIP": ("#b58900", {1: 98, 10**3: 116, 64 * 10**3: 276, 10**6: 455}),
}

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 60, 170, 24, 48
LOWEST_NS, HIGHEST_NS = 10, 2000
NS_TICKS = [10, 20, 50, 100, 200, 500, 1000, 2000]
LABEL_DISTANCE = 14


def x_of(flows):
    return LEFT + (WIDTH - LEFT - RIGHT) * math.log10(flows) / 7


def y_of(ns):
    share = math.log(ns / LOWEST_NS) / math.log(HIGHEST_NS / LOWEST_NS)
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def read_lines(path):
    """Per mode {flows: ns}, and the floor's median over the cases drawn."""
    lines = {mode: {} for mode in MODES}
    floors = []
    for case in json.loads(Path(path).read_text(encoding="utf-8"))["cases"]:
        named = re.fullmatch(r"(\w+) IPv4 (\d+(?: [KM])?)", case["case"])
        if named and named[1] in lines and named[2] in FLOWS:
            lines[named[1]][FLOWS[named[2]]] = case["ns_per_packet"]["median"]
            floors.append(case["floor_ns_per_packet"]["median"])
    if not floors:
        sys.exit(f"plot_bench.py: {path} has no case such as 'dr IPv4 1 K'")
    return lines, sorted(floors)[len(floors) // 2]


def text(x, y, words, colour="#333", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">'
            f"{words}</text>")


def rule(x1, y1, x2, y2, colour="#e4e4e4"):
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}"/>'


def axes():
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for ns in NS_TICKS:
        parts.append(rule(LEFT, y_of(ns), right, y_of(ns)))
        parts.append(text(LEFT - 8, y_of(ns) + 4, f"{ns:,}", anchor="end"))
    for name, flows in FLOWS.items():
        parts.append(rule(x_of(flows), TOP, x_of(flows), bottom))
        parts.append(text(x_of(flows), bottom + 18, name, anchor="middle"))
    parts.append(text((LEFT + right) / 2, bottom + 38, "flows", anchor="middle"))
    parts.append(text(LEFT - 48, TOP - 10, "ns per packet"))
    return parts


def curve(points, colour, dashed):
    way = "L".join(f"{x_of(flows):.1f} {y_of(ns):.1f}" for flows, ns in sorted(points.items()))
    style = ' stroke-dasharray="5 4"' if dashed else ' stroke-width="2"'
    marks = [f'<circle cx="{x_of(flows):.1f}" cy="{y_of(ns):.1f}" r="{2 if dashed else 3}" '
             f'fill="{colour}"/>' for flows, ns in points.items()]
    return [f'<path d="M{way}" fill="none" stroke="{colour}"{style}/>', *marks]


def labels(ends):
    """Names right of the plot, at the height of their curves but not upon each other."""
    parts = []
    lowest = -math.inf
    for y, name, colour in sorted(ends):
        lowest = max(y, lowest + LABEL_DISTANCE)
        parts.append(text(WIDTH - RIGHT + 12, lowest + 4, name, colour))
    return parts


def draw(lines, floor_ns):
    parts = axes()
    ends = [(y_of(floor_ns), f"floor: {floor_ns:.0f} ns", "#888")]
    parts.append(rule(LEFT, y_of(floor_ns), WIDTH - RIGHT, y_of(floor_ns), "#888"))
    curves = [(name, colour, points, True) for name, (colour, points) in PEERS.items()]
    curves += [(f"headgate, {mode.upper()}", MODES[mode], points, False)
               for mode, points in lines.items() if points]
    for name, colour, points, is_peer in curves:
        parts += curve(points, colour, is_peer)
        ends.append((y_of(points[max(points)]), name, colour))
    parts += labels(ends)
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'font-family="sans-serif" font-size="12">\n'
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n')


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    output = Path(sys.argv[2]) if len(sys.argv) == 3 else ROOT / "docs" / "ns-against-flows.svg"
    output.write_text(draw(*read_lines(sys.argv[1])), encoding="utf-8")
    print(f"drawn: {output}")


if __name__ == "__main__":
    main()
