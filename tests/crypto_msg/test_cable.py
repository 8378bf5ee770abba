"""Bounds of every field; date-time groups; names made safe to show."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_msg import cable
from crypto_msg.bounds import check_draft
from crypto_msg.cable import MAX_CONTENT, Addressee, Attachment, Expansion, Inner, Kind, Relation, posts_of
from crypto_msg.display import safe_file_name, safe_line, safe_text
from crypto_msg.dtg import format_dtg, parse_dtg
from crypto_msg.wire import CODEC, decode_draft, decode_inner, encode_draft, encode_inner
from ledger.roles import Clearance
from protos.errors import Malformed, Refused
from support.cable_strategies import BENGALI, drafts
from support.cables import attach, plain_draft

HASH = bytes(32)
DEL = Addressee("DEL", 1)


@given(drafts())
def test_every_draft_comes_back_byte_for_byte(draft: cable.Draft) -> None:
    assert decode_draft(encode_draft(draft)) == draft


def test_bengali_is_carried_as_typed() -> None:
    draft = plain_draft(subject=BENGALI, paragraphs=(BENGALI, "a\x00b\r\n"))
    assert BENGALI.encode() in encode_draft(draft)
    assert decode_draft(encode_draft(draft)).paragraphs == (BENGALI, "a\x00b\r\n")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cable_id": bytes(15)}, "bad-field"),
        ({"post": "dha"}, "bad-field"),
        ({"post": "ALL-POSTS"}, "bad-field"),
        ({"action": ()}, "bad-field"),
        ({"action": (DEL, DEL)}, "bad-field"),
        ({"info": (DEL,)}, "bad-field"),
        ({"action": (Addressee("Delhi", 1),)}, "bad-addressee"),
        ({"action": (Addressee("DEL\n", 1),)}, "bad-addressee"),
        ({"action": (Addressee("DEL", 0),)}, "bad-field"),
        ({"action": (Addressee("DEL", 4),)}, "bad-field"),
        ({"precedence": 5}, "bad-field"),
        ({"precedence": 4}, "bad-field"),
        ({"classification": 0}, "bad-field"),
        ({"classification": 6}, "bad-field"),
        ({"action": tuple(Addressee(f"P-{'A' * n}", 1) for n in range(2, 259))}, "too-many"),
        ({"caveats": ("",)}, "bad-field"),
        ({"caveats": ("x",) * 17}, "too-many"),
        ({"caveats": ("অ" * 86,)}, "too-long"),
        ({"subject": "অ" * 683}, "too-long"),
        ({"subject": "\ud800"}, "not-unicode"),
        ({"tags": ("x",) * 65}, "too-many"),
        ({"references": ("x" * 513,)}, "too-long"),
        ({"paragraphs": ("x",) * 2001}, "too-many"),
        ({"paragraphs": ("x" * (1 << 20),)}, "too-long"),
        ({"relations": (Relation(6, HASH),)}, "bad-field"),
        ({"relations": (Relation(1, b""),)}, "bad-field"),
        ({"attachments": (Attachment("", "", 0, HASH),)}, "bad-field"),
        ({"attachments": (Attachment("a", "", 0, b""),)}, "bad-field"),
        ({"attachments": (Attachment("a", "", -1, HASH),)}, "bad-field"),
        ({"attachments": (Attachment("a" * 256, "", 0, HASH),)}, "too-long"),
        ({"attachments": (attach("a", b""),) * 65}, "too-many"),
    ],
)
def test_a_field_out_of_bounds_is_named(changes: dict[str, object], code: str) -> None:
    with pytest.raises(Malformed) as caught:
        encode_draft(plain_draft(**changes))
    assert caught.value.code == code


def test_the_limit_of_attachments_is_stated() -> None:
    half = Attachment("a", "", MAX_CONTENT // 2 + 1, HASH)
    with pytest.raises(Refused, match="512 MiB") as caught:
        check_draft(plain_draft(attachments=(half, half)))
    assert caught.value.code == "attachment-too-large"
    assert caught.value.params["limit"] == 512
    assert "512 MiB" in caught.value.hint


def released(**changes: object) -> Inner:
    inner = Inner(encode_draft(plain_draft()), 1, 2026, "231430ZNOV26", (), b"d" * 32, (), (), b"r" * 32, b"s" * 32)
    return replace(inner, **changes)  # type: ignore[arg-type]


A, B = b"a" * 32, b"b" * 32


@pytest.mark.parametrize(
    "changes",
    [
        {"serial": 0},
        {"serial": 10**6},
        {"year": 26},
        {"dtg": ""},
        {"dtg": "311430ZNOV26"},
        {"drafter": b""},
        {"drafter": b"x"},
        {"releaser": b""},
        {"anchor_salt": bytes(31)},
        {"clearers": (B, A)},
        {"clearers": (A, A)},
        {"clearers": (b"",)},
        {"co_releasers": tuple(bytes([n]) * 32 for n in range(1, 6))},
        {"expansions": (Expansion("ALL-POSTS", ("DEL",)),)},
        {"expansions": (Expansion("DEL", ("LON",)),)},
        {"expansions": (Expansion("DEL", ()),)},
        {"expansions": (Expansion("DEL", ("LON", "DEL")),)},
        {"expansions": (Expansion("DEL", ("ALL-POSTS",)),)},
        {"draft": b""},
    ],
)
def test_a_release_with_a_wrong_field_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        decode_inner(CODEC.encode(released(**changes)), Kind.CABLE)


def test_what_a_draft_and_a_countersignature_may_say() -> None:
    nothing = {"serial": 0, "year": 0, "dtg": "", "releaser": b"", "anchor_salt": b""}
    draft = released(**nothing)
    answer = replace(draft, drafter=b"", co_releasers=(A,))
    encode_inner(released(), Kind.CABLE, plain_draft())
    encode_inner(draft, Kind.DRAFT, plain_draft())
    encode_inner(answer, Kind.COUNTERSIGNATURE, plain_draft())
    wrong = [
        (draft, Kind.CABLE),
        (released(), Kind.DRAFT),
        (draft, Kind.COUNTERSIGNATURE),
        (answer, Kind.DRAFT),
        (replace(draft, anchor_salt=A), Kind.DRAFT),
        (replace(draft, clearers=(A,)), Kind.DRAFT),
        (replace(answer, clearers=(B,)), Kind.COUNTERSIGNATURE),
        (replace(answer, co_releasers=()), Kind.COUNTERSIGNATURE),
    ]
    for inner, kind in wrong:
        with pytest.raises(Malformed):
            encode_inner(inner, kind, plain_draft())


def test_the_posts_of_a_cable() -> None:
    draft = plain_draft(action=(Addressee("ALL-MISSIONS", 1), Addressee("LON", 1)))
    assert posts_of(draft, (Expansion("ALL-MISSIONS", ("DEL", "PAR")),)) == ("DEL", "DHA", "LON", "PAR")


def test_classification_and_clearance_are_the_same_numbers() -> None:
    assert [(one.name, int(one)) for one in cable.Classification] == [(one.name, int(one)) for one in Clearance]


@given(st.integers(946684800, 4102444799))
def test_a_date_time_group_says_the_minute(at: int) -> None:
    assert parse_dtg(format_dtg(at)) == at - at % 60


def test_a_date_time_group_looks_as_officers_write_it() -> None:
    assert format_dtg(1795444200) == "231430ZNOV26"
    assert parse_dtg("290000ZFEB00") == 951782400


@pytest.mark.parametrize(
    "text",
    ["", "231430ZNOV2026", "231430Znov26", "301430ZFEB26", "2314\u0967\u0966ZNOV26", "232460ZNOV26", "231430ZNOV26\n"],
)
def test_no_other_form_is_a_date_time_group(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_dtg(text)
    assert caught.value.code == "bad-dtg"


@pytest.mark.parametrize("at", [946684799, 4102444800, -1, 10**30])
def test_years_that_two_digits_cannot_say_are_refused(at: int) -> None:
    with pytest.raises(Malformed):
        format_dtg(at)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\boot.ini", "C__boot.ini"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),
        ("a\x1b[31m\n", "a_[31m_"),
        (BENGALI, BENGALI.replace(":", "_")),
        ("...", "attachment-3"),
        ("///", "attachment-3"),
    ],
)
def test_attachment_names_are_made_safe_for_display_only(name: str, shown: str) -> None:
    assert safe_file_name(name, 3) == shown


@given(st.text(max_size=300))
def test_a_shown_name_is_always_one_file_in_one_folder(name: str) -> None:
    shown = safe_file_name(name, 1)
    assert shown and len(shown.encode()) <= 200
    assert not set(shown) & set("/\\\x00\n\u202e") and not shown.startswith(".")


def test_text_cannot_steer_the_screen() -> None:
    hostile = "\x1b[2J\x9b31mSECRET\u202e\r\nnext\tline \u0995\u09cd\u200d"
    assert safe_text(hostile) == "\ufffd[2J\ufffd31mSECRET\ufffd\ufffd\nnext\tline \u0995\u09cd\u200d"
    assert "\n" not in safe_line(hostile) and "\t" not in safe_line(hostile)
