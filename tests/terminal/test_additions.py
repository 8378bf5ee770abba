"""A terminal enrolled after a cable was sealed gets its key by a supervisor's act, by the rules and no further."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cli.enrolment import Newcomer, complete_exercise, prepare
from crypto_msg.addition import CODEC, AddedWrap, SignedAddedWrap, read_added_wrap
from crypto_msg.addition import verify_added_wrap as verify
from keys.purpose import Purpose
from keys.signing import DirectVerifier
from ledger.bodies import OfficerChanged, TerminalRetired
from ledger.entry import encode_entry, make_leaf, sign_entry
from ledger.wire import Signature
from protos.errors import DutabartaError, Refused
from support.ministry import PASSPHRASE, Ministry, Officers
from terminal import roster
from terminal.compose import Composition
from terminal.records import CableRecord
from terminal.terminal import Terminal

ADDED = 9


class Enrol:
    """Enrols the officer "late" of a post, and closes every other terminal meanwhile."""

    def __init__(self, ministry: Ministry, officer: Officers) -> None:
        self.ministry, self.officer = ministry, officer

    def __call__(self, post: str, clearance: int = 4) -> Terminal:
        self.officer.close()
        home = self.ministry.folder / post
        made = prepare(home, Newcomer("late", (1, 2), clearance), PASSPHRASE)
        complete_exercise(home, made, PASSPHRASE, PASSPHRASE)
        return self.officer(post, "late")


@pytest.fixture
def enrol(ministry: Ministry, officer: Officers, monkeypatch: pytest.MonkeyPatch) -> Enrol:
    monkeypatch.setattr("terminal.terminal.NodeClient", ministry.connect)
    return Enrol(ministry, officer)


def enter(ministry: Ministry, kind: str, body: object, author: Terminal) -> None:
    signer = author.session.keyring.officer_signer
    key_id = signer.public_key.key_id
    entry = encode_entry(kind, ministry.machine.state.sequence(key_id) + 1, body)
    signature = sign_entry(entry, signer, ministry.machine.network_id, Purpose.ENROLMENT)
    assert ministry.enter(make_leaf(entry, [signature], key_id)).code == "accepted"


def send(sender: Terminal, classification: int = 3) -> CableRecord:
    return sender.send(Composition(("DEL",), 2, classification, "Trade", "Text."))


def added(ministry: Ministry, terminal: Terminal) -> list[bytes]:
    return [one.content for one in ministry.inboxes[terminal.session.terminal_id] if one.kind == ADDED]


def refused(sender: Terminal, sent: CableRecord, terminal_id: bytes) -> str:
    with pytest.raises(DutabartaError) as problem:
        sender.add_terminal(sent.envelope_id, terminal_id)
    return problem.value.code


@pytest.mark.parametrize("by", ["first", "second"])
def test_a_terminal_enrolled_later_reads_a_cable_of_before(officer: Officers, enrol: Enrol, by: str) -> None:
    """The supervisor may have sealed it himself, or only hold it as a colleague."""
    sent = send(officer("DHA"))
    officer("DHA", by).sync()
    late = enrol("DEL")
    late.sync()
    assert late.cables("in") == []
    officer("DHA", by).add_terminal(sent.envelope_id, late.session.terminal_id)
    assert late.sync().cables == 1
    record = late.read(sent.envelope_id)
    assert record.draft == sent.draft and record.n == 1 and late.alarms() == []
    sender = officer("DHA")
    sender.sync()
    assert late.session.terminal_id in {one.terminal_id for one in sender.receipts(sender.find(sent.envelope_id))}


def test_what_is_added_twice_opens_once(officer: Officers, enrol: Enrol) -> None:
    sent = send(officer("DHA"))
    late = enrol("DEL")
    for opened in (1, 0):
        officer("DHA").add_terminal(sent.envelope_id, late.session.terminal_id)
        assert late.sync().cables == opened
    assert late.alarms() == [], "the same number, for the same cable"


def test_a_later_terminal_of_the_originating_post_may_have_it_too(officer: Officers, enrol: Enrol) -> None:
    sent = send(officer("DHA"))
    late = enrol("DHA")
    officer("DHA").add_terminal(sent.envelope_id, late.session.terminal_id)
    assert late.sync().cables == 1
    assert [(one.box, one.envelope_id) for one in late.cables()] == [("out", sent.envelope_id)]


def test_who_may_not_have_it_gets_nothing(ministry: Ministry, officer: Officers, enrol: Enrol) -> None:
    sent = send(officer("DHA"))
    late = enrol("DEL", clearance=2).session.terminal_id
    sender = officer("DHA")
    assert refused(sender, sent, late) == "reader-not-cleared"
    assert refused(sender, sent, officer("WAS").session.terminal_id) == "not-addressed"
    assert refused(sender, sent, bytes(32)) == "unknown-terminal"
    enter(ministry, "terminal-retired", TerminalRetired(late, "lost"), officer("DEL"))
    assert refused(sender, sent, late) == "retired-terminal"
    assert added(ministry, officer("DEL", "late")) == []


def test_only_a_cleared_supervisor_of_the_originating_post_adds(
    ministry: Ministry, officer: Officers, enrol: Enrol
) -> None:
    sent = send(officer("DHA"))
    officer("DEL").sync()
    late = enrol("DEL").session.terminal_id
    sender = officer("DHA")
    assert refused(officer("DEL"), sent, late) == "not-originator"
    draft = sender.draft(Composition(("DEL",), 2, 3, "Draft", "Text."))
    assert refused(sender, draft, late) == "not-released"
    own = sender.session.officer_id
    enter(ministry, "officer-changed", OfficerChanged(own, (1, 2, 3), 2), officer("DHA", "second"))
    assert refused(sender, sent, late) == "clearance-too-low"
    enter(ministry, "officer-changed", OfficerChanged(own, (1, 2), 2), officer("DHA", "second"))
    assert refused(sender, sent, late) == "not-supervisor"


@pytest.mark.parametrize("by", ["first", "second"])
def test_a_key_that_was_erased_is_there_as_long_as_the_own_prekey(officer: Officers, enrol: Enrol, by: str) -> None:
    sent = send(officer("DHA"))
    officer("DHA", by).sync()
    late = enrol("DEL")
    supervisor = officer("DHA", by)
    with supervisor.session.store.transaction() as transaction:
        for number, record in transaction.find_cables(sent.envelope_id):
            transaction.change_cable(number, replace(record, cek=b""))
    supervisor.add_terminal(sent.envelope_id, late.session.terminal_id)
    assert late.sync().cables == 1
    session = supervisor.session
    session.save_keyring(replace(session.keyring, prekeys=()))
    assert refused(supervisor, sent, late.session.terminal_id) == "key-gone"


# --- what does not hold -----------------------------------------------------------------------------------------


@pytest.fixture
def genuine(ministry: Ministry, officer: Officers, enrol: Enrol) -> bytes:
    """An added wrap that lies in the late terminal's inbox, and holds."""
    sent = send(officer("DHA"))
    late = enrol("DEL")
    officer("DHA").add_terminal(sent.envelope_id, late.session.terminal_id)
    (signed,) = added(ministry, late)
    return signed


def resigned(data: bytes, by: Terminal, **changes: object) -> bytes:
    """The same act with other fields, signed by some officer."""
    inner = CODEC.decode(AddedWrap, CODEC.decode(SignedAddedWrap, data, limit=20_000).added, limit=20_000)
    changed = CODEC.encode(replace(inner, **changes))  # type: ignore[arg-type]
    signer = by.session.keyring.officer_signer
    signature = signer.sign(Purpose.ADDED_WRAP, by.session.network_id, changed)
    return CODEC.encode(SignedAddedWrap(changed, Signature(signer.public_key.key_id, signature)))


def test_flipped_bits_are_refused_by_name(ministry: Ministry, genuine: bytes) -> None:
    state = ministry.machine.state
    verify(genuine, ministry.machine.network_id, state, DirectVerifier())
    for position in range(0, len(genuine) * 8, 101):
        changed = bytearray(genuine)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(DutabartaError):
            verify(bytes(changed), ministry.machine.network_id, state, DirectVerifier())
    with pytest.raises(DutabartaError):
        verify(genuine, bytes(32), state, DirectVerifier())


@pytest.mark.parametrize(
    ("who", "post_of_terminal", "code"),
    [("DEL", "DEL", "not-origin"), ("DEL", "DHA", "not-supervisor"), ("WAS", "DHA", "not-supervisor")],
)
def test_nobody_else_signs_it(
    ministry: Ministry, officer: Officers, genuine: bytes, who: str, post_of_terminal: str, code: str
) -> None:
    by = officer(post_of_terminal).session.terminal_id
    forged = resigned(genuine, officer(who), by_terminal_id=by)
    late = officer("DEL", "late")
    ministry.inboxes[late.session.terminal_id].clear()
    ministry.deliver(late.session.terminal_id, ADDED, forged, read_added_wrap(forged)[1].envelope_id, "DHA")
    assert late.sync().cables == 0 and [one.code for one in late.alarms()] == [code]
    with pytest.raises(Refused) as problem:
        verify(forged, ministry.machine.network_id, ministry.machine.state, DirectVerifier())
    assert problem.value.code == code


def test_a_reader_refuses_what_a_supervisor_without_clearance_adds(
    ministry: Ministry, officer: Officers, genuine: bytes
) -> None:
    """Relays cannot see the classification; the reader can, once it is open, and keeps nothing."""
    own = officer("DHA").session.officer_id
    enter(ministry, "officer-changed", OfficerChanged(own, (1, 2, 3), 2), officer("DHA", "second"))
    forged = resigned(genuine, officer("DHA"), size=ministry.machine.size)
    late = officer("DEL", "late")
    ministry.inboxes[late.session.terminal_id].clear()
    ministry.deliver(late.session.terminal_id, ADDED, forged, read_added_wrap(forged)[1].envelope_id, "DHA")
    assert late.sync().cables == 0 and late.cables() == []
    assert [one.code for one in late.alarms()] == ["clearance-too-low"]


def test_an_act_of_before_the_supervisor_left_still_holds(
    ministry: Ministry, officer: Officers, genuine: bytes
) -> None:
    found = officer("DHA").session.view.judge(officer("DHA").session.own)[0]
    roster.revoke(officer("DHA", "second").session, found)
    late = officer("DEL", "late")
    assert late.sync().cables == 1
