from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import benchmarks
from benchmarks import __main__ as report
from benchmarks.harness import Comparison, Row, compare, rate_row, time_row


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
    ],
)
def test_times_stay_below_their_aim_and_rates_above(
    unit: str, ratio: float, aim: float | None, met: bool | None
) -> None:
    assert Row("name", ratio, 1, unit, "peer", ratio, aim).is_met is met


def test_a_slower_run_is_a_greater_time_and_a_lower_rate() -> None:
    twice = Comparison(ours=0.002, bare=0.001, ratio=2.0)
    time, rate = time_row("t", "p", twice, unit="ms"), rate_row("r", "p", twice, items=10, unit="cables/s")
    assert (time.ours, time.limit, time.ratio) == (2, 1, 2)
    assert (rate.ours, rate.limit, rate.ratio) == (5_000, 10_000, 0.5)


def test_every_file_of_the_folder_is_a_topic() -> None:
    files = {path.stem for path in Path(benchmarks.__path__[0]).glob("*.py")}
    assert set(report.topics()) == files - {"__init__", "__main__", "harness"}


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
