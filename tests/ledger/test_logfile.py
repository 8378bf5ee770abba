from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.logfile import CHECKPOINT, HEADER, LEAF, LogItem, leaves_of, read_log, write_log
from protos.errors import Malformed

items = st.lists(st.builds(LogItem, st.sampled_from([LEAF, CHECKPOINT]), st.binary(max_size=50)), max_size=8)


def file_of(content: list[LogItem]) -> bytes:
    stream = BytesIO()
    write_log(stream, content)
    return stream.getvalue()


@given(items)
def test_a_log_file_round_trips(content: list[LogItem]) -> None:
    assert list(read_log(BytesIO(file_of(content)))) == content
    assert list(leaves_of(content)) == [one.data for one in content if one.kind == LEAF]


def test_the_bytes_are_those_of_the_protocol_page() -> None:
    assert file_of([LogItem(LEAF, b"ab"), LogItem(CHECKPOINT, b"c")]) == (
        b"dutabarta/v1/log\n\x01\x00\x00\x00\x02ab\x02\x00\x00\x00\x01c"
    )


@given(items.filter(bool), st.data())
def test_a_truncated_file_is_named(content: list[LogItem], data: st.DataObject) -> None:
    whole = file_of(content)
    ends = {len(HEADER)}
    for item in content:
        ends.add(max(ends) + 5 + len(item.data))
    cut = data.draw(st.integers(len(HEADER), len(whole)))
    if cut in ends:
        assert len(list(read_log(BytesIO(whole[:cut])))) < len(content) or cut == len(whole)
        return
    with pytest.raises(Malformed) as caught:
        list(read_log(BytesIO(whole[:cut])))
    assert caught.value.code == "truncated"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-a-log"),
        (HEADER[:-1], "not-a-log"),
        (b"dutabarta/v2/log\n", "not-a-log"),
        (HEADER + b"\x00\x00\x00\x00\x00", "unknown-item"),
        (HEADER + b"\x03\x00\x00\x00\x00", "unknown-item"),
        (HEADER + b"\x01\xff\xff\xff\xff", "too-large"),
        (HEADER + b"\x02\x00\x04\x00\x01", "too-large"),
        (HEADER + b"\x01\x00", "truncated"),
    ],
)
def test_a_bad_file_is_refused_by_name(data: bytes, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        list(read_log(BytesIO(data)))
    assert caught.value.code == code


@given(st.binary(max_size=100))
def test_arbitrary_bytes_raise_nothing_but_malformed(data: bytes) -> None:
    for prefix in (b"", HEADER):
        try:
            list(read_log(BytesIO(prefix + data)))
        except Malformed:
            continue
