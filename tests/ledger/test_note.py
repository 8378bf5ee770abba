from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.signing import verify_note
from ledger.note import (
    ED25519,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    NoteSignature,
    SignedNote,
    VerifierKey,
    check_key_name,
    decode_base64,
    encode_base64,
    parse_vkey,
)
from protos.errors import Malformed, VerificationFailed

# The example of C2SP signed-note.
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
LINE = "— name AAAAAAE=\n"

names = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="+"), min_size=1, max_size=20)
texts = st.text(st.characters(exclude_categories=["C"], include_characters="\n"), max_size=60).map("x{}\n".format)
signatures = st.builds(NoteSignature, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80))


def test_the_example_of_the_specification_verifies() -> None:
    key = parse_vkey(EXAMPLE_KEY)
    note = SignedNote.decode(EXAMPLE)
    assert key.text == EXAMPLE_KEY and key.made(note.signatures[0])
    verify_note(key.public_key, note.text.encode(), note.signatures[0].signature)
    assert note.text == "This is an example message.\n"
    assert note.encode() == EXAMPLE


def test_the_example_with_another_text_fails() -> None:
    key = parse_vkey(EXAMPLE_KEY)
    note = SignedNote.decode(EXAMPLE.replace(b"This", b"That"))
    with pytest.raises(VerificationFailed):
        verify_note(key.public_key, note.text.encode(), note.signatures[0].signature)


@given(texts, st.lists(signatures, min_size=1, max_size=5))
def test_a_note_comes_back_from_its_bytes(text: str, lines: list[NoteSignature]) -> None:
    note = SignedNote(text, tuple(lines))
    assert SignedNote.decode(note.encode()) == note


@given(st.binary(max_size=200) | st.text(max_size=80).map(lambda text: f"{text}\n\n{LINE}".encode(errors="replace")))
def test_any_bytes_are_a_note_or_refused(data: bytes) -> None:
    try:
        note = SignedNote.decode(data)
    except Malformed:
        return
    assert note.encode() == data


@pytest.mark.parametrize(
    "data",
    [
        "",
        "text\n",
        f"text\n{LINE}",
        f"\n\n{LINE}",
        "text\n\n",
        f"text\n\n{LINE[:-1]}",
        f"text\n\n{LINE}\n",
        f"te\txt\n\n{LINE}",
        f"text\r\n\n{LINE}",
        f"te\x00xt\n\n{LINE}",
        f"text\n\n- name {LINE[7:]}",
        f"text\n\n—name {LINE[7:]}",
        "text\n\n— name  AAAAAAE=\n",
        "text\n\n— name AAAAAAE= \n",
        "text\n\n—  AAAAAAE=\n",
        "text\n\n— na+me AAAAAAE=\n",
        "text\n\n— na\u00a0me AAAAAAE=\n",
        "text\n\n— na\u2003me AAAAAAE=\n",
        "text\n\n— name AAAAAAF=\n",
        "text\n\n— name AAAAAAE\n",
        "text\n\n— name AAAA-AE=\n",
        "text\n\n— name AAAAAA==\n",
        "text\n\n— name\n",
        "text\n\n" + LINE * (MAX_SIGNATURES + 1),
    ],
)
def test_a_note_of_another_form_is_refused(data: str) -> None:
    with pytest.raises(Malformed):
        SignedNote.decode(data.encode())


def test_a_note_that_is_not_utf8_or_too_large_is_refused() -> None:
    for data in (b"te\xffxt\n\n" + LINE.encode(), b"x" * MAX_NOTE_BYTES + b"\n\n" + LINE.encode()):
        with pytest.raises(Malformed):
            SignedNote.decode(data)


def test_the_text_ends_at_the_last_empty_line() -> None:
    note = SignedNote.decode(f"one\n\ntwo\n\n{LINE * MAX_SIGNATURES}".encode())
    assert note.text == "one\n\ntwo\n" and len(note.signatures) == MAX_SIGNATURES


@pytest.mark.parametrize(
    "text",
    [
        "",
        EXAMPLE_KEY.replace("530d903a", "530D903A"),
        EXAMPLE_KEY.replace("530d903a", "530d903b"),
        EXAMPLE_KEY.replace("example", "exemple"),
        EXAMPLE_KEY.replace("+Ae", "+Be"),
        EXAMPLE_KEY[:-4],
        EXAMPLE_KEY + "\n",
        EXAMPLE_KEY.replace("+", "-", 1),
        "name+00000000+",
        VerifierKey("name", ED25519, bytes(32)).text,  # a point of order 4: a key for which anybody can sign
    ],
)
def test_a_bad_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse_vkey(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2028b", "\ud800", "x" * 256])
def test_a_bad_key_name_is_refused(name: str) -> None:
    with pytest.raises(Malformed):
        check_key_name(name)


@given(st.binary(max_size=40))
def test_base64_has_one_spelling(data: bytes) -> None:
    assert decode_base64(encode_base64(data)) == data
    with pytest.raises(Malformed):
        decode_base64(encode_base64(data) + "=")
