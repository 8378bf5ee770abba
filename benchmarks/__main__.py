"""`python -m benchmarks [TOPIC...]`: run the topics (all of them by default) and print one table.

A topic is a file of this folder with `def rows() -> Iterator[Row]`.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from importlib import import_module

import benchmarks
from benchmarks.harness import Row

NOT_TOPICS = {"__main__", "harness"}
HEADINGS = ("what", "ours", "limit", "", "ratio", "aim", "the limit is")
WIDTHS = (48, 12, 12, 9, 7, 13, 0)


def topics() -> list[str]:
    """The names of all topics."""
    return sorted({module.name for module in pkgutil.iter_modules(benchmarks.__path__)} - NOT_TOPICS)


def main(arguments: list[str]) -> int:
    unknown = set(arguments) - set(topics())
    if unknown:
        print(f"error: no topic {', '.join(sorted(unknown))}\nhint: one of {', '.join(topics())}", file=sys.stderr)
        return 2
    print(_line(HEADINGS), flush=True)
    missed = 0
    for topic in arguments or topics():
        for row in _rows(topic):
            print(_line(_cells(row)), flush=True)
            missed += row.is_met is False
    if missed:
        print(f"aims missed: {missed}", file=sys.stderr)
    return 0


def _rows(topic: str) -> Iterator[Row]:
    rows: Iterator[Row] = import_module(f"benchmarks.{topic}").rows()
    return rows


def _cells(row: Row) -> tuple[str, ...]:
    aim = "" if row.aim is None else f"{'>=' if row.unit.endswith('/s') else '<='} {row.aim:g}"
    met = "" if row.is_met is None else (" met" if row.is_met else " missed")
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return row.name, _figure(row, row.ours), _figure(row, row.limit), row.unit, ratio, aim + met, row.peer


def _figure(row: Row, value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if row.unit in ("bytes", "entries/s") else f"{value:,.1f}"


def _line(cells: tuple[str, ...]) -> str:
    aligned = [
        cell.rjust(width) if place in (1, 2, 4) else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    ]
    return "  ".join(aligned).rstrip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
