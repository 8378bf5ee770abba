"""The bounds of every field of draft and inner (docs/protocol/cable.md §1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from crypto_msg.cable import (
    CABLE_ID_BYTES,
    CLASSIFICATIONS,
    ID_BYTES,
    MAX_DRAFT,
    PRECEDENCES,
    RELATION_KINDS,
    SALT_BYTES,
    Attachment,
    Draft,
    Inner,
    Kind,
    check_content_size,
    is_name,
    is_withdrawal,
)
from crypto_msg.dtg import parse_dtg
from ledger.names import is_code
from protos.errors import Malformed

MAX_ADDRESSEES = 256
MAX_ATTACHMENTS = 64
MAX_CLEARERS = 16
MAX_CO_RELEASERS = 4
MAX_POSTS = 1024
MAX_SERIAL = 10**6 - 1

T = TypeVar("T", bytes, str)


def check_draft(draft: Draft) -> None:
    """Raise `Malformed` unless every field is in bounds, `Refused` ("attachment-too-large") beyond MAX_CONTENT."""
    _require(len(draft.cable_id) == CABLE_ID_BYTES, "cable id")
    _check_addressees(draft)
    _require(draft.classification in CLASSIFICATIONS, "classification")
    _check_texts(draft.caveats, 16, 256, "caveat")
    _check_text(draft.subject, 2048, "subject")
    _check_texts(draft.tags, 64, 256, "tag")
    _check_texts(draft.references, 64, 512, "reference")
    _check_texts(draft.paragraphs, 2000, MAX_DRAFT, "paragraph", may_be_empty=True)
    _bounded(draft.relations, 64, "relation")
    for relation in draft.relations:
        _require(relation.kind in RELATION_KINDS and len(relation.envelope_id) == ID_BYTES, "relation")
    _bounded(draft.attachments, MAX_ATTACHMENTS, "attachment")
    for attachment in draft.attachments:
        _check_attachment(attachment)
    check_content_size(sum(attachment.size for attachment in draft.attachments))


def check_inner(inner: Inner, kind: Kind, draft: Draft) -> None:
    """Raise `Malformed` unless `inner` holds what its kind of envelope holds, and no more."""
    for one in (inner.drafter, *inner.clearers, *inner.co_releasers, inner.releaser):
        _require(len(one) in (0, ID_BYTES), "key id")
    _require_ascending(inner.clearers, MAX_CLEARERS, "clearer")
    _require_ascending(inner.co_releasers, MAX_CO_RELEASERS, "co-releaser")
    _CHECK_KIND[kind](inner, draft)


def _check_addressees(draft: Draft) -> None:
    everybody = (*draft.action, *draft.info)
    _bounded(everybody, MAX_ADDRESSEES, "addressee")
    _require(is_code(draft.post), "post")
    _require(bool(draft.action), "action addressee")
    for name in (one.name for one in everybody):
        if not is_name(name):
            hint = "Write a post's code, as DEL, or a collective, as ALL-MISSIONS."
            raise Malformed("bad-addressee", f"{name[:40]!r} is no post code or collective", hint=hint, name=name[:40])
    _require(len({one.name for one in everybody}) == len(everybody), "addressee named twice")
    _require(all(one.precedence in PRECEDENCES for one in everybody), "precedence")
    _require(draft.precedence == max(one.precedence for one in everybody), "highest precedence")


def _check_attachment(attachment: Attachment) -> None:
    _check_text(attachment.name, 255, "attachment name")
    _require(bool(attachment.name), "attachment name")
    _check_text(attachment.type, 127, "attachment type")
    _require(attachment.size >= 0 and len(attachment.hash) == ID_BYTES, "attachment")


def _check_cable(inner: Inner, draft: Draft) -> None:
    _require(not is_withdrawal(draft), "relation")
    _require(1 <= inner.serial <= MAX_SERIAL and 2000 <= inner.year <= 2099, "serial")
    parse_dtg(inner.dtg)
    _require(len(inner.anchor_salt) == SALT_BYTES, "anchor salt")
    _require(bool(inner.drafter) and bool(inner.releaser), "drafter or releaser")
    names = [one.collective for one in inner.expansions]
    addressed = {one.name for one in (*draft.action, *draft.info)}
    _require(all(name in addressed and not is_code(name) for name in names), "expansion")
    _require_ascending(names, MAX_ADDRESSEES, "expansion")
    for one in inner.expansions:
        _require_ascending(one.posts, MAX_POSTS, "expansion")
        _require(bool(one.posts) and all(is_code(post) for post in one.posts), "expansion")


def _check_draft_kind(inner: Inner, draft: Draft) -> None:
    _require_unreleased(inner)
    _require(len(draft.relations) == 1 or not is_withdrawal(draft), "relation")
    _require(bool(inner.drafter) and not inner.clearers and not inner.co_releasers, "drafter")


def _check_countersignature(inner: Inner, draft: Draft) -> None:
    _require_unreleased(inner)
    _require(not is_withdrawal(draft), "relation")
    _require(not inner.drafter and len(inner.clearers) + len(inner.co_releasers) == 1, "countersigner")


_CHECK_KIND: dict[Kind, Callable[[Inner, Draft], None]] = {
    Kind.CABLE: _check_cable,
    Kind.DRAFT: _check_draft_kind,
    Kind.COUNTERSIGNATURE: _check_countersignature,
}


def _require_unreleased(inner: Inner) -> None:
    released = (inner.serial, inner.year, inner.dtg, inner.expansions, inner.releaser, inner.anchor_salt)
    _require(not any(released), "release in a draft")


def _require_ascending(values: Sequence[T], most: int, what: str) -> None:
    _bounded(values, most, what)
    ascending = all(one < following for one, following in pairwise(values))
    _require(ascending and all(values), f"{what} (strictly ascending)")


def _check_texts(texts: Sequence[str], most: int, longest: int, what: str, *, may_be_empty: bool = False) -> None:
    _bounded(texts, most, what)
    for text in texts:
        _check_text(text, longest, what)
    _require(may_be_empty or all(texts), what)


def _check_text(text: str, longest: int, what: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as problem:
        hint = "Type it again, or paste it as plain text."
        raise Malformed("not-unicode", f"the {what} is not Unicode text", hint=hint, what=what) from problem
    if size > longest:
        hint = "Shorten it, or move it into an attachment."
        text = f"a {what} has {size} bytes, at most {longest}"
        raise Malformed("too-long", text, hint=hint, what=what, limit=longest)


def _bounded(values: Iterable[object], most: int, what: str) -> None:
    count = len(tuple(values))
    if count > most:
        hint = "Leave some out, or send a second cable."
        raise Malformed("too-many", f"{count} times {what}, at most {most}", hint=hint, what=what, limit=most)


def _require(holds: bool, what: str) -> None:
    if not holds:
        hint = "Correct this field, or ask the originator to."
        raise Malformed("bad-field", f"the cable's {what} is missing or not allowed", hint=hint, what=what)
