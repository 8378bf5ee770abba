"""Exit codes of every command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a script may rely on. `sentence` is the one line the documentation prints."""

    sentence: str

    def __new__(cls, value: int, sentence: str) -> Exit:
        member = int.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    DONE = 0, "The command did what was asked."
    REFUSED = 1, "A rule said no, or the work failed; nothing is half done."
    USAGE = 2, "The command line itself was wrong; nothing was tried."
    VERIFICATION = 3, "Verification says no: do not rely on what was checked."
    UNAVAILABLE = 4, "It could not be checked or reached now; trying again later may help."
