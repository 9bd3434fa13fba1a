#!/usr/bin/env python3
"""Draws stampede.svg from two measured runs.

    dogpile stampede prices --json > missing.json
    dogpile stampede prices --json --stale > stale.json
    docs/pictures/stampede.py missing.json stale.json > docs/pictures/stampede.svg
"""

import json
import sys

WAITED, CREATED, OLD = "#e8a33d", "#2f8f5b", "#3b78c2"
LEFT, WIDTH, ROW, GAP, END_MS = 20, 720, 5, 54, 220


def x(microseconds):
    return LEFT + WIDTH * microseconds / 1000 / END_MS


def panel(run, top, title, parts):
    parts.append(f'<text x="{LEFT}" y="{top}" font-weight="bold">{title}</text>')
    for number, row in enumerate(run["rows"]):
        begin, end, y = row["asked_us"], row["returned_us"], top + 10 + number * ROW
        color = {"waited": WAITED, "created": CREATED, "got_old_value": OLD}[row["role"]]
        width = max(x(end) - x(begin), 4)
        parts.append(f'<rect x="{x(begin):.1f}" y="{y}" width="{width:.1f}" height="{ROW - 1}" fill="{color}"/>')
    bottom = top + 14 + len(run["rows"]) * ROW
    parts.append(f'<path d="M{LEFT} {bottom}H{LEFT + WIDTH}" stroke="#777"/>')
    for tick in range(0, END_MS + 1, 50):
        at = x(tick * 1000)
        parts.append(f'<path d="M{at:.1f} {bottom}v4" stroke="#777"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 17}" font-size="11" fill="#555">{tick} ms</text>')
    return bottom + GAP


def main():
    missing, stale = (json.load(open(path)) for path in sys.argv[1:3])
    parts = []
    threads = len(missing["rows"])
    callers = f"{threads} callers in {missing['processes']} processes"
    top = panel(missing, 28, f"The value is missing: of {callers}, {missing['created']} creates and "
                f"{missing['waited']} wait for it.", parts)
    end = panel(stale, top, f"The value is stale: {stale['created']} creates, and "
                f"{stale['got_old_value']} get the old value at once.", parts)
    at = LEFT
    for color, text in ((CREATED, "creates for 200 ms"), (WAITED, "waits"), (OLD, "gets the old value")):
        parts.append(f'<rect x="{at}" y="{end - 24}" width="14" height="10" fill="{color}"/>')
        parts.append(f'<text x="{at + 20}" y="{end - 15}" font-size="12">{text}</text>')
        at += 60 + 7 * len(text)
    height = end - 2
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{height}" viewBox="0 0 760 {height}" '
          'font-family="sans-serif" font-size="14" fill="#222">')
    print('<rect width="100%" height="100%" fill="white"/>')
    print("\n".join(parts))
    print("</svg>")


main()
