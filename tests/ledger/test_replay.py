from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.block import is_record
from ledger.entry import decode_entry_leaf, decode_leaf, encode_leaf, make_leaf
from ledger.logfile import CHECKPOINT, LEAF, LogItem, read_log
from ledger.machine import Machine
from ledger.replay import Level, Problem, ReplayReport, replay
from ledger.wire import BlockRecord, Signature
from support.history import History, council, eventful

GOLDEN = Path(__file__).parents[1] / "golden" / "ledger" / "network.log"
GOLDEN_ROOT = Path(__file__).parents[1] / "golden" / "ledger" / "network.root"


@pytest.fixture(scope="module")
def history() -> History:
    return eventful(council())


def problems(items: list[LogItem], level: Level = Level.FULL) -> list[tuple[int, str]]:
    report = replay(items, (), level)
    assert report.ok == (not report.problems)
    return [(one.index, one.code) for one in report.problems]


def changed(history: History, index: int, leaf: bytes) -> list[LogItem]:
    """The log with another leaf at `index`."""
    items, at = list(history.items), -1
    for position, item in enumerate(items):
        at += item.kind == LEAF
        if item.kind == LEAF and at == index:
            items[position] = LogItem(LEAF, leaf)
    return items


def index_of(history: History, kind: str) -> int:
    return next(
        index
        for index, leaf in enumerate(history.leaves)
        if leaf[:1] == b"\x01" and decode_entry_leaf(leaf).entry.kind == kind
    )


@pytest.mark.parametrize("level", list(Level))
def test_a_sound_log_replays_at_every_level(history: History, level: Level) -> None:
    report = replay(history.items, (), level)
    entries = sum(leaf[:1] == b"\x01" for leaf in history.leaves)
    assert report == ReplayReport(True, level, entries, history.machine.size, history.machine.root, ())


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_signatures_checked_elsewhere_give_the_same_report(history: History, pool: type[Executor]) -> None:
    for level in (Level.SIGNATURES, Level.FULL):
        with pool() as executor:
            assert replay(history.items, (), level, executor) == replay(history.items, (), level)


class Liar(Executor):
    """Says of every check that it does not hold."""

    def submit(self, call, checks):  # type: ignore[no-untyped-def, override]
        future: Future[list[bool]] = Future()
        future.set_result([False] * len(checks))
        return future


def test_what_was_not_found_to_hold_is_checked_by_the_machine(history: History) -> None:
    assert replay(history.items, (), Level.FULL, Liar()).ok


def forged(history: History) -> tuple[int, bytes]:
    """The first batch with another signature."""
    index = index_of(history, "batch")
    read = decode_entry_leaf(history.leaves[index])
    return index, make_leaf(read.signed, [Signature(read.signatures[0].key_id, bytes(64))])


def test_a_forged_signature_is_found_from_level_signatures_on(history: History) -> None:
    index, leaf = forged(history)
    items = changed(history, index, leaf)
    assert problems(items, Level.STRUCTURE) == []
    assert (index, "bad-signature") in problems(items, Level.SIGNATURES)
    assert problems(items, Level.FULL) == [(index, "bad-signature")]
    with ThreadPoolExecutor(2) as executor:
        report = replay(items, (), Level.FULL, executor)
    assert [(one.index, one.code) for one in report.problems] == [(index, "bad-signature")]


def test_a_changed_leaf_does_not_meet_the_checkpoints(history: History) -> None:
    index, leaf = forged(history)
    assert "wrong-checkpoint" in {code for _, code in problems(changed(history, index, leaf), Level.HASHES)}


def test_a_key_that_never_stood_in_the_log_is_found(history: History) -> None:
    index = index_of(history, "batch")
    read = decode_entry_leaf(history.leaves[index])
    stranger = Signature(bytes(32), read.signatures[0].signature)
    leaf = make_leaf(read.signed, [stranger])
    assert (index, "bad-signature") in problems(changed(history, index, leaf), Level.SIGNATURES)


def test_a_left_out_entry_is_found(history: History) -> None:
    index = index_of(history, "officer-suspended")
    items = [item for item in history.items if item.data != history.leaves[index]]
    found = problems(items)
    assert found
    assert found[0][1] in ("empty-block", "wrong-state-root")


def test_a_wrong_state_root_is_found_at_level_full(history: History) -> None:
    index = next(i for i in range(10, len(history.leaves)) if is_record(history.leaves[i]))
    record = decode_leaf(history.leaves[index])
    assert isinstance(record, BlockRecord)
    items = changed(history, index, encode_leaf(replace(record, state_root=bytes(32))))
    items = [item for item in items if item.kind == LEAF]
    assert problems(items, Level.SIGNATURES) == []
    assert problems(items, Level.FULL) == [(index, "wrong-state-root")]


def test_a_checkpoint_without_the_quorum_of_its_size_is_found(history: History) -> None:
    """PAR is a validator only at the end; its cosignature in place of WAS's does not make the quorum before."""
    net, machine = history.net, Machine.found(history.net.leaves, (), history.net.verifier)
    first = net.note(machine, signers=["DHA", "PAR"])
    items = [*(LogItem(LEAF, leaf) for leaf in net.leaves), LogItem(CHECKPOINT, first)]
    assert problems(items, Level.SIGNATURES) == []
    assert problems(items, Level.FULL) == [(machine.size, "no-quorum")]


def test_a_checkpoint_of_another_log_or_size_is_found(history: History) -> None:
    machine = Machine.found(history.net.leaves, (), history.net.verifier)
    leaves = [LogItem(LEAF, leaf) for leaf in history.net.leaves]
    elsewhere = history.net.note(machine, root=b"\x01" * 32)
    early = history.net.note(machine, machine.size - 1)
    for level in (Level.HASHES, Level.FULL):
        assert problems([*leaves, LogItem(CHECKPOINT, elsewhere)], level) == [(machine.size, "wrong-checkpoint")]
    for level in Level:
        assert problems([*leaves, LogItem(CHECKPOINT, early)], level) == [(machine.size, "misplaced-checkpoint")]


@pytest.mark.parametrize("level", list(Level))
def test_broken_files_are_reported_and_never_raise(history: History, level: Level) -> None:
    whole = history.file()
    assert problems([], level) == [(0, "empty-log")]
    assert problems([LogItem(CHECKPOINT, b"")], level)
    assert problems([LogItem(LEAF, b"\x02")], level)
    assert problems([LogItem(LEAF, history.leaves[0])], level) == [(0, "unfinished-block")]
    inside = [LogItem(LEAF, history.leaves[0]), LogItem(CHECKPOINT, b"")]
    assert problems(inside, level) == [(0, "misplaced-checkpoint")]
    cut = replay(read_log(BytesIO(whole[:-7])), (), level)
    assert cut.problems == (Problem(history.machine.size, "truncated", cut.problems[0].text),)
    end = replay(read_log(BytesIO(b"no log at all")), (), level)
    assert [one.code for one in end.problems] == ["not-a-log"]


def test_a_block_without_end_is_cut_off(history: History) -> None:
    def endless() -> Iterator[LogItem]:
        while True:
            yield LogItem(LEAF, b"\x01")

    assert [one.code for one in replay(endless(), ()).problems] == ["long-block"]


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(0, 7), st.sampled_from(list(Level)))
def test_a_flipped_bit_in_the_file_never_raises(place: int, bit: int, level: Level) -> None:
    data = bytearray(GOLDEN.read_bytes())
    data[place % len(data)] ^= 1 << bit
    report = replay(read_log(BytesIO(bytes(data))), (), level)
    assert level < Level.FULL or not report.ok


arbitrary = st.builds(LogItem, st.sampled_from([LEAF, CHECKPOINT]), st.binary(max_size=40))


@settings(max_examples=40)
@given(st.lists(arbitrary, min_size=1, max_size=6))
def test_arbitrary_items_never_raise(items: list[LogItem]) -> None:
    for level in Level:
        assert not replay(items, (), level).ok


def test_the_golden_log_replays_to_its_root_for_ever() -> None:
    with GOLDEN.open("rb") as stream:
        report = replay(read_log(stream), ())
    size, root, entries = GOLDEN_ROOT.read_text().split()
    assert report == ReplayReport(True, Level.FULL, int(entries), int(size), bytes.fromhex(root), ())
