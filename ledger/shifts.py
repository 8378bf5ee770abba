"""Who is on duty at a post: the shift, handed over by one officer to the next (docs/protocol/shift.md).

Two officers sign a hand-over. Where nobody is on duty, or who is cannot hand over, an officer takes the shift with a
supervisor's signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keys.purpose import Purpose
from ledger import bodies
from ledger.merkle import HASH_BYTES
from ledger.module import Authority, Context, Signatory
from ledger.records import Officer, Shift
from ledger.roles import Role
from ledger.state import shift_key
from ledger.supervision import one_of_post_or_headquarters
from ledger.wire import CODEC
from protos.errors import Malformed, Refused


class ShiftModule:
    """The rules of "shift-changed"."""

    name = "shift"
    kinds: Mapping[str, type[Any]] = {"shift-changed": bodies.ShiftChanged}
    codec = CODEC

    def check(self, context: Context) -> Authority:
        """The outgoing officer and the incoming one; or the incoming one and a supervisor other than himself.

        Raises `Refused` "wrong-post", "nothing-changed", "not-on-duty", "not-a-releaser" and those of an officer who
        may not act, `Malformed("bad-list-hash")`.
        """
        body: bodies.ShiftChanged = context.body
        incoming = _officer_of(context, body.incoming, body.post)
        if incoming.post == context.state.headquarters() and not incoming.has_role(Role.RELEASER):
            hint = "Hand over to a releaser."
            raise Refused("not-a-releaser", "the duty officer of headquarters is a releaser", hint=hint)
        before = context.state.shift(body.post)
        if before is not None and before.officer_id == body.incoming:
            raise Refused("nothing-changed", "the officer is on duty already")
        if len(body.list_hash) != (HASH_BYTES if body.outgoing else 0):
            raise Malformed("bad-list-hash", "a hand-over names the hash of what is pending, nothing else does")
        if not body.outgoing:
            supervisor = one_of_post_or_headquarters(context, body.post, besides=incoming.officer_id)
            return Authority(_signed(incoming), (_signed(supervisor),))
        if before is None or before.officer_id != body.outgoing:
            raise Refused("not-on-duty", "the officer who hands over is not on duty", hint="See who is.")
        return Authority(_signed(_officer_of(context, body.outgoing, body.post)), (_signed(incoming),))

    def apply(self, context: Context) -> None:
        """The post's record names the incoming officer, and before him whoever handed over in person."""
        body: bodies.ShiftChanged = context.body
        shift = Shift(body.post, body.incoming, context.index, body.outgoing, body.list_hash)
        context.state.write(shift_key(body.post), shift)


def _officer_of(context: Context, officer_id: bytes, post: str) -> Officer:
    officer = context.state.active_officer(officer_id)
    if officer.post != post:
        raise Refused("wrong-post", f"the officer is not of {post}", hint="A shift stays within its post.")
    return officer


def _signed(officer: Officer) -> Signatory:
    return Signatory(officer.key, Purpose.SHIFT)
