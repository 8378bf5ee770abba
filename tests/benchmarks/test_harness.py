from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from importlib import import_module
from pathlib import Path

import pytest

import benchmarks
from benchmarks import __main__ as report
from benchmarks import page, wire
from benchmarks.harness import Comparison, Row, compare, count_row, rate_row, time_row


def count_to(limit: int) -> int:
    return sum(range(limit))


def test_the_ratio_is_that_of_the_work() -> None:
    found = compare(lambda: count_to(20_000), lambda: count_to(2_000), rounds=9, seconds=0.002)
    assert 4 < found.ratio < 25
    assert found.ours > found.bare > 0


@pytest.mark.parametrize(
    ("unit", "ratio", "aim", "met"),
    [
        ("us", 1.2, 1.25, True),
        ("ms", 1.3, 1.25, False),
        ("entries/s", 0.9, 0.8, True),
        ("entries/s", 0.7, 0.8, False),
        ("us", 9.0, None, None),
        ("bytes", None, 1.1, None),
    ],
)
def test_times_stay_below_their_aim_and_rates_above(
    unit: str, ratio: float | None, aim: float | None, met: bool | None
) -> None:
    assert Row("name", 2, 1, unit, "peer", ratio, aim).is_met is met


def test_a_slower_run_is_a_greater_time_and_a_lower_rate() -> None:
    twice = Comparison(ours=0.002, bare=0.001, ratio=2.0)
    time, rate = time_row("t", "p", twice, unit="ms"), rate_row("r", "p", twice, items=10, unit="cables/s")
    assert (time.ours, time.limit, time.ratio) == (2, 1, 2)
    assert (rate.ours, rate.limit, rate.ratio) == (5_000, 10_000, 0.5)


def test_every_file_that_has_rows_is_a_topic() -> None:
    files = {path.stem for path in Path(benchmarks.__path__[0]).glob("*.py")} - {"__init__", "__main__"}
    assert set(report.topics()) == {name for name in files if hasattr(import_module(f"benchmarks.{name}"), "rows")}


def test_an_unknown_topic_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(["no-such-topic"]) == 2
    assert "hint: one of " in capsys.readouterr().err


def test_the_table_shows_each_row_and_counts_missed_aims(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows(_topic: str) -> Iterator[Row]:
        yield Row("fast", 1, 2, "us", "bare calls", 0.5, 1.25)
        yield Row("slow", 3, 2, "us", "bare calls", 1.5, 1.25)

    monkeypatch.setattr(report, "_rows", rows)
    assert report.main(["keys"]) == 0
    said = capsys.readouterr()
    _, fast, slow = said.out.splitlines()
    assert fast.split() == ["fast", "1.0", "2.0", "us", "0.50", "<=", "1.25", "met", "bare", "calls"]
    assert "missed" in slow
    assert said.err == "aims missed: 1\n"


def test_the_table_takes_the_place_between_the_marks_and_nothing_else(tmp_path: Path) -> None:
    found = tmp_path / "page.md"
    found.write_text(f"before\n{page.BEGIN}old\n{page.END}\nafter\n", encoding="utf-8")
    page.write_table(found, [count_row("cable", 1234), count_row("entry", 3, 2, "hash")], date(2026, 11, 23))
    text = found.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{page.BEGIN}2026-11-23, ") and text.endswith(f"{page.END}\nafter\n")
    assert "| cable | 1,234 |  | bytes |  |  |  |\n| entry | 3 | 2 | bytes | 1.50 |  | hash |\n" in text
    assert "old" not in text


def test_a_page_without_marks_is_left_as_it_is(tmp_path: Path) -> None:
    found = tmp_path / "page.md"
    found.write_text("no table here\n", encoding="utf-8")
    with pytest.raises(ValueError, match="measured"):
        page.write_table(found, [], date(2026, 11, 23))
    assert found.read_text(encoding="utf-8") == "no table here\n"


def test_the_items_of_a_cable_add_up_to_its_bytes_on_the_wire() -> None:
    rows = list(wire.rows())
    totals = [row for row in rows if row.name.startswith("1 KB cable")]
    items = [row for row in rows if row.name.startswith("  ")]
    assert sum(row.ours for row in totals) == sum(row.ours for row in items)
    assert [row.ours for row in totals] == sorted(row.ours for row in totals)
    assert all(row.ours > 0 for row in items)
