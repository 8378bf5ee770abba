"""`python -m benchmarks [--page FILE] [TOPIC...]`: run the topics (all of them by default) and print one table.

With `--page docs/benchmarks.md` the table also goes into that page. A topic is a file of this folder with
`def rows() -> Iterator[Row]`.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import benchmarks
from benchmarks.harness import Row
from benchmarks.page import HEADINGS, cells, write_table

NOT_TOPICS = {
    "__main__",
    "circular",
    "correspondence",
    "council",
    "harness",
    "kvstore",
    "load",
    "losses",
    "meter",
    "page",
    "posts",
    "processes",
}
WIDTHS = (48, 12, 12, 9, 7, 13, 0)


def topics() -> list[str]:
    """The names of all topics."""
    return sorted({module.name for module in pkgutil.iter_modules(benchmarks.__path__)} - NOT_TOPICS)


def main(arguments: list[str]) -> int:
    page = Path(arguments[1]) if arguments[:1] == ["--page"] and len(arguments) > 1 else None
    wanted = arguments[2:] if page else arguments
    unknown = set(wanted) - set(topics())
    if unknown:
        print(f"error: no topic {', '.join(sorted(unknown))}\nhint: one of {', '.join(topics())}", file=sys.stderr)
        return 2
    print(_line(HEADINGS), flush=True)
    found = []
    for topic in wanted or topics():
        for row in _rows(topic):
            print(_line(cells(row)), flush=True)
            found.append(row)
    missed = sum(row.is_met is False for row in found)
    if missed:
        print(f"aims missed: {missed}", file=sys.stderr)
    if page:
        write_table(page, found, datetime.now(UTC).date())
    return 0


def _rows(topic: str) -> Iterator[Row]:
    rows: Iterator[Row] = import_module(f"benchmarks.{topic}").rows()
    return rows


def _line(cells: tuple[str, ...]) -> str:
    aligned = [
        cell.rjust(width) if place in (1, 2, 4) else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    ]
    return "  ".join(aligned).rstrip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
