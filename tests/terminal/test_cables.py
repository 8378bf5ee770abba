"""A cable from writing to acknowledgement, between terminals, over an honest node."""

from __future__ import annotations

import pytest

from crypto_msg.wire import decode_draft
from protos.errors import DutabartaError, Refused, Unavailable
from support.ministry import Ministry, Officers
from terminal.compose import Composition

TEXT = "Gruber informed Embassy officer.\n\nচুক্তিটি স্বাক্ষরিত হয়েছে।\n"


def composition(to: str = "DEL", precedence: int = 2, classification: int = 3, **more: object) -> Composition:
    return Composition((to,), precedence, classification, "Trade", TEXT, **more)  # type: ignore[arg-type]


def test_a_cable_is_read_and_acknowledged_and_its_sender_sees_it(ministry: Ministry, officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = sender.send(composition())
    assert sent.state == "released"
    assert reader.sync().cables == 1
    (received,) = reader.cables("in")
    assert received.state == "new"
    assert "\n\n".join(decode_draft(received.draft).paragraphs) == TEXT
    assert reader.read(sent.cable_id).state == "read"
    assert reader.acknowledge(sent.cable_id).state == "acknowledged"
    sender.sync()
    (progress,) = sender.track(sent.cable_id).progress
    assert (progress.post, progress.state) == ("DEL", "acknowledged")


def test_anchored_only_when_the_proof_is_checked(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sent = sender.send(composition())
    assert not sender.track(sent.cable_id).anchored
    with pytest.raises(Unavailable) as problem:
        sender.proof(sent.cable_id)
    assert problem.value.code == "not-anchored"
    ministry.close_slot()
    assert sender.track(sent.cable_id).anchored
    assert sender.proof(sent.cable_id).item.post == "DHA"


def test_a_secret_cable_waits_for_another_releaser(ministry: Ministry, officer: Officers) -> None:
    drafter, releaser, reader = officer("DHA", "first"), officer("DHA", "second"), officer("WAS")
    drafted = drafter.send(composition("WAS", classification=4))
    assert drafted.state == "awaiting release"
    releaser.sync()
    assert [one.state for one in releaser.cables("drafts")] == ["awaiting release"]
    released = releaser.release(drafted.cable_id)
    assert released.cable_id == drafted.cable_id and released.state == "released"
    reader.sync()
    record = reader.read(drafted.cable_id)
    assert record.drafter == drafter.session.officer_id
    assert record.releasers == (releaser.session.officer_id,)
    with pytest.raises(Refused) as problem:
        releaser.release(drafted.cable_id)
    assert problem.value.code == "already-released"


def test_the_drafter_cannot_release_his_own_secret_draft(officer: Officers) -> None:
    drafter = officer("DHA")
    drafted = drafter.send(composition(classification=4))
    with pytest.raises(Refused) as problem:
        drafter.release(drafted.cable_id)
    assert problem.value.code == "two-officers"


@pytest.mark.parametrize(
    ("to", "code"), [("ROM", "unknown-post"), ("EVERYBODY", "unknown-post"), ("a b", "bad-addressee")]
)
def test_a_wrong_addressee_is_named_and_nothing_is_kept(officer: Officers, to: str, code: str) -> None:
    sender = officer("DHA")
    with pytest.raises(DutabartaError) as problem:
        sender.send(composition(to))
    assert problem.value.code == code
    assert sender.cables() == [] and "take_serial" not in sender.session.desk.calls  # type: ignore[attr-defined]


def test_a_collective_reaches_every_mission(officer: Officers) -> None:
    sent = officer("DHA").send(composition("ALL-MISSIONS"))
    assert sent.posts == ("DEL", "DHA", "WAS")
    for post in ("DEL", "WAS"):
        assert officer(post).sync().cables == 1
