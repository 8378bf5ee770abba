"""Bundles are believed only as the ledger names them; the ledger takes them one epoch after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from crypto_msg.opening import Reader, open_cable
from crypto_msg.prekey import (
    PrekeyModule,
    VerifiedBundle,
    bundle_for,
    bundle_hash,
    current_prekey,
    make_bundle,
    prekey_key,
    verify_bundle,
)
from crypto_msg.seal import Message, Release, Station, seal_cable
from crypto_msg.wire import CODEC, Prekey, SignedBundle
from crypto_msg.wraps import Recipient
from keys import prekey as xwing
from keys.public import SUITE_DUAL, SUITE_ED25519
from keys.signing import DirectVerifier, SoftwareSigner
from ledger.machine import Machine
from ledger.map import verify_map_proof
from ledger.records import Officer, Terminal
from protos.errors import DutabartaError
from support.cables import NETWORK_ID, attach, plain_draft, small_world
from support.forger import flip
from support.network import TerminalKeys, TestNetwork

WORLD = small_world()
SEAT = WORLD.seats["del1"]
BUNDLE = bundle_for(NETWORK_ID, SEAT.terminal.terminal_id, 3, SEAT.prekey.public_key)
SIGNED = make_bundle(BUNDLE, SEAT.officer_signer, SEAT.terminal_signer)
RECORD = Prekey(SEAT.terminal.terminal_id, 3, bundle_hash(SIGNED))


def verify(data: bytes = SIGNED, **changes: object) -> VerifiedBundle:
    record: Prekey = replace(RECORD, bundle_hash=bundle_hash(data))
    given = {"network_id": NETWORK_ID, "recorded": record, "terminal": SEAT.terminal, "officer": SEAT.officer}
    return verify_bundle(data, verifier=DirectVerifier(), **(given | changes))  # type: ignore[arg-type]


def test_a_bundle_is_verified_against_the_records() -> None:
    assert verify() == VerifiedBundle(SEAT.terminal.terminal_id, 3, SEAT.prekey.public_key, bundle_hash(SIGNED))
    assert len(SIGNED) == 4811


def test_every_sampled_flip_of_a_bundle_is_refused() -> None:
    for bit in range(0, len(SIGNED) * 8, 61):
        with pytest.raises(DutabartaError) as caught:
            verify(flip(SIGNED, bit), recorded=RECORD)
        assert caught.value.code == "other-bundle"
        with pytest.raises(DutabartaError):
            verify(flip(SIGNED, bit))  # even if the ledger named it


def test_every_cut_of_a_bundle_is_refused() -> None:
    for end in range(0, len(SIGNED), 7):
        with pytest.raises(DutabartaError):
            verify(SIGNED[:end])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"recorded": replace(RECORD, epoch=4)}, "bad-bundle"),
        ({"recorded": replace(RECORD, terminal_id=bytes(32))}, "bad-bundle"),
        ({"recorded": replace(RECORD, bundle_hash=bytes(32))}, "other-bundle"),
        ({"network_id": bytes(32)}, "bad-bundle"),
        ({"terminal": WORLD.seats["del2"].terminal}, "bad-bundle"),
        ({"terminal": replace(SEAT.terminal, key=bytes(32))}, "bad-bundle"),
        ({"officer": WORLD.seats["del2"].officer}, "bad-bundle"),
        ({"officer": replace(SEAT.officer, key=WORLD.seats["del2"].officer.key)}, "bad-bundle"),
    ],
)
def test_a_bundle_of_another_context_is_refused(changes: dict[str, object], code: str) -> None:
    with pytest.raises(DutabartaError) as caught:
        verify(**changes)
    assert caught.value.code == code


@pytest.mark.parametrize("missing", ["officer", "terminal"])
def test_both_signatures_are_needed(missing: str) -> None:
    signed = replace(CODEC.decode(SignedBundle, SIGNED, limit=9999), **{missing: None})  # type: ignore[arg-type]
    with pytest.raises(DutabartaError) as caught:
        verify(CODEC.encode(signed))
    assert caught.value.code == "bad-bundle"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kem": 0x11}, "bad-bundle"),
        ({"epoch": 2}, "bad-bundle"),
        ({"public_key": bytes(1215)}, "prekey-malformed"),
        ({"public_key": b"\xff" * 1216}, "prekey-malformed"),
        ({"public_key": SEAT.prekey.public_key[:1184] + bytes(32)}, "prekey-malformed"),
    ],
)
def test_a_well_signed_bundle_that_cannot_be_used_is_refused(changes: dict[str, object], code: str) -> None:
    bundle = replace(BUNDLE, **changes)  # type: ignore[arg-type]
    with pytest.raises(DutabartaError) as caught:
        verify(make_bundle(bundle, SEAT.officer_signer, SEAT.terminal_signer))
    assert caught.value.code == code


def test_another_officer_or_terminal_cannot_sign_it() -> None:
    other = WORLD.seats["dha1"]
    for officer, terminal in (
        (other.officer_signer, SEAT.terminal_signer),
        (SEAT.officer_signer, other.terminal_signer),
    ):
        with pytest.raises(DutabartaError):
            verify(make_bundle(BUNDLE, officer, terminal))


# --- on the ledger -----------------------------------------------------------------------------------------


@dataclass
class Ledger:
    net: TestNetwork
    machine: Machine
    terminal: TerminalKeys

    def leaf(self, epoch: int, digest: bytes = bytes(32), by: SoftwareSigner | None = None) -> bytes:
        body = Prekey(self.terminal.terminal_id, epoch, digest)
        return self.net.signed(self.machine, "prekey", body, by or self.terminal.signer, codec=CODEC)


@pytest.fixture
def ledger() -> Ledger:
    net = TestNetwork.make(["DHA", "DEL"])
    machine = net.machine([PrekeyModule()])
    officer = net.enrol_officer(machine, "DEL")
    return Ledger(net, machine, net.enrol_terminal(machine, officer))


def test_the_state_keeps_the_newest_and_proves_it(ledger: Ledger) -> None:
    terminal_id = ledger.terminal.terminal_id
    assert current_prekey(ledger.machine.state, terminal_id) is None
    for epoch in (1, 2):
        ledger.net.run(ledger.machine, ledger.leaf(epoch, bytes([epoch]) * 32))
        assert current_prekey(ledger.machine.state, terminal_id) == Prekey(terminal_id, epoch, bytes([epoch]) * 32)
    proof = ledger.machine.state.prove(prekey_key(terminal_id))
    value = verify_map_proof(proof, ledger.machine.state.root)
    assert value == CODEC.encode(Prekey(terminal_id, 2, b"\x02" * 32))


@pytest.mark.parametrize("epoch", [0, 1, 3, 2**64 - 1])
def test_an_epoch_rises_by_one(ledger: Ledger, epoch: int) -> None:
    ledger.net.run(ledger.machine, ledger.leaf(1))
    assert ledger.machine.check(ledger.leaf(epoch)) == "wrong-epoch"


def test_only_the_terminal_itself_enters_its_prekey(ledger: Ledger) -> None:
    stranger = SoftwareSigner.generate(SUITE_ED25519)
    node = ledger.net.posts["DEL"].entry
    officer = ledger.terminal.officer.signer
    assert officer.public_key.suite == SUITE_DUAL
    for signer in (stranger, node, officer):
        assert ledger.machine.check(ledger.leaf(1, by=signer)) != "accepted"
    assert ledger.machine.check(ledger.leaf(1)) == "accepted"


@pytest.mark.parametrize("digest", [b"", bytes(31), bytes(33)])
def test_a_bundle_hash_has_32_bytes(ledger: Ledger, digest: bytes) -> None:
    assert ledger.machine.check(ledger.leaf(1, digest)) == "bad-prekey"


def test_an_unknown_terminal_enters_nothing(ledger: Ledger) -> None:
    signer = SoftwareSigner.generate(SUITE_ED25519)
    body = Prekey(signer.public_key.key_id, 1, bytes(32))
    leaf = ledger.net.signed(ledger.machine, "prekey", body, signer, codec=CODEC)
    assert ledger.machine.check(leaf) == "unknown-terminal"


def test_a_cable_travels_between_terminals_of_a_real_ledger(ledger: Ledger) -> None:
    net, machine = ledger.net, ledger.machine
    sender = net.enrol_terminal(machine, net.enrol_officer(machine, "DHA"))
    prekeys: dict[bytes, xwing.Prekey] = {}
    recipients = []
    for keys in (sender, ledger.terminal):
        prekey = xwing.Prekey.generate()
        bundle = bundle_for(machine.network_id, keys.terminal_id, 1, prekey.public_key)
        signed = make_bundle(bundle, keys.officer.signer, keys.signer)
        body = Prekey(keys.terminal_id, 1, bundle_hash(signed))
        net.run(machine, net.signed(machine, "prekey", body, keys.signer, codec=CODEC))
        state = machine.state
        record, terminal = current_prekey(state, keys.terminal_id), state.terminal(keys.terminal_id)
        officer = state.officer(keys.officer.officer_id)
        assert isinstance(record, Prekey) and isinstance(terminal, Terminal) and isinstance(officer, Officer)
        verified = verify_bundle(signed, machine.network_id, record, terminal, officer, DirectVerifier())
        recipients.append(Recipient(keys.terminal_id, verified, True, 1))
        prekeys[verified.bundle_hash] = prekey
    draft = plain_draft(attachments=(attach("a", b"file"),))
    sealed = seal_cable(
        Station(machine.network_id, "DHA", sender.signer, machine.size),
        Message(draft, (b"file",)),
        Release(1, 2026, "231430ZNOV26", ()),
        [],
        sender.officer.signer,
        recipients,
        WORLD.random,
    )
    reader = Reader(machine.network_id, ledger.terminal.terminal_id, prekeys, machine.state, DirectVerifier())
    assert open_cable(sealed.head, sealed.envelope.body, reader).draft == draft
