from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from keys.possession import prove
from keys.public import SUITE_DUAL, SUITE_ED25519
from ledger.bodies import (
    OfficerChanged,
    OfficerEnrolled,
    OfficerRevoked,
    OfficerRotated,
    OfficerSuspended,
    TerminalEnrolled,
    TerminalRetired,
)
from ledger.machine import Machine
from ledger.roles import Clearance, Role
from support.network import OfficerKeys, TestNetwork

Refuses = Callable[[Machine, bytes, str], None]


def body_of(officer: OfficerKeys, **change: object) -> OfficerEnrolled:
    body = OfficerEnrolled(officer.officer_id, officer.post, prove(officer.signer, "officer"), (1, 2), 4, bytes(32))
    return replace(body, **change)  # type: ignore[arg-type]


# --- enrolment -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["DEL", "DHA"])
def test_an_officer_is_enrolled_by_himself_a_supervisor_and_headquarters(
    net: TestNetwork, machine: Machine, code: str
) -> None:
    officer = net.enrol_officer(machine, code, (Role.DRAFTER, Role.AUDITOR), Clearance.CONFIDENTIAL)
    record = machine.state.active_officer(officer.officer_id)
    assert record.roles == (1, 6)
    assert record.clearance == Clearance.CONFIDENTIAL
    assert officer.officer_id in machine.state.roster(code).officer_ids
    assert machine.state.sequence(officer.signer.public_key.key_id) == 1


def test_enrolment_needs_exactly_its_three_signers(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    officer = net.officer_keys("DEL")
    own, headquarters = net.approvers("DEL")
    second = net.posts["DEL"].supervisors[1].signer
    stranger = net.posts["LON"].supervisors[0].signer

    def attempt(code: str, *signers: object) -> None:
        refuses(machine, net.signed(machine, "officer-enrolled", body_of(officer), officer.signer, *signers), code)  # type: ignore[arg-type]

    attempt("no-supervisor")
    attempt("no-supervisor", own)
    attempt("no-supervisor", headquarters)
    attempt("no-supervisor", own, second)
    attempt("no-supervisor", own, stranger)
    attempt("extra-signature", own, headquarters, second)
    attempt("extra-signature", own, headquarters, stranger)
    without_himself = net.signed(machine, "officer-enrolled", body_of(officer), own, headquarters)
    refuses(machine, without_himself, "missing-signature")


def test_headquarters_needs_two_of_its_own(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    officer = net.officer_keys("DHA")
    first = net.headquarters.supervisors[0].signer
    refuses(machine, net.signed(machine, "officer-enrolled", body_of(officer), officer.signer, first), "no-supervisor")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"officer_id": b"short"}, "bad-officer-id"),
        ({"post": "XYZ"}, "unknown-post"),
        ({"roles": (2, 1)}, "unsorted"),
        ({"roles": (1, 1)}, "unsorted"),
        ({"roles": (0,)}, "unknown-role"),
        ({"roles": (7,)}, "unknown-role"),
        ({"clearance": 0}, "unknown-clearance"),
        ({"clearance": 6}, "unknown-clearance"),
        ({"name_commitment": b""}, "bad-commitment"),
        ({"key": None}, "missing-field"),
    ],
)
def test_an_enrolment_against_the_rules_is_refused(
    net: TestNetwork, machine: Machine, refuses: Refuses, change: dict[str, object], code: str
) -> None:
    officer = net.officer_keys("DEL")
    body = body_of(officer, **change)
    refuses(machine, net.signed(machine, "officer-enrolled", body, officer.signer, *net.approvers("DEL")), code)


def test_an_id_and_a_key_enter_once_for_ever(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    first, second = net.enrol_officer(machine, "DEL"), net.officer_keys("DEL")
    same_id = body_of(second, officer_id=first.officer_id)
    leaf = net.signed(machine, "officer-enrolled", same_id, second.signer, *net.approvers("DEL"))
    refuses(machine, leaf, "known-officer")
    same_key = body_of(second, key=prove(first.signer, "officer"))
    leaf = net.signed(machine, "officer-enrolled", same_key, first.signer, *net.approvers("DEL"))
    refuses(machine, leaf, "known-key")


def test_a_key_enters_with_its_own_proof_only(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    officer, other = net.officer_keys("DEL"), net.officer_keys("DEL")
    for possession in (prove(other.signer, "officer"), prove(officer.signer, "root")):
        key = replace(possession, key=officer.signer.public_key)
        leaf = net.signed(machine, "officer-enrolled", body_of(officer, key=key), officer.signer, *net.approvers("DEL"))
        refuses(machine, leaf, "bad-signature")
    ed25519 = net.fresh(SUITE_ED25519)
    leaf = net.signed(
        machine, "officer-enrolled", body_of(officer, key=prove(ed25519, "officer")), ed25519, *net.approvers("DEL")
    )
    refuses(machine, leaf, "wrong-suite")


def lowered_supervisor(net: TestNetwork, machine: Machine, code: str) -> None:
    """Lower the first supervisor of the post to CONFIDENTIAL, by the second."""
    first, second = net.posts[code].supervisors
    body = OfficerChanged(first.officer_id, (1, 2, 3), Clearance.CONFIDENTIAL)
    net.run(machine, net.signed(machine, "officer-changed", body, second.signer))


@pytest.mark.parametrize("lowered", ["DEL", "DHA"])
def test_nobody_grants_above_his_own_clearance(
    net: TestNetwork, machine: Machine, refuses: Refuses, lowered: str
) -> None:
    lowered_supervisor(net, machine, lowered)
    officer = net.officer_keys("DEL")
    refuses(machine, net.enrolment(machine, officer, clearance=Clearance.SECRET), "above-own-clearance")
    net.run(machine, net.enrolment(machine, officer, clearance=Clearance.CONFIDENTIAL))


# --- change, suspension, revocation, rotation ------------------------------------------------------------


def change(
    net: TestNetwork, machine: Machine, officer: OfficerKeys, roles: Sequence[int], clearance: int, *signers: object
) -> bytes:
    body = OfficerChanged(officer.officer_id, tuple(roles), clearance)
    return net.signed(machine, "officer-changed", body, *signers)  # type: ignore[arg-type]


def test_a_lowering_takes_one_supervisor_of_the_post_or_of_headquarters(
    net: TestNetwork, machine: Machine, refuses: Refuses
) -> None:
    officer = net.enrol_officer(machine, "DEL")
    stranger = net.posts["LON"].supervisors[0].signer
    own, headquarters = net.approvers("DEL")
    refuses(machine, change(net, machine, officer, (1,), 4, stranger), "no-supervisor")
    refuses(machine, change(net, machine, officer, (1,), 4, officer.signer), "no-supervisor")
    refuses(machine, change(net, machine, officer, (1,), 4, own, headquarters), "extra-signature")
    net.run(machine, change(net, machine, officer, (1,), 4, own))
    net.run(machine, change(net, machine, officer, (), 1, headquarters))
    record = machine.state.active_officer(officer.officer_id)
    assert (record.roles, record.clearance) == ((), 1)


@pytest.mark.parametrize(("roles", "clearance"), [((1, 2, 3), 4), ((1, 2), 5), ((3,), 1)])
def test_a_rise_is_signed_like_an_enrolment(
    net: TestNetwork, machine: Machine, refuses: Refuses, roles: tuple[int, ...], clearance: int
) -> None:
    officer = net.enrol_officer(machine, "DEL")
    own, headquarters = net.approvers("DEL")
    refuses(machine, change(net, machine, officer, roles, clearance, own), "no-supervisor")
    refuses(machine, change(net, machine, officer, roles, clearance, own, headquarters), "missing-signature")
    refuses(machine, change(net, machine, officer, roles, clearance, officer.signer, own), "no-supervisor")
    net.run(machine, change(net, machine, officer, roles, clearance, officer.signer, own, headquarters))
    assert machine.state.active_officer(officer.officer_id).roles == roles


def test_a_supervisor_does_not_raise_himself(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    lowered_supervisor(net, machine, "DHA")
    first, second = net.headquarters.supervisors
    refuses(machine, change(net, machine, first, (1, 2, 3), 5, first.signer, second.signer), "no-supervisor")


def test_unchanged_powers_are_refused(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    officer = net.enrol_officer(machine, "DEL")
    refuses(machine, change(net, machine, officer, (1, 2), 4, net.approvers("DEL")[0]), "nothing-changed")
    nobody = net.officer_keys("DEL")
    refuses(machine, change(net, machine, nobody, (1,), 4, net.approvers("DEL")[0]), "unknown-officer")


def suspension(net: TestNetwork, machine: Machine, officer: OfficerKeys, reinstated: bool, *signers: object) -> bytes:
    body = OfficerSuspended(officer.officer_id, reinstated)
    return net.signed(machine, "officer-suspended", body, *signers)  # type: ignore[arg-type]


def test_a_suspended_officer_signs_nothing_until_two_supervisors_reinstate_him(
    net: TestNetwork, machine: Machine, refuses: Refuses
) -> None:
    officer = net.enrol_officer(machine, "DEL", (1, 2, 3))
    own, headquarters = net.approvers("DEL")
    net.run(machine, suspension(net, machine, officer, False, headquarters))
    terminal = net.terminal_keys(officer)
    refuses(machine, net.terminal_enrolment(machine, terminal), "suspended-officer")
    other = net.officer_keys("DEL")
    signed = net.signed(machine, "officer-enrolled", body_of(other), other.signer, officer.signer, headquarters)
    refuses(machine, signed, "no-supervisor")
    refuses(machine, suspension(net, machine, officer, False, own), "nothing-changed")
    refuses(machine, suspension(net, machine, officer, True, own), "no-supervisor")
    refuses(machine, suspension(net, machine, officer, True, headquarters, own), "signature-order")
    net.run(machine, suspension(net, machine, officer, True, own, headquarters))
    net.run(machine, net.terminal_enrolment(machine, terminal))


def test_reinstating_is_a_rise_that_needs_clearance(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    officer = net.enrol_officer(machine, "DEL", clearance=Clearance.TOP_SECRET)
    own, headquarters = net.approvers("DEL")
    net.run(machine, suspension(net, machine, officer, False, own))
    lowered_supervisor(net, machine, "DEL")
    refuses(machine, suspension(net, machine, officer, True, own, headquarters), "above-own-clearance")


def revocation(net: TestNetwork, machine: Machine, officer: OfficerKeys, since: int, *signers: object) -> bytes:
    return net.signed(machine, "officer-revoked", OfficerRevoked(officer.officer_id, since), *signers)  # type: ignore[arg-type]


def test_a_revoked_officer_leaves_the_roster_for_ever(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    officer = net.enrol_officer(machine, "DEL")
    own, headquarters = net.approvers("DEL")
    refuses(machine, revocation(net, machine, officer, 0, officer.signer), "no-supervisor")
    net.run(machine, revocation(net, machine, officer, 0, own))
    record = machine.state.officer(officer.officer_id)
    assert record is not None
    assert record.revoked_at == machine.size - 2
    assert officer.officer_id not in machine.state.roster("DEL").officer_ids
    refuses(machine, suspension(net, machine, officer, True, own, headquarters), "revoked-officer")
    refuses(machine, change(net, machine, officer, (1,), 4, own), "revoked-officer")
    refuses(machine, net.terminal_enrolment(machine, net.terminal_keys(officer)), "revoked-officer")
    again = body_of(officer, officer_id=net.fresh_bytes(16))
    leaf = net.signed(machine, "officer-enrolled", again, officer.signer, own, headquarters)
    refuses(machine, leaf, "known-key")


def test_a_compromise_may_be_found_later_and_only_get_worse(
    net: TestNetwork, machine: Machine, refuses: Refuses
) -> None:
    officer = net.enrol_officer(machine, "DEL")
    own, _ = net.approvers("DEL")
    refuses(machine, revocation(net, machine, officer, machine.size + 1, own), "bad-index")
    net.run(machine, revocation(net, machine, officer, 0, own))
    revoked_at = machine.size - 2
    refuses(machine, revocation(net, machine, officer, 0, own), "revoked-officer")
    net.run(machine, revocation(net, machine, officer, 7, own))
    refuses(machine, revocation(net, machine, officer, 8, own), "revoked-officer")
    net.run(machine, revocation(net, machine, officer, 6, own))
    record = machine.state.officer(officer.officer_id)
    assert record is not None
    assert (record.revoked_at, record.compromised_since) == (revoked_at, 6)


def test_a_key_is_rotated_by_old_key_new_key_and_another_supervisor(
    net: TestNetwork, machine: Machine, refuses: Refuses
) -> None:
    officer, new = net.posts["DEL"].supervisors[0], net.fresh(SUITE_DUAL)
    other = net.posts["DEL"].supervisors[1].signer
    body = OfficerRotated(officer.officer_id, prove(new, "officer"))
    headquarters = net.headquarters.supervisors[0].signer
    refuses(machine, net.signed(machine, "officer-rotated", body, officer.signer, new), "no-supervisor")
    refuses(machine, net.signed(machine, "officer-rotated", body, officer.signer, new, headquarters), "no-supervisor")
    refuses(machine, net.signed(machine, "officer-rotated", body, officer.signer, other), "missing-signature")
    net.run(machine, net.signed(machine, "officer-rotated", body, officer.signer, new, other))
    assert machine.state.active_officer(officer.officer_id).key == new.public_key
    assert machine.state.sequence(new.public_key.key_id) == 0
    lowering = net.enrol_officer(machine, "LON")
    refuses(machine, revocation(net, machine, lowering, 0, officer.signer), "no-supervisor")
    own = net.posts["DEL"].supervisors[1]
    refuses(machine, revocation(net, machine, own, 0, officer.signer), "no-supervisor")
    net.run(machine, revocation(net, machine, own, 0, new))


def test_a_rotation_back_to_an_old_key_is_refused(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    officer, other = net.enrol_officer(machine, "DEL"), net.posts["DEL"].supervisors[0].signer
    body = OfficerRotated(officer.officer_id, prove(officer.signer, "officer"))
    leaf = net.signed(machine, "officer-rotated", body, officer.signer, other)
    assert machine.check(leaf) != "accepted"


# --- terminals -------------------------------------------------------------------------------------------


def test_a_terminal_is_enrolled_by_its_officer_and_another_supervisor(net: TestNetwork, machine: Machine) -> None:
    officer = net.enrol_officer(machine, "DEL")
    terminal = net.enrol_terminal(machine, officer)
    record = machine.state.active_terminal(terminal.terminal_id)
    assert (record.officer_id, record.post, record.key) == (officer.officer_id, "DEL", terminal.signer.public_key.key)
    assert machine.state.roster("DEL").terminal_ids == (terminal.terminal_id,)


def test_one_stolen_officer_key_adds_no_terminal(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    supervisor = net.posts["DEL"].supervisors[0]
    terminal = net.terminal_keys(supervisor)
    body = TerminalEnrolled(supervisor.officer_id, prove(terminal.signer, "terminal"), terminal.certificate)
    headquarters = net.headquarters.supervisors[0].signer
    refuses(machine, net.signed(machine, "terminal-enrolled", body, supervisor.signer), "no-supervisor")
    refuses(machine, net.signed(machine, "terminal-enrolled", body, supervisor.signer, headquarters), "no-supervisor")


@pytest.mark.parametrize(
    ("certificate", "code"), [(b"", "bad-certificate"), (bytes(601), "bad-certificate"), (None, "known-certificate")]
)
def test_a_terminals_certificate_is_small_and_its_own(
    net: TestNetwork, machine: Machine, refuses: Refuses, certificate: bytes | None, code: str
) -> None:
    officer = net.enrol_officer(machine, "DEL")
    used = net.posts["DEL"].certificate if certificate is None else certificate
    terminal = replace(net.terminal_keys(officer), certificate=used)
    refuses(machine, net.terminal_enrolment(machine, terminal), code)


def retirement(net: TestNetwork, machine: Machine, terminal_id: bytes, reason: str, *signers: object) -> bytes:
    return net.signed(machine, "terminal-retired", TerminalRetired(terminal_id, reason), *signers)  # type: ignore[arg-type]


@pytest.mark.parametrize("who", ["officer", "supervisor", "headquarters"])
def test_a_terminal_is_retired_by_its_officer_a_supervisor_or_headquarters(
    net: TestNetwork, machine: Machine, refuses: Refuses, who: str
) -> None:
    officer = net.enrol_officer(machine, "DEL")
    terminal = net.enrol_terminal(machine, officer)
    own, headquarters = net.approvers("DEL")
    signer = {"officer": officer.signer, "supervisor": own, "headquarters": headquarters}[who]
    stranger = net.posts["LON"].supervisors[0].signer
    refuses(machine, retirement(net, machine, terminal.terminal_id, "lost", stranger), "no-supervisor")
    refuses(machine, retirement(net, machine, terminal.terminal_id, "stolen", signer), "unknown-reason")
    net.run(machine, retirement(net, machine, terminal.terminal_id, "lost", signer))
    assert machine.state.roster("DEL").terminal_ids == ()
    refuses(machine, retirement(net, machine, terminal.terminal_id, "lost", signer), "retired-terminal")
    refuses(machine, retirement(net, machine, bytes(32), "lost", signer), "unknown-terminal")


def test_a_suspended_officer_does_not_retire_his_terminal(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    officer = net.enrol_officer(machine, "DEL")
    terminal = net.enrol_terminal(machine, officer)
    own, _ = net.approvers("DEL")
    net.run(machine, suspension(net, machine, officer, False, own))
    refuses(machine, retirement(net, machine, terminal.terminal_id, "lost", officer.signer), "no-supervisor")
    net.run(machine, retirement(net, machine, terminal.terminal_id, "lost", own))
