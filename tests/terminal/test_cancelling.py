"""Cables cancelled and superseded, drafts withdrawn: by whom, seen by whom, in whatever order it comes."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from crypto_msg.cable import Precedence, RelationKind
from crypto_msg.wire import decode_draft
from protos.errors import DutabartaError
from support.ministry import Ministry, Officers
from terminal import roster
from terminal.compose import Composition
from terminal.correspondence import cancellation, forward, supersede
from terminal.marks import false_claims
from terminal.records import CableRecord
from terminal.terminal import Terminal


def composition(*to: str, **more: object) -> Composition:
    values = {"to": to, "precedence": 2, "classification": 3, "subject": "Trade", "text": "Text.", **more}
    return Composition(**values)  # type: ignore[arg-type]


def refused(act: object, *arguments: object) -> str:
    with pytest.raises(DutabartaError) as problem:
        act(*arguments)  # type: ignore[operator]
    return problem.value.code


def marks(terminal: Terminal, record: CableRecord) -> list[tuple[str, str]]:
    """(kind, code of the refusal) of each mark of a cable."""
    found = terminal.marks([record])[record.envelope_id]
    return [(one.kind.name, one.refused.code if one.refused else "") for one in found]


def synced(terminal: Terminal) -> Terminal:
    terminal.sync()
    return terminal


def test_a_cancelled_cable_is_marked_everywhere_and_still_read(officer: Officers) -> None:
    sender = officer("DHA")
    sent = sender.send(composition("ALL-MISSIONS", info=("DHA",), caveats=("EYES ONLY",)))
    gone = sender.cancel(sent.cable_id, "Wrong annex.")
    draft = decode_draft(gone.draft)
    assert [one.name for one in draft.action] == ["DEL", "WAS"] and [one.name for one in draft.info] == ["DHA"]
    assert (draft.classification, draft.precedence, draft.caveats) == (3, 2, ("EYES ONLY",))
    assert draft.paragraphs[1] == "Wrong annex." and gone.envelope_id != sent.envelope_id
    for terminal in (synced(officer("DEL")), synced(officer("WAS")), synced(officer("DHA", "second")), sender):
        assert marks(terminal, sent) == [("CANCELS", "")]
        assert decode_draft(terminal.read(sent.envelope_id).draft).paragraphs == ("Text.",)
    assert refused(sender.cancel, sent.cable_id) == "already-cancelled"
    assert refused(sender.cancel, gone.cable_id) == "cancellation-final"
    assert refused(sender.send, supersede(gone, composition("DEL", "WAS", "DHA"))) == "cancellation-final"


def test_a_colleague_cancels_but_no_other_post(officer: Officers) -> None:
    sent = officer("DHA").send(composition("DEL"))
    reader = synced(officer("DEL"))
    assert refused(reader.cancel, sent.cable_id) == "foreign-cable"
    gone = synced(officer("DHA", "second")).cancel(sent.cable_id)
    assert gone.state == "released"
    assert marks(synced(reader), sent) == [("CANCELS", "")]


def test_what_needed_two_officers_is_cancelled_by_two(ministry: Ministry, officer: Officers) -> None:
    drafter, releaser, reader = officer("DHA"), officer("DHA", "second"), officer("DEL")
    drafted = drafter.send(composition("DEL", classification=4))
    sent = synced(releaser).release(drafted.cable_id)
    drafter.sync()
    gone = drafter.cancel(sent.envelope_id)
    assert gone.state == "awaiting release" and marks(drafter, sent) == []
    assert refused(drafter.release, gone.cable_id) == "two-officers"
    assert marks(synced(reader), sent) == []
    synced(releaser).release(gone.cable_id)
    assert marks(synced(reader), sent) == [("CANCELS", "")]


def test_a_successor_is_marked_and_leaves_nobody_out(officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = sender.send(composition("DEL", info=("WAS",)))
    assert refused(sender.send, supersede(sent, composition("DEL"))) == "addressee-missing"
    assert refused(sender.send, supersede(sent, composition("DEL", "WAS", classification=2))) == "weaker-marking"
    assert refused(synced(reader).send, supersede(sent, composition("DHA", "WAS"))) == "foreign-cable"
    second = sender.send(supersede(sent, composition("ALL-MISSIONS", text="Better.")))
    third = sender.send(supersede(second, composition("DEL", "WAS", text="Best.")))
    reader.sync()
    assert marks(reader, sent) == marks(reader, second) == [("SUPERSEDES", "")] and marks(reader, third) == []
    sender.cancel(sent.envelope_id)
    assert marks(synced(reader), sent) == [("SUPERSEDES", ""), ("CANCELS", "")]


def test_a_lone_officer_does_not_supersede_what_needed_two(officer: Officers) -> None:
    drafter, releaser = officer("DHA"), officer("DHA", "second")
    drafted = drafter.send(composition("DEL", precedence=Precedence.FLASH))
    sent = synced(releaser).release(drafted.cable_id)
    successor = supersede(sent, composition("DEL", precedence=1))
    assert releaser.send(successor).state == "awaiting release"


def _unchecked(monkeypatch: pytest.MonkeyPatch, terminal: Terminal, composition: Composition) -> CableRecord:
    """What a terminal sends whose officer has changed the program."""
    with monkeypatch.context() as patch:
        patch.setattr("terminal.writing.check_relations", lambda *_: None)
        patch.setattr("terminal.sending.check_officers", lambda *_: None)
        patch.setattr("terminal.sending.needs_two", lambda *_: False)
        return terminal.send(composition)


@pytest.mark.parametrize("earlier_first", [True, False])
def test_claims_that_do_not_count_are_shown_as_claims(
    ministry: Ministry, officer: Officers, monkeypatch: pytest.MonkeyPatch, earlier_first: bool
) -> None:
    """Another post, a lower marking, a lone officer: each is named at the reader, in either order."""
    drafter, releaser, reader = officer("DHA"), officer("DHA", "second"), officer("DEL")
    drafted = drafter.send(composition("DEL", "WAS", precedence=4))
    flash = synced(releaser).release(drafted.cable_id)
    drafter.sync()
    other = synced(officer("WAS"))
    foreign = replace(cancellation(other.find(flash.envelope_id), "", ("DEL",)), precedence=1)
    claims = [
        _unchecked(monkeypatch, other, foreign),
        _unchecked(monkeypatch, releaser, supersede(flash, composition("DEL", classification=2))),
        _unchecked(monkeypatch, releaser, supersede(flash, composition("DEL"))),
    ]
    lone = claims[2]
    inbox = ministry.inboxes[reader.session.terminal_id]
    if not earlier_first:
        _reorder(inbox, list(reversed(inbox)))
    reader.sync()
    assert sorted(marks(reader, flash)) == [
        ("CANCELS", "foreign-cable"),
        ("SUPERSEDES", "two-officers"),
        ("SUPERSEDES", "weaker-marking"),
    ]
    (claim,) = false_claims(reader.session, reader.find(lone.envelope_id))
    assert (claim.kind, claim.envelope_id) == (RelationKind.SUPERSEDES, flash.envelope_id)


def _reorder(inbox: list, items: list) -> None:  # type: ignore[type-arg]
    inbox[:] = [replace(one, position=place) for place, one in enumerate(items, start=1)]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_cancellation_counts_in_whatever_order_it_comes(
    ministry: Ministry, officer: Officers, order: tuple[int, ...]
) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    first = sender.send(composition("DEL"))
    second = sender.send(supersede(first, composition("DEL")))
    sender.cancel(second.envelope_id)
    inbox = ministry.inboxes[reader.session.terminal_id]
    _reorder(inbox, [inbox[place] for place in order])
    assert reader.sync().cables == 3
    assert marks(reader, first) == [("SUPERSEDES", "")] and marks(reader, second) == [("CANCELS", "")]


def test_an_unreachable_addressee_does_not_keep_a_cable_from_being_cancelled(
    ministry: Ministry, officer: Officers
) -> None:
    sender = officer("DHA")
    sent = sender.send(composition("DEL", "WAS"))
    for name in ("first", "second"):
        roster.revoke(sender.session, roster.find_officer(sender.session, "WAS", _id_of(officer("WAS", name))))
    assert sender.cancel(sent.cable_id).posts == ("DEL", "DHA")


def _id_of(terminal: Terminal) -> str:
    return terminal.session.officer_id.hex()


# --- drafts ----------------------------------------------------------------------------------------------


def test_a_withdrawn_draft_is_released_by_nobody(officer: Officers) -> None:
    drafter, releaser = officer("DHA"), officer("DHA", "second")
    drafted = drafter.send(composition("DEL", classification=4))
    assert refused(synced(releaser).cancel, drafted.cable_id) == "not-your-draft"
    assert drafter.cancel(drafted.cable_id, "A mistake.").state == "withdrawn"
    assert refused(synced(releaser).release, drafted.cable_id) == "withdrawn"
    assert refused(drafter.cancel, drafted.cable_id) == "withdrawn"
    for terminal in (drafter, releaser):
        assert [(one.box, one.state) for one in terminal.cables()] == [("drafts", "withdrawn")]
    (notice,) = releaser.cables("notices")
    assert notice.drafter == drafter.session.officer_id and decode_draft(notice.draft).paragraphs == ("A mistake.",)
    assert refused(releaser.release, notice.cable_id) == "not-a-draft"


def test_headquarters_learns_of_a_withdrawn_flash(officer: Officers) -> None:
    drafter, duty = officer("DEL"), officer("DHA")
    drafted = drafter.send(composition("WAS", precedence=4))
    duty.sync()
    drafter.cancel(drafted.cable_id)
    assert refused(synced(duty).release, drafted.cable_id) == "withdrawn"


@pytest.mark.parametrize("order", [one for count in (2, 3) for one in permutations(range(3), count)])
def test_draft_notice_and_cable_in_any_order(ministry: Ministry, officer: Officers, order: tuple[int, ...]) -> None:
    """A FLASH withdrawn by one officer while another releases it, as headquarters, an addressee, sees it."""
    drafter, releaser, duty = officer("DEL"), officer("DEL", "second"), officer("DHA")
    drafted = drafter.send(composition("DHA", precedence=4))
    released = synced(releaser).release(drafted.cable_id)
    drafter.cancel(drafted.envelope_id)
    inbox = ministry.inboxes[duty.session.terminal_id]
    assert [one.envelope_id for one in inbox][:2] == [drafted.envelope_id, released.envelope_id]
    items = [inbox[place] for place in order]
    _reorder(inbox, items)
    duty.sync()
    came = {("draft", "cable", "notice")[place] for place in order}
    if "draft" in came:
        (draft,) = duty.cables("drafts")
        assert draft.state == ("released" if "cable" in came else "withdrawn")
    assert [one.code for one in duty.alarms()] == (["withdrawn-too-late"] if len(came) == 3 else [])
    assert duty.sync().cables == 0


def test_a_cable_that_outran_its_withdrawal_is_an_alarm_until_it_is_cancelled(officer: Officers) -> None:
    drafter, releaser = officer("DHA"), officer("DHA", "second")
    drafted = drafter.send(composition("DEL", classification=4))
    released = synced(releaser).release(drafted.cable_id)
    drafter.cancel(drafted.envelope_id)
    for terminal in (synced(releaser), synced(drafter)):
        assert [one.code for one in terminal.alarms()] == ["withdrawn-too-late"]
        assert [one.state for one in terminal.cables("drafts")] == ["released"]
    gone = drafter.cancel(released.envelope_id)
    synced(releaser).release(gone.cable_id)
    assert synced(drafter).alarms() == [] == releaser.alarms()


def test_a_forward_of_a_draft_is_refused(officer: Officers) -> None:
    drafted = officer("DHA").draft(composition("DEL"))
    assert refused(forward, drafted, (), composition("WAS")) == "not-released"
    assert refused(supersede, drafted, composition("WAS")) == "not-released"
