"""When what a cable says about an earlier one counts (docs/protocol/cable.md §10). Nothing here asks the ledger.

A later cable was judged at its own S like any other. To cancel or supersede, it must besides be of the same post, as
highly classified, and released by as many officers as the earlier one needed: then its releaser could have released
that one. Neither the order of arrival nor what became of the later cable plays a part.
"""

from __future__ import annotations

from dataclasses import dataclass

from crypto_msg.cable import Draft, RelationKind
from crypto_msg.rules import is_enough
from ledger.roles import Clearance
from protos.errors import Refused

REPLACING = (RelationKind.SUPERSEDES, RelationKind.CANCELS)


@dataclass(frozen=True, slots=True)
class Behind:
    """Who stands behind a released cable: officer ids, and whether headquarters co-released it."""

    drafter: bytes
    releaser: bytes
    co_released: bool


def targets(draft: Draft, *kinds: RelationKind) -> tuple[bytes, ...]:
    """The envelope ids of which `draft` says one of these."""
    return tuple(one.envelope_id for one in draft.relations if one.kind in kinds)


def check_may_replace(later: Draft, earlier: Draft) -> None:
    """Raise `Refused` unless a cable of this text can replace `earlier`. Codes: "foreign-cable", "weaker-marking"."""
    if later.post != earlier.post:
        raise foreign_cable(earlier)
    if later.classification < earlier.classification:
        marking = Clearance(earlier.classification).name.replace("_", "-")
        hint = f"Mark it {marking} at least."
        text = "what cancels or supersedes a cable is not marked lower than that"
        raise Refused("weaker-marking", text, hint=hint, marking=marking)


def foreign_cable(earlier: Draft) -> Refused:
    """The refusal to cancel or supersede another post's cable."""
    text, hint = f"only {earlier.post} can cancel or supersede its cable", "Ask the originator."
    return Refused("foreign-cable", text, hint=hint, post=earlier.post)


def check_replaces(later: Draft, behind: Behind, earlier: Draft) -> None:
    """As `check_may_replace`, and raise `Refused` ("two-officers") unless enough officers released `later`."""
    check_may_replace(later, earlier)
    if not is_enough(earlier, behind.drafter == behind.releaser, behind.co_released):
        hint = "Let one officer draft it and another release it."
        raise Refused("two-officers", "the cable needed two officers: so does what cancels or supersedes it", hint=hint)


def check_forwards(later: Draft, earlier: Draft) -> None:
    """Raise `Refused` unless `later` carries all of `earlier`, unchanged and marked no lower.

    Codes: "marking-lowered", "forward-changed".
    """
    if later.classification < earlier.classification or not set(earlier.caveats) <= set(later.caveats):
        hint = "Keep its classification or a higher one, and all its caveats."
        raise Refused("marking-lowered", "a cable is not forwarded under a lower marking than its own", hint=hint)
    start = len(later.paragraphs) - len(earlier.paragraphs)
    is_text = start >= 0 and later.paragraphs[start:] == earlier.paragraphs
    if not is_text or not set(earlier.attachments) <= set(later.attachments):
        hint = "Forward it again: text and attachments go byte for byte."
        raise Refused("forward-changed", "the forwarded text or an attachment is not the cable's", hint=hint)
