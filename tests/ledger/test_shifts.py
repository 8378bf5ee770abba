"""Who is on duty: handed over by two, or taken with a supervisor."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger.bodies import OfficerRevoked, OfficerSuspended, PostRetired, ShiftChanged
from ledger.machine import Machine
from ledger.records import Shift
from ledger.roles import Clearance, Role
from support.network import OfficerKeys, TestNetwork

Refuses = Callable[[Machine, bytes, str], None]
HASH = bytes(range(32))


def taken(net: TestNetwork, machine: Machine, by: OfficerKeys, *supervisors: OfficerKeys) -> bytes:
    body = ShiftChanged(by.post, b"", by.officer_id, b"")
    return net.signed(machine, "shift-changed", body, by.signer, *(one.signer for one in supervisors))


def handed_over(
    net: TestNetwork, machine: Machine, outgoing: OfficerKeys, incoming: OfficerKeys, list_hash: bytes = HASH
) -> bytes:
    body = ShiftChanged(outgoing.post, outgoing.officer_id, incoming.officer_id, list_hash)
    return net.signed(machine, "shift-changed", body, outgoing.signer, incoming.signer)


def supervisor(net: TestNetwork, code: str, place: int = 0) -> OfficerKeys:
    found = net.posts[code].supervisors[place]
    return OfficerKeys(found.officer_id, code, found.signer, bytes(32), "")


@pytest.fixture
def on_duty(net: TestNetwork, machine: Machine) -> OfficerKeys:
    """An officer of DEL who has taken the first shift there."""
    officer = net.enrol_officer(machine, "DEL")
    net.run(machine, taken(net, machine, officer, supervisor(net, "DEL")))
    return officer


def test_nobody_is_on_duty_until_somebody_takes_the_shift(net: TestNetwork, machine: Machine) -> None:
    assert machine.state.shift("DEL") is None and machine.state.shift("XYZ") is None
    officer = net.enrol_officer(machine, "DEL")
    size = machine.size
    net.run(machine, taken(net, machine, officer, supervisor(net, "DHA")))
    assert machine.state.shift("DEL") == Shift("DEL", officer.officer_id, size, b"", b"")


def test_a_shift_is_handed_over_by_two(net: TestNetwork, machine: Machine, on_duty: OfficerKeys) -> None:
    incoming = net.enrol_officer(machine, "DEL", (Role.DRAFTER,), Clearance.RESTRICTED)
    size = machine.size
    net.run(machine, handed_over(net, machine, on_duty, incoming))
    assert machine.state.shift("DEL") == Shift("DEL", incoming.officer_id, size, on_duty.officer_id, HASH)
    net.run(machine, handed_over(net, machine, incoming, on_duty))
    assert machine.state.shift("DEL") == Shift("DEL", on_duty.officer_id, size + 2, incoming.officer_id, HASH)


def test_who_takes_it_needs_a_supervisor_other_than_himself(
    net: TestNetwork, machine: Machine, refuses: Refuses
) -> None:
    first, second = supervisor(net, "DEL"), supervisor(net, "DEL", 1)
    refuses(machine, taken(net, machine, first), "no-supervisor")
    refuses(machine, taken(net, machine, first, supervisor(net, "LON")), "no-supervisor")
    refuses(machine, taken(net, machine, first, net.enrol_officer(machine, "DEL")), "no-supervisor")
    net.run(machine, taken(net, machine, first, second))


def test_a_hand_over_needs_exactly_its_two(
    net: TestNetwork, machine: Machine, refuses: Refuses, on_duty: OfficerKeys
) -> None:
    incoming = net.enrol_officer(machine, "DEL")
    body = ShiftChanged("DEL", on_duty.officer_id, incoming.officer_id, HASH)

    def attempt(code: str, *signers: OfficerKeys) -> None:
        refuses(machine, net.signed(machine, "shift-changed", body, *(one.signer for one in signers)), code)

    attempt("missing-signature", on_duty)
    attempt("missing-signature", incoming)
    attempt("signature-order", incoming, on_duty)
    attempt("extra-signature", on_duty, incoming, supervisor(net, "DEL"))
    attempt("missing-signature", on_duty, supervisor(net, "DEL"))


def test_a_signature_for_another_purpose_does_not_hand_over(
    net: TestNetwork, machine: Machine, refuses: Refuses, on_duty: OfficerKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = net.enrol_officer(machine, "DEL")
    monkeypatch.setattr("support.network._DUAL_PURPOSE", {})
    refuses(machine, handed_over(net, machine, on_duty, incoming), "bad-signature")


def test_what_is_no_hand_over_is_refused(
    net: TestNetwork, machine: Machine, refuses: Refuses, on_duty: OfficerKeys
) -> None:
    incoming, stranger = net.enrol_officer(machine, "DEL"), net.enrol_officer(machine, "LON")
    refuses(machine, handed_over(net, machine, incoming, on_duty), "nothing-changed")
    refuses(machine, handed_over(net, machine, incoming, supervisor(net, "DEL")), "not-on-duty")
    refuses(machine, handed_over(net, machine, on_duty, stranger), "wrong-post")
    refuses(machine, handed_over(net, machine, on_duty, net.officer_keys("DEL")), "unknown-officer")
    refuses(machine, handed_over(net, machine, on_duty, incoming, b"short"), "bad-list-hash")
    refuses(machine, handed_over(net, machine, on_duty, incoming, b""), "bad-list-hash")
    refuses(machine, taken(net, machine, on_duty, supervisor(net, "DEL")), "nothing-changed")
    body = ShiftChanged("DEL", b"", incoming.officer_id, HASH)
    leaf = net.signed(machine, "shift-changed", body, incoming.signer, supervisor(net, "DEL").signer)
    refuses(machine, leaf, "bad-list-hash")
    net.run(machine, handed_over(net, machine, on_duty, incoming))
    refuses(machine, handed_over(net, machine, on_duty, incoming), "nothing-changed")


def test_at_headquarters_only_a_releaser_is_on_duty(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    drafter = net.enrol_officer(machine, "DHA", (Role.DRAFTER,))
    refuses(machine, taken(net, machine, drafter, supervisor(net, "DHA")), "not-a-releaser")
    net.run(machine, taken(net, machine, net.enrol_officer(machine, "DHA"), supervisor(net, "DHA")))


def test_who_left_hands_nothing_over_and_another_takes_it(
    net: TestNetwork, machine: Machine, refuses: Refuses, on_duty: OfficerKeys
) -> None:
    incoming, boss = net.enrol_officer(machine, "DEL"), supervisor(net, "DEL")
    suspended = OfficerSuspended(on_duty.officer_id, False)
    net.run(machine, net.signed(machine, "officer-suspended", suspended, boss.signer))
    refuses(machine, handed_over(net, machine, on_duty, incoming), "suspended-officer")
    revoked = OfficerRevoked(on_duty.officer_id, 0)
    net.run(machine, net.signed(machine, "officer-revoked", revoked, boss.signer))
    refuses(machine, handed_over(net, machine, on_duty, incoming), "revoked-officer")
    net.run(machine, taken(net, machine, incoming, boss))
    shift = machine.state.shift("DEL")
    assert shift is not None and (shift.officer_id, shift.former_id) == (incoming.officer_id, b"")


def test_a_retired_post_has_no_shift_to_hand_over(
    net: TestNetwork, machine: Machine, refuses: Refuses, on_duty: OfficerKeys
) -> None:
    incoming = net.enrol_officer(machine, "DEL")
    leaf = handed_over(net, machine, on_duty, incoming)
    net.run(machine, net.governance(machine, "post-retired", PostRetired("DEL")))
    refuses(machine, leaf, "retired-post")
