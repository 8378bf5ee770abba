"""What cables say of one another, as JSON and as lines for a person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cli.words import error_words, t
from crypto_msg.cable import RelationKind
from protos.errors import Unavailable
from terminal.correspondence import reference_to
from terminal.marks import Mark, false_claims
from terminal.records import CableRecord
from terminal.standing import Standing
from terminal.terminal import Terminal

Json = dict[str, Any]


def replaced_json(marks: Iterable[Mark]) -> Json:
    """The envelope ids of the cables that cancel or supersede one; claims that do not count are left out."""
    found = [one for one in marks if not one.refused]
    return {
        "cancelled_by": [one.by.envelope_id.hex() for one in found if one.kind == RelationKind.CANCELS],
        "superseded_by": [one.by.envelope_id.hex() for one in found if one.kind == RelationKind.SUPERSEDES],
    }


def mark_json(terminal: Terminal, mark: Mark) -> Json:
    """`refused`: the code of why it does not count; if it does, `doubts`: why not to rely on the later cable."""
    standing = None if mark.refused else standing_of(terminal, mark.by)
    return {
        "kind": mark.kind.name,
        "envelope_id": mark.by.envelope_id.hex(),
        "reference": reference_to(mark.by),
        "from": mark.by.post,
        "refused": mark.refused.code if mark.refused else "",
        "why": error_words(mark.refused)[0] if mark.refused else "",
        "doubts": [] if standing is None else list(standing.doubts),
    }


def false_claims_text(terminal: Terminal, record: CableRecord) -> list[str]:
    """What a cable says of earlier ones here that does not hold, and why."""
    return [
        t("cable.false-claim", kind=one.kind.name, id=one.envelope_id.hex(), why=error_words(one.refused)[0])
        for one in false_claims(terminal.session, record)
    ]


def replaced_lines(data: Json) -> list[str]:
    """One line for each cable that cancels or supersedes one."""
    return [t(f"cable.{name}", by=one) for name in ("cancelled_by", "superseded_by") for one in data[name]]


def mark_line(mark: Json) -> str:
    """How a reader is told of a mark or a claim."""
    key = "claimed" if mark["refused"] else mark["kind"].lower()
    text = t(f"cable.{key}", by=mark["reference"], id=mark["envelope_id"], why=mark["why"])
    return "\n".join([text, *(f"!  {one}" for one in mark["doubts"])])


def standing_of(terminal: Terminal, record: CableRecord) -> Standing | None:
    """How a cable stands; None if the node cannot be asked."""
    try:
        return terminal.standing(record)
    except Unavailable:
        return None
