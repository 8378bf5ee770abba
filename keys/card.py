"""Public cards: what a post or a root holder carries to HQ as text (docs/protocol/card.md)."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from protos.errors import Malformed

MAX_CARD_CHARS = 65_536
_COLUMNS = 64


class CardKind(StrEnum):
    """The first line of a card."""

    POST = "dutabarta/v1/post-card"
    ROOT = "dutabarta/v1/root-card"


@dataclass(frozen=True, slots=True)
class Card:
    """A kind and the canonical bytes it carries: a PostAdmitted, or a root's ProvenKey."""

    kind: CardKind
    content: bytes


def format_card(card: Card) -> str:
    """The card's text: the kind, then base64 in lines of 64 characters, each line ended by a line feed."""
    text = b64encode(card.content).decode("ascii")
    lines = [text[start : start + _COLUMNS] for start in range(0, len(text), _COLUMNS)]
    return "\n".join([card.kind, *lines, ""])


def parse_card(text: str) -> Card:
    """The card, whose `format_card` is exactly `text`. Raises `Malformed` ("not-a-card", "card-damaged")."""
    first, _, rest = text[:MAX_CARD_CHARS].partition("\n")
    if first not in list(CardKind):
        raise Malformed("not-a-card", "this is no public card", hint="give the file that `keygen` printed")
    try:
        card = Card(CardKind(first), b64decode(rest.replace("\n", "").encode("ascii"), validate=True))
    except (binascii.Error, UnicodeEncodeError) as problem:
        raise _damaged() from problem
    if not card.content or format_card(card) != text:
        raise _damaged()
    return card


def card_digest(text: str) -> str:
    """SHA-256 of the card's text as 16 groups of four hexadecimal digits, to compare aloud. Raises as `parse_card`."""
    digest = sha256(format_card(parse_card(text)).encode("ascii")).hexdigest()
    return " ".join(digest[start : start + 4] for start in range(0, len(digest), 4))


def _damaged() -> Malformed:
    return Malformed("card-damaged", "the public card is damaged", hint="copy it again, unchanged, with its line ends")
