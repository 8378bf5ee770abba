"""One entry judged: who must have signed it, and whether exactly they did. The cheapest checks come first.

`Rules.judge` is everything but the signatures, `verify` is the signatures, `apply` changes the state. The machine
and the trust file use the same three.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from keys.signing import Verifier
from ledger.entering import check_new, enter_keys, verify_entering
from ledger.entry import EntryLeaf, decode_entry_leaf
from ledger.module import Anchor, Authority, Context, Module, Signatory
from ledger.state import State
from ledger.wire import MAX_LEAF_BYTES
from protos.errors import Malformed, Refused


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry would stand: as the fields of `Context`."""

    state: State
    index: int
    time: int
    block: int
    start: Anchor | None


@dataclass(frozen=True, slots=True)
class Judged:
    """An entry that may stand, if the signatures hold."""

    leaf: EntryLeaf
    module: Module
    context: Context
    authority: Authority


class Rules:
    """The rules of some Modules; each entry kind belongs to one of them."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self._of_kind: dict[str, tuple[Module, type[Any]]] = {}
        for module in modules:
            for kind, body in module.kinds.items():
                if kind in self._of_kind:
                    raise ValueError(f"two modules claim entries of kind {kind}")
                self._of_kind[kind] = (module, body)

    def brings_keys(self, kind: str) -> bool:
        """Can an entry of this kind bring a public key?"""
        rule = self._of_kind.get(kind)
        return rule is not None and any("ProvenKey" in str(one.type) for one in fields(rule[1]))

    def judge(self, leaf: bytes, place: Place) -> Judged:
        """Check everything but the signatures. Raises `Malformed` or `Refused`."""
        if len(leaf) > MAX_LEAF_BYTES:
            raise Malformed("too-large", f"an entry has at most {MAX_LEAF_BYTES} bytes", limit=MAX_LEAF_BYTES)
        read = decode_entry_leaf(leaf)
        module, body = self.decode_body(read)
        context = Context(
            state=place.state,
            entry=read.entry,
            body=body,
            signers=tuple(one.key_id for one in read.signatures),
            leaf=leaf,
            index=place.index,
            time=place.time,
            block=place.block,
            start=place.start,
        )
        authority = module.check(context)
        _check_signers(context.signers, authority)
        _check_sequence(context, authority)
        check_new(place.state, authority.entering)
        return Judged(read, module, context, authority)

    def decode_body(self, leaf: EntryLeaf) -> tuple[Module, Any]:
        """The Module that an entry belongs to, and its payload. Raises `Refused("unknown-kind")` or `Malformed`."""
        rule = self._of_kind.get(leaf.entry.kind)
        if rule is None:
            raise Refused("unknown-kind", f"no rules for entries of kind {leaf.entry.kind[:40]!r}")
        module, kind = rule
        return module, module.codec.decode(kind, leaf.entry.payload, limit=MAX_LEAF_BYTES)


def verify(judged: Judged, network_id: bytes, verifier: Verifier) -> None:
    """Check every signature, then every proof of possession. Raises `VerificationFailed` or `Malformed`."""
    by_key = {one.key.key_id: one for one in _signatories(judged.authority)}
    for signature in judged.leaf.signatures:
        by = by_key[signature.key_id]
        verifier.verify(by.key, by.purpose, network_id, judged.leaf.signed, signature.signature)
    verify_entering(judged.authority.entering, verifier)


def apply(judged: Judged) -> None:
    """Let the entry change the state that it was judged in."""
    judged.module.apply(judged.context)
    state, author = judged.context.state, judged.authority.author
    if author is not None:
        state.set_sequence(author.key.key_id, judged.context.entry.sequence)
    enter_keys(state, judged.authority.entering)


def _signatories(authority: Authority) -> tuple[Signatory, ...]:
    return authority.others if authority.author is None else (authority.author, *authority.others)


def _check_signers(found: tuple[bytes, ...], authority: Authority) -> None:
    others = sorted(one.key.key_id for one in authority.others)
    wanted = tuple(others if authority.author is None else [authority.author.key.key_id, *others])
    if found == wanted:
        return
    hint = "The entry needs exactly the signatures that its kind demands."
    if set(wanted) - set(found):
        raise Refused("missing-signature", "a signature that the entry needs is missing", hint=hint)
    if set(found) - set(wanted):
        raise Refused("extra-signature", "the entry has a signature that it must not have", hint=hint)
    hint = "The author's signature stands first, the others by key id."
    raise Refused("signature-order", "the signatures are not in their one order", hint=hint)


def _check_sequence(context: Context, authority: Authority) -> None:
    if authority.author is None:
        return
    last = context.state.sequence(authority.author.key.key_id)
    if context.entry.sequence != last + 1:
        raise Refused(
            "wrong-sequence",
            f"the author's next entry is number {last + 1}, not {context.entry.sequence}",
            hint="Sign it again with the next number. A number used twice is a sign of a copied key.",
            expected=last + 1,
        )
