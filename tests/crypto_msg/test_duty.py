"""Duty lists: one encoding, its hash, and their bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_msg.duty import MAX_ITEMS, DutyAlarm, DutyList, decode_list, encode_list, list_hash, verify_list
from protos.errors import DutabartaError, Malformed, VerificationFailed

ID = bytes(range(32))
LIST = DutyList("DEL", 1_795_000_000, (ID,), (ID[::-1],), (DutyAlarm("cable-missing", ID), DutyAlarm("full", b"")), ID)
ids = st.binary(min_size=32, max_size=32)
alarms = st.builds(DutyAlarm, st.text(max_size=30), st.one_of(st.just(b""), ids))
lists = st.builds(
    DutyList,
    st.sampled_from(["DEL", "DHA"]),
    st.integers(0, 2**40),
    st.lists(ids, max_size=5).map(tuple),
    st.lists(ids, max_size=5).map(tuple),
    st.lists(alarms, max_size=5).map(tuple),
    ids,
)


def test_the_golden_list_keeps_its_hash() -> None:
    assert list_hash(encode_list(LIST)).hex() == "113b7c0e8eb4cdf7ca0b1172fcc639e25719a097b1c0fcfe36c5d5ef6c2b96ef"


@given(lists)
def test_a_list_comes_back_as_it_was(duty: DutyList) -> None:
    data = encode_list(duty)
    assert decode_list(data) == duty == verify_list(data, list_hash(data))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(DutabartaError):
        decode_list(data)


@pytest.mark.parametrize(
    "change",
    [
        {"salt": b""},
        {"unacknowledged": (b"short",)},
        {"drafts": (b"",)},
        {"alarms": (DutyAlarm("x", b"short"),)},
        {"unacknowledged": (ID,) * (MAX_ITEMS - 2)},
    ],
)
def test_what_is_out_of_bounds_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(Malformed) as problem:
        encode_list(replace(LIST, **change))  # type: ignore[arg-type]
    assert problem.value.code == "bad-duty-list"


def test_another_list_is_not_the_one_that_was_signed() -> None:
    with pytest.raises(VerificationFailed) as problem:
        verify_list(encode_list(LIST), list_hash(encode_list(replace(LIST, at=LIST.at + 1))))
    assert problem.value.code == "other-duty-list"
