from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.card import MAX_CARD_CHARS, Card, CardKind, card_digest, format_card, parse_card
from keys.name import commit_name
from protos.errors import Malformed

TEXT = format_card(Card(CardKind.POST, bytes(range(200))))

cards = st.builds(Card, st.sampled_from(CardKind), st.binary(min_size=1, max_size=2000))


@given(card=cards)
def test_a_card_round_trips(card: Card) -> None:
    text = format_card(card)
    assert parse_card(text) == card
    assert all(len(line) <= 64 for line in text.splitlines())
    assert text.endswith("\n")


@given(text=st.text(max_size=200))
def test_any_text_is_a_card_or_refused(text: str) -> None:
    for candidate in (text, f"{CardKind.ROOT}\n{text}"):
        try:
            assert format_card(parse_card(candidate)) == candidate
        except Malformed as refusal:
            assert refusal.code in {"not-a-card", "card-damaged"}


@pytest.mark.parametrize(
    "text",
    [
        TEXT[:-1],
        TEXT + "\n",
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\n\n", 1),
        TEXT.replace("A", "A ", 1),
        f"{CardKind.POST}\n",
        f"{CardKind.POST}\nAB==\n",
        f"{CardKind.POST}\nআ===\n",
        TEXT[:-2] + "\n",
    ],
    ids=[
        "no last line end",
        "blank line",
        "CRLF",
        "blank second line",
        "space",
        "empty",
        "loose bits",
        "not ASCII",
        "cut",
    ],
)
def test_other_text_that_means_the_same_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_card(text)
    assert caught.value.code in {"card-damaged", "not-a-card"}


@pytest.mark.parametrize("first", ["dutabarta/v2/post-card", " dutabarta/v1/post-card", ""])
def test_another_first_line_is_no_card(first: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_card(TEXT.replace(CardKind.POST, first))
    assert caught.value.code == "not-a-card"


def test_a_huge_card_is_refused() -> None:
    with pytest.raises(Malformed):
        parse_card(format_card(Card(CardKind.POST, bytes(MAX_CARD_CHARS))))


def test_the_digest_is_the_hash_of_the_text() -> None:
    digest = card_digest(TEXT)
    assert digest.replace(" ", "") == sha256(TEXT.encode()).hexdigest()
    assert [len(group) for group in digest.split(" ")] == [4] * 16


def test_a_changed_card_has_another_digest() -> None:
    assert card_digest(TEXT) != card_digest(format_card(Card(CardKind.ROOT, bytes(range(200)))))


def test_a_name_commitment_is_written_out() -> None:
    assert commit_name(b"s" * 32, "নূর") == sha256(b"dutabarta/v1/name\x00" + b"s" * 32 + "নূর".encode()).digest()


@pytest.mark.parametrize("salt", [b"", bytes(31), bytes(33)])
def test_a_salt_of_another_length_is_refused(salt: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        commit_name(salt, "A")
    assert caught.value.code == "salt-length"


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(Malformed) as caught:
        commit_name(bytes(32), "\ud800")
    assert caught.value.code == "name-text"
