"""From what an officer types to draft bytes; every clear reason to refuse is named before anything is stored."""

from __future__ import annotations

import mimetypes
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from crypto_msg.cable import CABLE_ID_BYTES, MAX_CONTENT, Addressee, Attachment, Draft, Relation, check_content_size
from crypto_msg.rules import COLLECTIVES
from crypto_msg.wire import encode_draft
from protos.errors import Malformed, Unavailable

PARAGRAPH_BREAK = "\n\n"


@dataclass(frozen=True, slots=True)
class Composition:
    """What the officer wrote. `text` goes byte for byte; empty lines divide it into paragraphs.

    `quoted`: paragraphs of another cable, which follow as they are; `enclosed`: its attachments with their bytes.
    `expires_hours`: nodes give up bringing it after so long, 0: never.
    """

    to: tuple[str, ...]
    precedence: int
    classification: int
    subject: str
    text: str = field(repr=False)
    info: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    relations: tuple[Relation, ...] = ()
    files: tuple[Path, ...] = ()
    quoted: tuple[str, ...] = field(default=(), repr=False)
    enclosed: tuple[tuple[Attachment, bytes], ...] = field(default=(), repr=False)
    expires_hours: int = 0


@dataclass(frozen=True, slots=True)
class Composed:
    """A checked draft, the bytes of its attachments, and the expiry of its envelope (POSIX seconds, 0: never)."""

    draft: Draft
    attachments: tuple[bytes, ...] = field(repr=False)
    expires_at: int = 0


def compose(composition: Composition, post: str) -> Composed:
    """The draft of a new cable of `post`. Raises `Malformed` or `Refused` by name, `Unavailable("no-file")`."""
    check_content_size(sum(_size(path) for path in composition.files))
    contents = tuple(_read(path) for path in composition.files)
    draft = Draft(
        cable_id=secrets.token_bytes(CABLE_ID_BYTES),
        post=post,
        action=_addressees(composition.to, composition.precedence),
        info=_addressees(composition.info, composition.precedence),
        precedence=composition.precedence,
        classification=composition.classification,
        caveats=composition.caveats,
        subject=composition.subject,
        tags=composition.tags,
        references=composition.references,
        paragraphs=_paragraphs(composition),
        attachments=(
            *(attachment for attachment, _ in composition.enclosed),
            *(_attachment(path, content) for path, content in zip(composition.files, contents, strict=True)),
        ),
        relations=composition.relations,
    )
    encode_draft(draft)
    return Composed(draft, (*(content for _, content in composition.enclosed), *contents))


def decode_text(data: bytes) -> str:
    """The text of a cable from a file's bytes. Raises `Malformed("not-utf8")`."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise Malformed(
            "not-utf8", "the text is not UTF-8", hint="save the file as UTF-8, or send it as an attachment"
        ) from problem


def names(text: str) -> tuple[str, ...]:
    """Codes or collectives from `DEL,WAS`: capitals, in the order given, spaces dropped."""
    return tuple(name for part in text.split(",") if (name := part.strip().upper()))


def is_collective(name: str) -> bool:
    """Whether `name` stands for several posts."""
    return name in COLLECTIVES


def _paragraphs(composition: Composition) -> tuple[str, ...]:
    own = composition.text.split(PARAGRAPH_BREAK) if composition.text or not composition.quoted else ()
    return (*own, *composition.quoted)


def _addressees(to: tuple[str, ...], precedence: int) -> tuple[Addressee, ...]:
    return tuple(Addressee(name, precedence) for name in to)


def _attachment(path: Path, content: bytes) -> Attachment:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Attachment(path.name, kind, len(content), sha256(content).digest())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as problem:
        raise _no_file(path, problem) from problem


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_CONTENT + 1)
    except OSError as problem:
        raise _no_file(path, problem) from problem


def _no_file(path: Path, problem: OSError) -> Unavailable:
    return Unavailable(
        "no-file", f"cannot read {path}: {problem.strerror}", hint="check the file's name", path=str(path)
    )
