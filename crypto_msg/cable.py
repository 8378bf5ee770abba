"""What a cable says: the draft that its officers sign, and what release adds.

Text is carried byte for byte and never normalised. Bounds are in bounds.py, sealing and opening in seal.py, opening.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from ledger.names import is_code
from ledger.roles import Clearance
from protos.errors import Refused

CABLE_ID_BYTES = 16
ID_BYTES = 32
SALT_BYTES = 32

MAX_DRAFT = 1 << 20
MAX_INNER = MAX_DRAFT + (1 << 16)
"""Bytes of the canonical messages."""
MAX_CONTENT = 512 << 20
"""Bytes of inner and attachments together, before compression, in this version."""

_COLLECTIVE = re.compile(r"[A-Z][A-Z-]{3,31}")

Classification = Clearance
"""How a cable is marked: the lowest clearance that may read it."""


class Precedence(IntEnum):
    """How fast a cable goes: on a link a higher number passes a lower one."""

    ROUTINE = 1
    PRIORITY = 2
    IMMEDIATE = 3
    FLASH = 4


class Kind(IntEnum):
    """What an envelope holds."""

    CABLE = 1
    DRAFT = 2
    COUNTERSIGNATURE = 3
    """A clearer's or co-releaser's answer to a draft: the draft, without attachments, and his signature."""


class RelationKind(IntEnum):
    """What a cable says about an earlier one."""

    REPLIES = 1
    FORWARDS = 2
    SUPERSEDES = 3
    CANCELS = 4
    WITHDRAWS = 5
    """In a draft only: its drafter takes an earlier draft back."""


KINDS = frozenset(map(int, Kind))
PRECEDENCES = frozenset(map(int, Precedence))
CLASSIFICATIONS = frozenset(map(int, Classification))
RELATION_KINDS = frozenset(map(int, RelationKind))


@dataclass(frozen=True, slots=True)
class Addressee:
    """A post code or a collective, and the precedence for it."""

    name: str
    precedence: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file's name and media type as its sender gave them, its size in bytes and its SHA-256."""

    name: str
    type: str
    size: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Relation:
    """RelationKind, and the envelope id of the earlier cable."""

    kind: int
    envelope_id: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """The draft bytes' content: what drafter, clearers and co-releasers sign."""

    cable_id: bytes
    post: str
    action: tuple[Addressee, ...]
    info: tuple[Addressee, ...]
    precedence: int
    classification: int
    caveats: tuple[str, ...]
    subject: str
    tags: tuple[str, ...]
    references: tuple[str, ...]
    paragraphs: tuple[str, ...]
    attachments: tuple[Attachment, ...]
    relations: tuple[Relation, ...]


@dataclass(frozen=True, slots=True)
class Expansion:
    """The posts that a collective meant at S, in ascending order."""

    collective: str
    posts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inner:
    """What stands inside the seal: the draft bytes and what release adds. The key ids say which signatures follow."""

    draft: bytes
    serial: int
    year: int
    dtg: str
    expansions: tuple[Expansion, ...]
    drafter: bytes
    clearers: tuple[bytes, ...]
    co_releasers: tuple[bytes, ...]
    releaser: bytes
    anchor_salt: bytes


def check_content_size(size: int) -> None:
    """Raise `Refused` ("attachment-too-large") above MAX_CONTENT bytes."""
    if size > MAX_CONTENT:
        limit = MAX_CONTENT >> 20
        hint = f"A cable carries at most {limit} MiB, text and attachments together: send the files in several cables."
        raise Refused("attachment-too-large", f"{size} bytes exceed {limit} MiB", hint=hint, size=size, limit=limit)


def posts_of(draft: Draft, expansions: Sequence[Expansion]) -> tuple[str, ...]:
    """Every post that gets wraps, ascending: the addressees, collectives expanded, and the originating post."""
    meant = {one.collective: one.posts for one in expansions}
    posts = {draft.post}
    for addressee in (*draft.action, *draft.info):
        posts.update(meant.get(addressee.name, (addressee.name,)))
    return tuple(sorted(posts))


def is_withdrawal(draft: Draft) -> bool:
    """Whether a draft takes an earlier one back; such a draft is never released."""
    return any(one.kind == RelationKind.WITHDRAWS for one in draft.relations)


def is_name(text: str) -> bool:
    """Whether `text` has the form of a post code or collective."""
    return is_code(text) or _COLLECTIVE.fullmatch(text) is not None
