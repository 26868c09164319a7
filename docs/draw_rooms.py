"""Draw which room of the harness uses which, read from the code: `python docs/draw_rooms.py`.

The picture is a matrix: a row uses the columns in which it has a number, which says how many of its modules
do. With the rooms in order, every number lies right of the diagonal: dependencies point one way.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
HARNESS = ROOT / "harness"
PICTURE = ROOT / "docs" / "images" / "rooms.svg"
ORDER = (
    *("cli", "portal", "contest", "run", "diagnose", "report", "results", "gateway"),
    *("package", "image", "scoring", "sandbox", "videos", "core"),
)
CELL, LEFT, TOP = 44, 150, 96


def rooms() -> list[str]:
    """Return the rooms that exist, from the top down."""
    return [room for room in ORDER if (HARNESS / room).is_dir()]


def uses() -> dict[str, Counter[str]]:
    """Count, for each room, the modules that import from each other room."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for path in sorted(HARNESS.rglob("*.py")):
        parts = path.relative_to(HARNESS).parts
        if len(parts) == 1 or {"runtime", "packages"} & set(parts):
            continue
        others = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("harness."):
                others.add(str(node.module).split(".")[1])
            elif isinstance(node, ast.ImportFrom) and node.module == "harness":
                others |= {alias.name for alias in node.names}
        found[parts[0]].update(others & set(ORDER) - {parts[0]})
    return dict(found)


def picture() -> str:
    """Return the matrix as SVG, the same text for the same code."""
    names, counted = rooms(), uses()
    width, height = LEFT + CELL * len(names) + 16, TOP + CELL * len(names) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="15" role="img" aria-labelledby="t">',
        '<title id="t">Which room uses which: rows use columns</title>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for index, name in enumerate(names):
        x, y = LEFT + CELL * index, TOP + CELL * index
        parts += [
            f'<text x="{LEFT - 12}" y="{y + 28}" text-anchor="end" fill="#111">{name}</text>',
            f'<text transform="translate({x + 27},{TOP - 10}) rotate(-50)" fill="#111">{name}</text>',
            f'<rect x="{x}" y="{y}" width="{CELL}" height="{CELL}" fill="#d8dee6"/>',
        ]
        for column, other in enumerate(names):
            count = counted.get(name, Counter())[other]
            if count:
                left, side = LEFT + CELL * column, CELL - 6
                middle = left + CELL // 2
                parts += [
                    f'<rect x="{left + 3}" y="{y + 3}" width="{side}" height="{side}" rx="5" fill="#15a"/>',
                    f'<text x="{middle}" y="{y + 28}" text-anchor="middle" fill="#fff">{count}</text>',
                ]
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
