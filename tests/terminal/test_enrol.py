"""Enrolment: who must sign what, in which file it travels, and what the ledger then proves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.name import commit_name
from keys.signing import SoftwareSigner
from ledger.records import Officer
from ledger.roles import Role
from ledger.wire import Signature
from protos.errors import DutabartaError, Malformed, Refused
from support.ministry import Ministry, Officers
from terminal import roster
from terminal.enrol import enrolment_request, missing_approvals
from terminal.keyring import Keyring
from terminal.request import NameOpening, Pending, Request, parse_request
from terminal.terminal import Terminal


def request_for(ministry: Ministry, post: str, clearance: int = 4) -> Request:
    candidate = roster.new_candidate(post, "রহিমা", (Role.DRAFTER, Role.RELEASER), clearance)
    return enrolment_request(ministry.machine.network_id, candidate, Keyring.generate())


def enrolled(ministry: Ministry, request: Request) -> Officer | None:
    assert request.opening is not None
    return ministry.machine.state.officer(request.opening.officer_id)


def refused(terminal: Terminal, request: Request) -> str:
    with pytest.raises(Refused) as problem:
        roster.approve_as(terminal.session, request)
    return problem.value.code


def test_a_mission_needs_its_own_supervisor_and_one_of_headquarters(ministry: Ministry, officer: Officers) -> None:
    request = request_for(ministry, "DEL")
    state = ministry.machine.state
    assert missing_approvals(request, state) == ["DEL", "DHA"]
    request = roster.approve_as(officer("DHA").session, request)
    assert missing_approvals(request, state) == ["DEL"]
    request = roster.approve_as(officer("DEL").session, request)
    assert missing_approvals(request, state) == []
    roster.submit_request(officer("DEL").session, request)
    found = enrolled(ministry, request)
    assert found is not None and found.roles == (1, 2) and found.clearance == 4
    assert len(ministry.machine.state.roster("DEL").terminal_ids) == 3


def test_headquarters_needs_two_of_its_own(ministry: Ministry, officer: Officers) -> None:
    request = roster.approve_as(officer("DHA", "first").session, request_for(ministry, "DHA"))
    assert missing_approvals(request, ministry.machine.state) == ["DHA"]
    assert refused(officer("DHA", "first"), request) == "not-needed"
    request = roster.approve_as(officer("DHA", "second").session, request)
    roster.submit_request(officer("DHA").session, request)
    assert enrolled(ministry, request) is not None


def test_a_third_post_has_no_say(ministry: Ministry, officer: Officers) -> None:
    assert refused(officer("WAS"), request_for(ministry, "DEL")) == "not-needed"


def test_a_request_of_another_network_is_refused(ministry: Ministry, officer: Officers) -> None:
    request = replace(request_for(ministry, "DEL"), network_id=bytes(32))
    assert refused(officer("DEL"), request) == "wrong-network"


def test_an_incomplete_request_is_refused_by_the_ledger(ministry: Ministry, officer: Officers) -> None:
    request = roster.approve_as(officer("DEL").session, request_for(ministry, "DEL"))
    with pytest.raises(Refused) as problem:
        roster.submit_request(officer("DEL").session, request)
    assert problem.value.code == "no-supervisor" and enrolled(ministry, request) is None


def test_a_submission_that_broke_off_is_repeated_without_harm(ministry: Ministry, officer: Officers) -> None:
    request = request_for(ministry, "DEL")
    for post in ("DEL", "DHA"):
        request = roster.approve_as(officer(post).session, request)
    officer("DEL").session.submitter.submit(request.entries[0].leaf())
    roster.submit_request(officer("DEL").session, request)
    size = ministry.machine.size
    roster.submit_request(officer("DEL").session, request)
    assert ministry.machine.size == size


def test_an_opened_name_is_shown_and_a_false_one_is_not(ministry: Ministry, officer: Officers) -> None:
    request = request_for(ministry, "DEL")
    for post in ("DEL", "DHA"):
        request = roster.approve_as(officer(post).session, request)
    roster.submit_request(officer("DEL").session, request)
    opening = request.opening
    assert opening is not None
    officer_id = opening.officer_id
    assert officer("WAS").names([officer_id]) == {officer_id: "রহিমা"}
    officer("DEL").session.desk.put_opening(officer_id, opening.salt, "Somebody else")
    assert officer("WAS").names([officer_id]) == {officer_id: officer_id.hex()[:8]}


def test_a_name_commitment_is_salted() -> None:
    assert commit_name(bytes(32), "x") != commit_name(b"\x01" * 32, "x")


SIGNATURES = st.builds(Signature, st.binary(max_size=32), st.binary(max_size=80))
OPENINGS = st.builds(NameOpening, st.binary(max_size=16), st.binary(max_size=32), st.text(max_size=20))


@given(st.binary(max_size=32), st.lists(SIGNATURES, max_size=3), st.none() | OPENINGS)
def test_every_request_survives_its_file(
    network_id: bytes, signatures: list[Signature], opening: NameOpening | None
) -> None:
    entry = roster.pending(
        bytes(32), "officer-suspended", 1, roster.OfficerSuspended(bytes(16), False), _signer()
    ).entry
    request = Request(network_id, (Pending(entry, b"author", tuple(signatures)),), opening)
    assert parse_request(request.format().encode(errors="surrogatepass")) == request


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(lambda one: repr(one).encode()))
def test_what_is_no_request_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(Malformed) as problem:
        parse_request(data)
    assert problem.value.code == "not-a-request"


def test_a_request_with_junk_for_an_entry_is_refused(ministry: Ministry) -> None:
    text = request_for(ministry, "DEL").format()
    with pytest.raises(DutabartaError):
        parse_request(text.replace('"entry": "', '"entry": "ff', 1).encode())


def _signer() -> SoftwareSigner:
    return _KEYRING.officer_signer


_KEYRING = Keyring.generate()
