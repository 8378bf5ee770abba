"""Replies, forwards, cancellations and successors: what is written for the officer from the cable that they refer to.

Prosigns (RE, FWD, CANCEL) stay Latin. In what the officer writes, precedence and classification 0 and an empty
subject mean the earlier cable's.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace

from crypto_msg.cable import (
    CABLE_ID_BYTES,
    Addressee,
    Draft,
    Inner,
    Kind,
    Precedence,
    Relation,
    RelationKind,
)
from crypto_msg.wire import decode_draft, decode_inner
from protos.errors import Refused
from terminal.compose import PARAGRAPH_BREAK, Composition
from terminal.records import IN, CableRecord


def reply(record: CableRecord, own_post: str, written: Composition, everybody: bool = False) -> Composition:
    """An answer to the originator of a cable received; `everybody`: its other addressees for information.

    Raises `Refused` ("not-answerable") for what this terminal's own post has sent.
    """
    if record.box != IN:
        text = "only a cable in the in-tray is answered"
        raise Refused("not-answerable", text, hint="see `cable list --box in`; a further cable is `cable send --ref`")
    action, info = addressed_posts(record)
    others = tuple(code for code in (*action, *info) if code not in (record.post, own_post)) if everybody else ()
    info = tuple(dict.fromkeys((*(one for one in written.info if one != record.post), *others)))
    return _about(record, RelationKind.REPLIES, "RE", replace(written, to=(record.post,), info=info))


def forward(record: CableRecord, attachments: Sequence[bytes], written: Composition) -> Composition:
    """The text and the `attachments` of a cable, byte for byte, after what the officer writes.

    Raises `Refused` ("not-released") for a draft.
    """
    if record.kind != Kind.CABLE:
        raise Refused("not-released", "only a released cable is forwarded", hint="see `dutabarta cable release`")
    draft = decode_draft(record.draft)
    quoted = (f"FWD {reference_to(record)}", *draft.paragraphs)
    enclosed = tuple(zip(draft.attachments, attachments, strict=True))
    return replace(_about(record, RelationKind.FORWARDS, "FWD", written), quoted=quoted, enclosed=enclosed)


def supersede(record: CableRecord, written: Composition) -> Composition:
    """What the officer writes, in the place of an earlier cable of his post."""
    return _relate(record, RelationKind.SUPERSEDES, written)


def cancellation(record: CableRecord, reason: str, reachable: Iterable[str]) -> Composition:
    """The cancellation of a cable: to each of its posts that can be reached, as urgent and as highly marked.

    If none can be reached it goes to the own post, for the record.
    """
    action, info = (tuple(one for one in names if one in set(reachable)) for names in addressed_posts(record))
    action, info = (action, info) if action else (info or (record.post,), ())
    text = PARAGRAPH_BREAK.join(one for one in (f"CANCEL {reference_to(record)}", reason) if one)
    return _about(record, RelationKind.CANCELS, "CANCEL", Composition(action, 0, 0, "", text, info))


def withdrawal(record: CableRecord, reason: str) -> Draft:
    """The notice by which its drafter takes a draft back; its marking is the draft's, its subject, too."""
    draft = decode_draft(record.draft)
    return replace(
        draft,
        cable_id=secrets.token_bytes(CABLE_ID_BYTES),
        action=(Addressee(draft.post, draft.precedence),),
        info=(),
        tags=(),
        references=(),
        paragraphs=(reason,),
        attachments=(),
        relations=(Relation(RelationKind.WITHDRAWS, record.envelope_id),),
    )


def addressed_posts(record: CableRecord) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The posts for action, and those for information only, of a released cable: collectives as expanded at its S."""
    inner, draft = _opened(record)
    meant = {one.collective: one.posts for one in inner.expansions}
    action, info = (
        dict.fromkeys(code for one in names for code in meant.get(one.name, (one.name,)))
        for names in (draft.action, draft.info)
    )
    return tuple(action), tuple(code for code in info if code not in action)


def reference_to(record: CableRecord) -> str:
    """How officers name a released cable: post, serial/year, DTG."""
    inner, draft = _opened(record)
    return f"{draft.post} {inner.serial}/{inner.year} {inner.dtg}"


def _about(record: CableRecord, kind: RelationKind, prosign: str, written: Composition) -> Composition:
    """`written`, related to a cable, under its marking and subject where the officer gave none."""
    draft = decode_draft(record.draft)
    subject = draft.subject if draft.subject.startswith(f"{prosign}: ") else f"{prosign}: {draft.subject}"
    marked = replace(
        written,
        precedence=written.precedence or Precedence(draft.precedence),
        classification=written.classification or draft.classification,
        caveats=tuple(dict.fromkeys((*draft.caveats, *written.caveats))),
        subject=written.subject or subject,
    )
    return _relate(record, kind, marked)


def _relate(record: CableRecord, kind: RelationKind, written: Composition) -> Composition:
    if record.kind != Kind.CABLE:
        raise Refused("not-released", "a draft is not referred to", hint="see `dutabarta cable release`")
    relations = (Relation(kind, record.envelope_id), *written.relations)
    return replace(written, relations=relations, references=(reference_to(record), *written.references))


def _opened(record: CableRecord) -> tuple[Inner, Draft]:
    return decode_inner(record.inner, Kind(record.kind))
