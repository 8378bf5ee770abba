"""The measured table of docs/benchmarks.md; the words around it are written by hand."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from datetime import date
from os import cpu_count, sysconf
from pathlib import Path

from benchmarks.harness import Row

BEGIN, END = "<!-- measured -->\n", "<!-- end -->"
HEADINGS = ("what", "ours", "limit", "unit", "ratio", "aim", "what the limit is")


def write_table(page: Path, rows: Iterable[Row], today: date) -> None:
    """Put date, machine and rows in place of what stands between the two marks of the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{page} has no {BEGIN.strip()} ... {END}")
    lines = [HEADINGS, ("---", "---:", "---:", "---", "---:", "---", "---"), *map(cells, rows)]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    page.write_text(f"{before}{BEGIN}{today.isoformat()}, {_machine()}.\n\n{table}{END}{after}", encoding="utf-8")


def cells(row: Row) -> tuple[str, ...]:
    """A row's words and figures, one text a column."""
    aim = "" if row.aim is None else f"{'>=' if row.unit.endswith('/s') else '<='} {row.aim:g}"
    met = "" if row.is_met is None else (" met" if row.is_met else " missed")
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return row.name, _figure(row, row.ours), _figure(row, row.limit), row.unit, ratio, aim + met, row.peer


def _figure(row: Row, value: float | None) -> str:
    if value is None:
        return ""
    is_count = row.unit in ("bytes", "bytes/day") or row.unit.endswith("/s")
    return f"{value:,.0f}" if is_count else f"{value:,.1f}"


def _machine() -> str:
    memory = sysconf("SC_PAGE_SIZE") * sysconf("SC_PHYS_PAGES") / 2**30
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{cpu_count()} cores {platform.machine().replace('_', '-')}, {memory:.0f} GiB, {python}"
