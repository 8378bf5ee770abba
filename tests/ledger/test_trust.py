from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ledger.checkpoint import Checkpoint, make_note, parse_checkpoint, sign_checkpoint
from ledger.cosignature import cosign, cosigner_name
from ledger.genesis import network_id_of
from ledger.logfile import CHECKPOINT
from ledger.network_policy import policy_text
from ledger.note import SignedNote
from ledger.trust import Trust, make_trust, verify_trust
from ledger.wire import CODEC, TrustChange, TrustFile
from protos.errors import DutabartaError
from support.history import History, council, eventful
from support.network import post_keys

GOLDEN = Path(__file__).parents[1] / "golden" / "ledger"


@pytest.fixture(scope="module")
def history() -> History:
    return eventful(council())


@pytest.fixture(scope="module")
def trust(history: History) -> Trust:
    return verify_trust(history.trust(), history.net.network_id, history.net.verifier)


def file_of(history: History) -> TrustFile:
    return CODEC.decode(TrustFile, history.trust(), limit=10**7)


def refused(history: History, file: TrustFile, code: str) -> None:
    with pytest.raises(DutabartaError) as caught:
        verify_trust(CODEC.encode(file), history.net.network_id, history.net.verifier)
    assert caught.value.code == code


def test_the_policy_at_each_size_is_that_of_the_state_there(history: History, trust: Trust) -> None:
    sizes = [note.size for note in notes(history)]
    assert len(sizes) > 5
    for size in sizes:
        state = history.machine.state_at(size)
        assert trust.policy_text_at(size) == policy_text(state, history.machine.origin)
    assert trust.policy_text_at(10**6) == trust.policy_text_at(history.machine.size)
    assert trust.policy_text_at(0) == trust.policy_text_at(1)
    assert len({trust.policy_text_at(size) for size in sizes}) > 2


def test_every_old_checkpoint_is_accepted_by_the_policy_of_its_size(history: History, trust: Trust) -> None:
    for item in history.items:
        if item.kind == CHECKPOINT:
            size = int(item.data.split(b"\n")[1])
            assert trust.policy_at(size).verify(item.data).checkpoint.size == size


def test_a_replaced_cosigner_key_counts_below_its_change_only(history: History, trust: Trust) -> None:
    """DHA and WAS with the first key of LON were a quorum at the founding; the newest policy knows only DHA."""
    net, origin = history.net, history.machine.origin
    checkpoint = notes(history)[0]
    keys = {"DHA": net.posts["DHA"], "WAS": net.posts["WAS"], "LON": post_keys(net.seed, "LON")}
    lines = [cosign(one.cosigner, cosigner_name(origin, code), checkpoint, 5) for code, one in keys.items()]
    lines.append(cosign(net.posts["PAR"].cosigner, cosigner_name(origin, "PAR"), checkpoint, 5))
    note = make_note(checkpoint, sign_checkpoint(net.posts["DEL"].log, checkpoint), *lines).encode()
    assert trust.policy_at(checkpoint.size).verify(note).checkpoint == checkpoint
    with pytest.raises(DutabartaError) as caught:
        trust.policy_at(history.machine.size).verify(note)
    assert caught.value.code == "no-quorum"


def test_the_file_tells_the_newest_checkpoint(history: History, trust: Trust) -> None:
    assert trust.checkpoint == Checkpoint(history.machine.origin, history.machine.size, history.machine.root)
    assert trust.founding.network_id == history.net.network_id
    assert trust.founding.genesis == history.machine.genesis


def test_an_older_trust_file_is_sound_too(history: History) -> None:
    """Made under each retained checkpoint: also before, between and after the changes of validators."""
    for item in history.items:
        if item.kind == CHECKPOINT:
            data = make_trust(history.machine, history.leaves.__getitem__, item.data)
            older = verify_trust(data, history.net.network_id, history.net.verifier)
            assert older.checkpoint.size == int(item.data.split(b"\n")[1])


def test_another_network_id_is_refused(history: History) -> None:
    with pytest.raises(DutabartaError) as caught:
        verify_trust(history.trust(), bytes(32))
    assert caught.value.code == "wrong-network"


def test_a_hidden_change_is_caught(history: History) -> None:
    file = file_of(history)
    for left_out in range(len(file.changes)):
        changes = (*file.changes[:left_out], *file.changes[left_out + 1 :])
        with pytest.raises(DutabartaError):
            verify_trust(CODEC.encode(replace(file, changes=changes)), history.net.network_id, history.net.verifier)
    refused(history, replace(file, changes=file.changes[:-1]), "hidden-change")


def test_validators_that_come_into_force_elsewhere_are_caught(history: History) -> None:
    file = file_of(history)
    place = next(n for n, one in enumerate(file.changes) if not one.leaf)
    for index in (file.changes[place].index - 1, file.changes[place].index + 1):
        moved = replace(file.changes[place], index=index)
        changes = (*file.changes[:place], moved, *file.changes[place + 1 :])
        refused(history, replace(file, changes=changes), "hidden-change")
    again = (*file.changes[: place + 1], *file.changes[place:])
    refused(history, replace(file, changes=again), "bad-order")


def test_changes_out_of_order_or_elsewhere_are_refused(history: History) -> None:
    file = file_of(history)
    first = file.changes[0]
    refused(history, replace(file, changes=file.changes[::-1]), "wrong-sequence")
    refused(history, replace(file, changes=(first, *file.changes)), "bad-order")
    moved = replace(first, index=first.index + 1)
    refused(history, replace(file, changes=(moved, *file.changes[1:])), "bad-inclusion-proof")
    late = replace(file.changes[-1], index=10**6)
    refused(history, replace(file, changes=(*file.changes[:-1], late)), "late-change")
    padded = TrustChange(b"", first.index, (bytes(32),))
    refused(history, replace(file, changes=(padded, *file.changes)), "bad-order")


def test_other_posts_than_those_of_the_genesis_are_refused(history: History) -> None:
    file = file_of(history)
    refused(history, replace(file, posts=file.posts[:-1]), "wrong-posts")
    refused(history, replace(file, posts=file.posts[::-1]), "wrong-posts")
    refused(history, replace(file, posts=(*file.posts[:-1], file.posts[-1] + b"\x1a\x00")), "wrong-posts")


def test_a_change_that_the_roots_did_not_approve_is_refused(history: History) -> None:
    file = file_of(history)
    leaf = bytearray(file.changes[0].leaf)
    leaf[-1] ^= 1
    forged = replace(file.changes[0], leaf=bytes(leaf))
    refused(history, replace(file, changes=(forged, *file.changes[1:])), "bad-signature")


def test_a_checkpoint_that_the_followed_policy_does_not_accept_is_refused(history: History) -> None:
    file = file_of(history)
    note = SignedNote.decode(file.current.checkpoint)
    fewer = SignedNote(note.text, note.signatures[:-1]).encode()
    refused(history, replace(file, current=replace(file.current, checkpoint=fewer)), "no-quorum")


def test_a_state_proof_of_another_key_is_refused(history: History) -> None:
    file = file_of(history)
    other = history.machine.prove_state([b"parameters"], file.current.checkpoint)
    refused(history, replace(file, current=other), "not-proved")
    absent = history.machine.prove_state([b"nothing"], file.current.checkpoint)
    refused(history, replace(file, current=absent), "not-proved")


@pytest.mark.parametrize("data", [b"", b"\x0a\x00", b"junk", bytes(200)])
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    for network_id in (bytes(32), network_id_of(b"")):
        with pytest.raises(DutabartaError):
            verify_trust(data, network_id)


def test_flipped_bits_are_refused(history: History) -> None:
    data = history.trust()
    for position in range(0, len(data) * 8, len(data) * 8 // 60):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(DutabartaError):
            verify_trust(bytes(changed), history.net.network_id, history.net.verifier)


def test_the_golden_trust_file_stays_readable_for_ever() -> None:
    data = (GOLDEN / "network.trust").read_bytes()
    size, root, _ = (GOLDEN / "network.root").read_text().split()
    genesis = CODEC.decode(TrustFile, data, limit=10**7).genesis
    trust = verify_trust(data, network_id_of(genesis))
    assert (trust.checkpoint.size, trust.checkpoint.root.hex()) == (int(size), root)


def notes(history: History) -> list[Checkpoint]:
    return [parse_checkpoint(SignedNote.decode(one.data).text) for one in history.items if one.kind == CHECKPOINT]
