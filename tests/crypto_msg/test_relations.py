"""When what a cable says about an earlier one counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_msg.bounds import check_inner
from crypto_msg.cable import Classification, Draft, Inner, Kind, Precedence, Relation, RelationKind
from crypto_msg.relations import Behind, check_forwards, check_replaces
from crypto_msg.rules import needs_two_officers
from crypto_msg.wire import encode_draft
from protos.errors import Malformed, Refused
from support.cable_strategies import drafts
from support.cables import plain_draft

TWO, ALONE = Behind(b"drafter", b"releaser", False), Behind(b"one", b"one", False)
HELPED = Behind(b"one", b"one", True)
WITHDRAWS = Relation(RelationKind.WITHDRAWS, bytes(32))


def refusal(later: Draft, behind: Behind, earlier: Draft) -> str:
    try:
        check_replaces(later, behind, earlier)
    except Refused as problem:
        return problem.code
    return ""


@given(drafts(), drafts(), st.sampled_from([TWO, ALONE, HELPED]))
def test_it_counts_only_from_the_same_post_as_high_and_by_as_many(later: Draft, earlier: Draft, behind: Behind) -> None:
    later = replace(later, post=earlier.post)
    lone = needs_two_officers(earlier) and behind.drafter == behind.releaser
    helped = behind.co_released and earlier.precedence == Precedence.FLASH
    expected = (
        "weaker-marking"
        if later.classification < earlier.classification
        else "two-officers"
        if lone and not helped
        else ""
    )
    assert refusal(later, behind, earlier) == expected
    other = "AAA" if earlier.post != "AAA" else "BBB"
    assert refusal(replace(later, post=other), behind, earlier) == "foreign-cable"


@given(drafts(), st.lists(st.text(max_size=9), max_size=3), st.sampled_from(list(Classification)))
def test_a_forward_keeps_the_text_the_files_and_the_marking(
    earlier: Draft, cover: list[str], classification: Classification
) -> None:
    later = replace(
        earlier,
        classification=max(classification, earlier.classification),
        caveats=(*earlier.caveats, "EYES ONLY"),
        paragraphs=(*cover, *earlier.paragraphs),
    )
    check_forwards(later, earlier)
    for changed, code in (
        (replace(later, classification=earlier.classification - 1), "marking-lowered"),
        (replace(later, paragraphs=(*later.paragraphs, "more")), "forward-changed"),
    ):
        if code == "forward-changed" and not earlier.paragraphs:
            continue
        if changed.paragraphs[len(changed.paragraphs) - len(earlier.paragraphs) :] == earlier.paragraphs and (
            code == "forward-changed"
        ):
            continue
        with pytest.raises(Refused) as caught:
            check_forwards(changed, earlier)
        assert caught.value.code == code
    for part, code in (("caveats", "marking-lowered"), ("attachments", "forward-changed")):
        if getattr(earlier, part):
            with pytest.raises(Refused) as caught:
                check_forwards(replace(later, **{part: ()}), earlier)
            assert caught.value.code == code


def inner_of(draft: Draft, kind: Kind) -> Inner:
    released = kind == Kind.CABLE
    key = b"d" * 32
    return Inner(
        encode_draft(draft),
        1 if released else 0,
        2026 if released else 0,
        "231430ZNOV26" if released else "",
        (),
        b"" if kind == Kind.COUNTERSIGNATURE else key,
        (),
        (key,) if kind == Kind.COUNTERSIGNATURE else (),
        key if released else b"",
        key if released else b"",
    )


def test_only_a_draft_withdraws_and_says_nothing_else() -> None:
    notice = plain_draft(relations=(WITHDRAWS,))
    check_inner(inner_of(notice, Kind.DRAFT), Kind.DRAFT, notice)
    more = plain_draft(relations=(WITHDRAWS, Relation(RelationKind.REPLIES, bytes(32))))
    for kind, draft in ((Kind.CABLE, notice), (Kind.COUNTERSIGNATURE, notice), (Kind.DRAFT, more)):
        with pytest.raises(Malformed) as caught:
            check_inner(inner_of(draft, kind), kind, draft)
        assert caught.value.code == "bad-field"
