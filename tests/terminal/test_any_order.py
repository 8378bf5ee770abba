"""In whatever order envelopes come, who has them all sees the same; what is written for an officer holds."""

from __future__ import annotations

import random
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crypto_msg.cable import Addressee, Draft, Expansion, Inner, Kind, Relation, RelationKind
from crypto_msg.relations import check_forwards, check_may_replace
from crypto_msg.wire import CODEC, encode_draft
from support.cable_strategies import codes, drafts, texts
from support.cables import plain_draft
from terminal.compose import Composition, compose
from terminal.correspondence import addressed_posts, cancellation, forward
from terminal.judging import close_drafts
from terminal.linking import note_relations
from terminal.marks import marks_of
from terminal.records import AWAITING, DRAFTS, NOTICES, OUT, RELEASED, WITHDRAWAL, WITHDRAWN, CableRecord
from terminal.store import Store

SEEDS = range(12)
OFFICERS = (b"a" * 16, b"b" * 16)


def envelope_id(number: int) -> bytes:
    return sha256(number.to_bytes()).digest()


def record(rng: random.Random, number: int) -> CableRecord:
    """A cable, a draft or a withdrawal, which says something of one or two others, here or not."""
    box = rng.choice((OUT, OUT, OUT, DRAFTS, DRAFTS, NOTICES))
    kinds = (RelationKind.WITHDRAWS,) if box == NOTICES else tuple(RelationKind)[:4]
    count = 1 if box == NOTICES else 2
    draft = plain_draft(
        post=rng.choice(("DHA", "DHA", "DHA", "DEL")),
        classification=rng.randint(2, 4),
        relations=tuple(Relation(rng.choice(kinds), envelope_id(rng.randrange(8))) for _ in range(count)),
        cable_id=bytes([number]) * 16,
    )
    return CableRecord(
        box=box,
        state={OUT: RELEASED, DRAFTS: AWAITING, NOTICES: WITHDRAWAL}[box],
        kind=Kind.CABLE if box == OUT else Kind.DRAFT,
        cable_id=draft.cable_id,
        draft=encode_draft(draft),
        envelope_id=envelope_id(number),
        post=draft.post,
        drafter=rng.choice(OFFICERS),
        releasers=(rng.choice(OFFICERS),) if box == OUT else (),
    )


def some(rng: random.Random) -> list[CableRecord]:
    """Eight envelopes, and the cables that some of the drafts among them became."""
    made = [record(rng, number) for number in range(8)]
    drafted = [one for one in made if one.box == DRAFTS and rng.random() < 0.5]
    as_cable = {"box": OUT, "state": RELEASED, "kind": Kind.CABLE, "releasers": OFFICERS[:1]}
    return [*made, *(replace(one, envelope_id=sha256(one.draft).digest(), **as_cable) for one in drafted)]  # type: ignore[arg-type]


def seen(path: Path, records: list[CableRecord]) -> dict[bytes, object]:
    """What a store shows that took these in this order: state and marks by envelope id."""
    path.unlink(missing_ok=True)
    store = Store(path, bytes(32))
    try:
        for one in records:
            with store.transaction() as transaction:
                transaction.add_cable(one)
                close_drafts(transaction, one)
                note_relations(transaction, one)
        with store.transaction() as transaction:
            return {one.envelope_id: (one.state, _marks(marks_of(transaction, one))) for _, one in transaction.cables()}
    finally:
        store.close()


def _marks(marks: object) -> list[tuple[int, bytes, str]]:
    return [(one.kind, one.by.envelope_id, one.refused.code if one.refused else "") for one in marks]  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_order_ends_in_the_same_marks_and_states(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    records = some(rng)
    expected = seen(tmp_path / "store", records)
    for _ in range(4):
        rng.shuffle(records)
        assert seen(tmp_path / "store", records) == expected


def test_the_orders_tried_end_in_every_mark_and_state(tmp_path: Path) -> None:
    """Else the test above would show less than it says."""
    states, marks = set(), set()
    for seed in SEEDS:
        for state, found in seen(tmp_path / "store", some(random.Random(seed))).values():  # type: ignore[misc]
            states.add(state)
            marks.update(code for _, _, code in found)
    assert states == {RELEASED, AWAITING, WITHDRAWN, WITHDRAWAL}
    assert marks == {"", "foreign-cable", "weaker-marking", "two-officers"}


def released(draft: Draft, expansions: tuple[Expansion, ...] = ()) -> CableRecord:
    """A record of this draft's cable."""
    key = b"k" * 32
    inner = Inner(encode_draft(draft), 7, 2026, "231430ZNOV26", expansions, key, (), (), key, key)
    return CableRecord(OUT, RELEASED, Kind.CABLE, draft.cable_id, inner.draft, (), key, CODEC.encode(inner), draft.post)


@settings(deadline=None)
@given(drafts(), texts, st.lists(codes, min_size=1, max_size=3, unique=True))
def test_whatever_is_forwarded_stays_whole(draft: Draft, text: str, to: list[str]) -> None:
    assume(len(draft.subject.encode()) < 2000)
    files = tuple(one.name.encode() for one in draft.attachments)
    composed = compose(forward(released(draft), files, Composition(tuple(to), 0, 0, "", text)), "DHA")
    check_forwards(composed.draft, draft)
    assert composed.attachments == files
    assert [one.kind for one in composed.draft.relations] == [RelationKind.FORWARDS]


@settings(deadline=None)
@given(drafts(), texts, st.sets(codes, max_size=3))
def test_a_cancellation_may_replace_what_it_cancels_and_tells_just_who_can_be_reached(
    draft: Draft, reason: str, more: set[str]
) -> None:
    collective = Addressee("ALL-POSTS", draft.precedence)
    draft = replace(draft, info=(*draft.info, collective))
    record = released(draft, (Expansion("ALL-POSTS", tuple(sorted({draft.post, "XYZ", *more}))),))
    action, info = addressed_posts(record)
    assert not set(action) & set(info) and {"XYZ", draft.post} <= {*action, *info}
    reachable = {*more, draft.action[0].name}
    made = compose(cancellation(record, reason, reachable), draft.post).draft
    check_may_replace(made, draft)
    assert {one.name for one in (*made.action, *made.info)} == reachable
    assert made.precedence == draft.precedence and set(made.caveats) == set(draft.caveats)
