"""The date-time group of a cable, in Zulu time: `231430ZNOV26` is 23 November 2026, 14:30 UTC."""

from __future__ import annotations

import re
from calendar import timegm
from datetime import UTC, datetime, timedelta

from protos.errors import Malformed

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_FORM = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})Z([A-Z]{3})([0-9]{2})")
_CENTURY = 2000
_FIRST = timegm((_CENTURY, 1, 1, 0, 0, 0))
_END = timegm((_CENTURY + 100, 1, 1, 0, 0, 0))


def is_datable(at: int) -> bool:
    """Whether a group can say this POSIX time: years are two digits, of 2000 to 2099."""
    return _FIRST <= at < _END


def format_dtg(at: int) -> str:
    """The group of a POSIX time in the years 2000 to 2099; seconds are dropped. Raises `Malformed`."""
    if not is_datable(at):
        raise Malformed("bad-dtg", f"{at} is not in the years 2000 to 2099", hint="Set this machine's clock.", dtg=at)
    moment = datetime(_CENTURY, 1, 1, tzinfo=UTC) + timedelta(seconds=at - _FIRST)
    return f"{moment:%d%H%M}Z{_MONTHS[moment.month - 1]}{moment.year % 100:02}"


def parse_dtg(text: str) -> int:
    """POSIX seconds of a group. Raises `Malformed` unless it is in exactly the form that `format_dtg` writes."""
    parts = _FORM.fullmatch(text)
    try:
        if parts is None:
            raise ValueError("form")
        day, hour, minute, month, year = parts.groups()
        moment = datetime(_CENTURY + int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), tzinfo=UTC)
    except ValueError as problem:
        hint = "Write it as 231430ZNOV26: day, hour and minute, Z, month, year."
        raise Malformed("bad-dtg", f"{text!r} is not a date-time group", hint=hint, dtg=text) from problem
    return int(moment.timestamp())
