"""What bad links and lying nodes do to what officers see: cables.md §5, cases 1, 2, 3, 7 and 8."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest

from crypto_msg.cable import Precedence
from protos.errors import VerificationFailed
from support.ministry import Ministry, Officers
from terminal.compose import Composition
from terminal.records import CableRecord
from terminal.terminal import Terminal

HOUR, DAY, YEAR = 3600, 86_400, 365 * 86_400
REPLAYS = 1_000
CABLES = 200


def send(sender: Terminal, number: int = 0, precedence: int = 1) -> CableRecord:
    return sender.send(Composition(("DEL",), precedence, 1, "Trade", f"Text {number}."), accept_stale=True)


def send_flash(sender: Terminal, releaser: Terminal, number: int) -> CableRecord:
    draft = send(sender, number, Precedence.FLASH)
    releaser.sync()
    return releaser.release(draft.cable_id)


def states(sender: Terminal, sent: CableRecord) -> tuple[str, ...]:
    return tuple(one.state for one in sender.track(sent.cable_id).progress)


def codes(terminal: Terminal) -> set[str]:
    return {one.code for one in terminal.alarms()}


def test_a_cable_and_its_receipts_replayed_a_thousand_times_are_taken_once(
    ministry: Ministry, officer: Officers
) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = send(sender)
    reader.sync()
    reader.acknowledge(sent.cable_id)
    sender.sync()
    for terminal in (reader, sender):
        inbox = ministry.inboxes[terminal.session.terminal_id]
        first, end = list(inbox), inbox[-1].position
        inbox += [replace(first[n % len(first)], position=end + 1 + n) for n in range(REPLAYS)]
    before = sender.receipts(sender.find(sent.envelope_id)), states(sender, sent)
    assert reader.sync().cables == 0 and sender.sync().cables == 0
    assert [one.cable_id for one in reader.cables("in")] == [sent.cable_id]
    assert (sender.receipts(sender.find(sent.envelope_id)), states(sender, sent)) == before
    assert codes(reader) == codes(sender) == set()


@pytest.mark.parametrize("seed", range(2))
def test_cables_of_all_precedences_may_come_in_any_order(ministry: Ministry, officer: Officers, seed: int) -> None:
    chance, reader = random.Random(seed), officer("DEL")
    sent = []
    for number in range(CABLES):
        post, precedence = chance.choice(("DHA", "WAS")), chance.choice(list(Precedence))
        if precedence is Precedence.FLASH:
            sent.append(send_flash(officer(post), officer(post, "second"), number))
        else:
            sent.append(send(officer(post), number, precedence))
    inbox = ministry.inboxes[reader.session.terminal_id]
    held, positions = list(inbox), [one.position for one in inbox]
    chance.shuffle(held)
    inbox[:] = []
    for position, one in zip(positions, held, strict=True):
        inbox.append(replace(one, position=position))
        if chance.random() < 0.2:
            reader.sync()
    reader.sync()
    assert {one.envelope_id for one in reader.cables("in")} == {one.envelope_id for one in sent}
    assert codes(reader) == set()


@pytest.mark.parametrize("away", [HOUR, 8 * DAY, 90 * DAY], ids=["an hour", "8 days", "90 days"])
def test_who_comes_back_reads_all_that_was_sent_meanwhile(ministry: Ministry, officer: Officers, away: int) -> None:
    """The clock jumps while the link is down; the prekeys of the day of leaving still open what was sealed to them."""
    sender, reader = officer("DHA"), officer("DEL")
    sender.sync()
    reader.sync()
    sent = []
    for part in range(4):
        sent.append(send(sender, part))
        ministry.now += away // 4
        sender.sync()
    assert reader.sync().cables == len(sent)
    for one in sent:
        reader.acknowledge(one.cable_id)
    sender.sync()
    assert {states(sender, one) for one in sent} == {("acknowledged",)}
    send(officer("WAS"), 9)
    assert reader.sync().cables == 1


@pytest.mark.parametrize("wrong", [-30 * YEAR, -2 * YEAR, 2 * YEAR, 30 * YEAR])
@pytest.mark.parametrize("who", ["sender", "reader"])
def test_a_clock_wrong_by_years_loses_and_refuses_nothing(
    ministry: Ministry, officer: Officers, wrong: int, who: str
) -> None:
    both = {"sender": officer("DHA"), "reader": officer("DEL")}
    both[who].session.clock = lambda: ministry.now + wrong
    sent = [send(both["sender"], number) for number in range(3)]
    assert both["reader"].sync().cables == len(sent)
    for one in sent:
        both["reader"].acknowledge(one.cable_id)
    both["sender"].sync()
    assert {states(both["sender"], one) for one in sent} == {("acknowledged",)}


# --- prekeys that change on the way (7) -----------------------------------------------------------------------------


def test_a_rotation_that_races_a_cable_keeps_nobody_from_reading(ministry: Ministry, officer: Officers) -> None:
    """Sealed to the prekey before, to the one of now, and just before the next: all open, whatever came between."""
    sender, reader = officer("DHA"), officer("DEL")
    sent = []
    for number in range(4):
        sent.append(send(sender, number))
        reader.publish_prekey()
    assert reader.sync().cables == len(sent)
    assert codes(reader) == codes(sender) == set()


@pytest.mark.parametrize("lie", ["of a colleague", "withheld"])
def test_a_terminal_whose_bundle_is_withheld_is_left_out_and_the_others_read(
    ministry: Ministry, officer: Officers, lie: str
) -> None:
    sender, reader, colleague = officer("DHA"), officer("DEL"), officer("DEL", "second")
    own, other = (ministry.bundles[one.session.keyring.prekeys[-1].bundle_hash] for one in (reader, colleague))
    honest, answer = sender.session.desk.bundles, {"of a colleague": (other,), "withheld": ()}[lie]

    def bundles(ids: Iterable[bytes]) -> tuple[bytes, ...]:
        return (*(one for one in honest(ids) if one != own), *answer)

    sender.session.desk.bundles = bundles  # type: ignore[method-assign]
    sent = send(sender)
    assert "terminal-left-out" in codes(sender)
    assert colleague.sync().cables == 1
    reader.sync()
    assert sent.envelope_id not in {one.envelope_id for one in reader.cables("in")}


def test_an_old_bundle_in_the_place_of_the_current_one_is_refused_and_nothing_is_kept(
    ministry: Ministry, officer: Officers
) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    old = ministry.bundles[reader.session.keyring.prekeys[-1].bundle_hash]
    reader.publish_prekey()
    current = ministry.bundles[reader.session.keyring.prekeys[-1].bundle_hash]
    honest = sender.session.desk.bundles
    sender.session.desk.bundles = lambda ids: tuple(  # type: ignore[method-assign]
        old if one == current else one for one in honest(ids)
    )
    with pytest.raises(VerificationFailed) as caught:
        send(sender)
    assert caught.value.code == "other-bundle"
    assert sender.cables() == []
