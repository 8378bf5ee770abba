"""One entry judged: who must have signed it, and whether exactly they did. The cheapest checks come first.

`Rules.judge` is everything but the signatures, `verify` is the signatures, `apply` changes the state. The machine
and the trust file use the same three.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from keys.signing import Verifier
from ledger.entering import check_new, enter_keys, verify_entering
from ledger.entry import EntryLeaf, decode_entry_leaf
from ledger.module import Anchor, Authority, Context, Module, Signatory
from ledger.state import State
from ledger.wire import MAX_LEAF_BYTES
from protos.errors import Malformed, Refused


@dataclass(slots=True)
class Place:
    """Where the next entry would stand: as the fields of `Context`. Whoever applies an entry raises `index`."""

    state: State
    index: int
    time: int
    block: int
    start: Anchor | None


class Judged(NamedTuple):
    """An entry that may stand, if the signatures hold. `signatories` are in the order of the signatures."""

    leaf: EntryLeaf
    module: Module
    context: Context
    authority: Authority
    signatories: tuple[Signatory, ...]


class Rules:
    """The rules of some Modules; each entry kind belongs to one of them."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self._of_kind: dict[str, tuple[Module, type[Any]]] = {}
        for module in modules:
            for kind, body in module.kinds.items():
                if kind in self._of_kind:
                    raise ValueError(f"two modules claim entries of kind {kind}")
                self._of_kind[kind] = (module, body)
        bodies = ((kind, body) for kind, (_, body) in self._of_kind.items())
        self._bringing = {kind.encode() for kind, body in bodies if _has_key(body)}

    def brings_keys(self, kind: bytes) -> bool:
        """Can an entry of this kind (in UTF-8) bring a public key?"""
        return kind in self._bringing

    def judge(self, leaf: bytes, place: Place) -> Judged:
        """Check everything but the signatures. Raises `Malformed` or `Refused`."""
        if len(leaf) > MAX_LEAF_BYTES:
            raise Malformed("too-large", f"an entry has at most {MAX_LEAF_BYTES} bytes", limit=MAX_LEAF_BYTES)
        read = decode_entry_leaf(leaf)
        module, body = self.decode_body(read)
        signers = tuple([one.key_id for one in read.signatures])
        context = Context(
            place.state, read.entry, body, signers, leaf, place.index, place.time, place.block, place.start
        )
        authority = module.check(context)
        signatories = _signatories(authority)
        _check_signers(signers, tuple([one.key.key_id for one in signatories]))
        _check_sequence(context, authority)
        if authority.entering:
            check_new(place.state, authority.entering)
        return Judged(read, module, context, authority, signatories)

    def decode_body(self, leaf: EntryLeaf) -> tuple[Module, Any]:
        """The Module that an entry belongs to, and its payload. Raises `Refused("unknown-kind")` or `Malformed`."""
        rule = self._of_kind.get(leaf.entry.kind)
        if rule is None:
            raise Refused("unknown-kind", f"no rules for entries of kind {leaf.entry.kind[:40]!r}")
        module, kind = rule
        return module, module.codec.decode(kind, leaf.entry.payload, limit=MAX_LEAF_BYTES)


def verify(judged: Judged, network_id: bytes, verifier: Verifier) -> None:
    """Check every signature, then every proof of possession. Raises `VerificationFailed` or `Malformed`."""
    for by, signature in zip(judged.signatories, judged.leaf.signatures, strict=True):
        verifier.verify(by.key, by.purpose, network_id, judged.leaf.signed, signature.signature)
    verify_entering(judged.authority.entering, verifier)


def apply(judged: Judged) -> None:
    """Let the entry change the state that it was judged in."""
    judged.module.apply(judged.context)
    state, author = judged.context.state, judged.authority.author
    if author is not None:
        state.set_sequence(author.key.key_id, judged.context.entry.sequence)
    enter_keys(state, judged.authority.entering)


def _has_key(body: type[Any]) -> bool:
    return any("ProvenKey" in str(one.type) for one in fields(body))


def _signatories(authority: Authority) -> tuple[Signatory, ...]:
    """Who must have signed, in the one order: the author first, the others by key id."""
    others = tuple(sorted(authority.others, key=lambda one: one.key.key_id)) if authority.others else ()
    return others if authority.author is None else (authority.author, *others)


def _check_signers(found: tuple[bytes, ...], wanted: tuple[bytes, ...]) -> None:
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
