"""A lying node is caught by name: older state, another root for one size, a fork, hidden or invented values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.checkpoint import Checkpoint, make_note, sign_checkpoint
from ledger.cosignature import cosign, cosigner_name
from ledger.machine import Machine
from ledger.network_policy import policy_of
from ledger.state import officer_key, post_key
from ledger.wire import CODEC, MAX_STATE_PROOF_BYTES, StateProof
from protos.errors import DutabartaError, Refused, VerificationFailed
from support.ministry import Ministry, Officers
from terminal import roster
from terminal.enrol import pending
from terminal.terminal import Terminal
from terminal.view import check_fresh


def _note_for(ministry: Ministry, machine: Machine) -> bytes:
    """A note over another machine's log, signed by everybody: the worst that whoever holds all keys could do."""
    checkpoint = Checkpoint(machine.origin, machine.size, machine.root)
    logs = [sign_checkpoint(ministry.keys[code].log, checkpoint) for code in machine.genesis.validators]
    lines = [
        cosign(keys.cosigner, cosigner_name(machine.origin, code), checkpoint, ministry.now)
        for code, keys in sorted(ministry.keys.items())
    ]
    return policy_of(machine.state, machine.origin).minimal(make_note(checkpoint, *logs, *lines)).encode()


def _answer_from(terminal: Terminal, ministry: Ministry, machine: Machine) -> None:
    note = _note_for(ministry, machine)
    terminal.session.desk.state = lambda keys, *_: CODEC.encode(machine.prove_state(tuple(keys), note))  # type: ignore[method-assign]
    terminal.session.desk.consistency = lambda old, new: tuple(machine.tree.consistency(old, new))  # type: ignore[method-assign]


def _code(terminal: Terminal) -> str:
    with pytest.raises(DutabartaError) as problem:
        terminal.session.view.newest()
    return problem.value.code


def _suspend(ministry: Ministry, officer: Officers, post: str, who: str, machine: Machine) -> None:
    """Let DHA's first supervisor suspend an officer on `machine`."""
    supervisor = officer("DHA").session
    target = bytes.fromhex(officer(post, who).session.config.officer_id)
    key_id = supervisor.keyring.officer_signer.public_key.key_id
    body = roster.OfficerSuspended(target, False)
    number = machine.state.sequence(key_id) + 1
    entry = pending(machine.network_id, "officer-suspended", number, body, supervisor.keyring.officer_signer)
    (result,) = machine.apply_block([entry.leaf()], ministry.now).results
    assert result.is_accepted, result


def test_an_honest_answer_is_believed_and_remembered(ministry: Ministry, officer: Officers) -> None:
    terminal = officer("DEL")
    state = terminal.session.view.newest()
    post = state.post("WAS")
    assert post is not None and post.code == "WAS" and state.post("ROM") is None
    assert terminal.session.folder.load_seen() is not None
    assert terminal.session.view.seen == state.checkpoint


def test_an_older_state_is_refused(ministry: Ministry, officer: Officers) -> None:
    terminal = officer("DEL")
    old = ministry.machine.fork()
    _suspend(ministry, officer, "WAS", "second", ministry.machine)
    terminal.session.view.newest()
    _answer_from(terminal, ministry, old)
    assert _code(terminal) == "older-state"


def test_another_root_for_one_size_is_a_split_view_and_kept(ministry: Ministry, officer: Officers) -> None:
    terminal = officer("DEL")
    other = ministry.machine.fork()
    _suspend(ministry, officer, "WAS", "second", ministry.machine)
    _suspend(ministry, officer, "WAS", "first", other)
    terminal.session.view.newest()
    _answer_from(terminal, ministry, other)
    assert _code(terminal) == "split-view"
    assert list(terminal.session.folder.path.glob("evidence-*.note"))


def test_a_fork_that_grew_further_is_a_split_view(ministry: Ministry, officer: Officers) -> None:
    terminal = officer("DEL")
    other = ministry.machine.fork()
    _suspend(ministry, officer, "WAS", "second", ministry.machine)
    _suspend(ministry, officer, "WAS", "first", other)
    _suspend(ministry, officer, "DEL", "second", other)
    terminal.session.view.newest()
    _answer_from(terminal, ministry, other)
    assert _code(terminal) == "split-view"


def test_a_checkpoint_without_the_quorum_is_refused(ministry: Ministry, officer: Officers) -> None:
    terminal, machine = officer("DEL"), ministry.machine
    checkpoint = Checkpoint(machine.origin, machine.size, machine.root)
    log = sign_checkpoint(ministry.keys["DHA"].log, checkpoint)
    cosigned = cosign(ministry.keys["DHA"].cosigner, cosigner_name(machine.origin, "DHA"), checkpoint, ministry.now)
    note = make_note(checkpoint, log, cosigned).encode()
    terminal.session.desk.state = lambda keys, *_: CODEC.encode(machine.prove_state(tuple(keys), note))  # type: ignore[method-assign]
    assert _code(terminal) == "no-quorum"


def _altered(terminal: Terminal, ministry: Ministry, change: object) -> None:
    honest = terminal.session.desk.state

    def state(keys: list[bytes], at_least: int = 0, exactly: int = 0) -> bytes:
        proof = CODEC.decode(StateProof, honest(keys, at_least, exactly), limit=MAX_STATE_PROOF_BYTES)
        return CODEC.encode(change(proof))  # type: ignore[operator]

    terminal.session.desk.state = state  # type: ignore[method-assign, assignment]


def test_a_value_left_out_is_not_taken_for_absent(ministry: Ministry, officer: Officers) -> None:
    terminal = officer("DEL")
    terminal.session.view.newest()
    _altered(terminal, ministry, lambda proof: replace(proof, values=()))
    with pytest.raises(DutabartaError) as problem:
        terminal.session.view.judge(lambda state: state.post("WAS"))
    assert problem.value.code == "not-proved"


def test_a_hidden_revocation_is_refused(ministry: Ministry, officer: Officers) -> None:
    """The node shows the newest checkpoint but the officer's record as it was before."""
    terminal, target = officer("DEL"), officer("WAS", "second").session.officer_id
    before = ministry.machine.prove_state([officer_key(target)], ministry.note()).values
    _suspend(ministry, officer, "WAS", "second", ministry.machine)

    def hide(proof: StateProof) -> StateProof:
        return replace(
            proof, values=tuple(before[0] if one.key == officer_key(target) else one for one in proof.values)
        )

    _altered(terminal, ministry, hide)
    with pytest.raises(VerificationFailed):
        terminal.session.view.judge(lambda state: state.officer(target))


def test_an_invented_absence_is_refused(ministry: Ministry, officer: Officers) -> None:
    terminal = officer("DEL")
    absent = ministry.machine.prove_state([post_key("ROM")], ministry.note()).values[0]

    def hide(proof: StateProof) -> StateProof:
        forged = replace(absent, key=post_key("WAS"))
        return replace(proof, values=tuple(forged if one.key == post_key("WAS") else one for one in proof.values))

    _altered(terminal, ministry, hide)
    with pytest.raises(DutabartaError):
        terminal.session.view.judge(lambda state: state.post("WAS"))


def test_a_growing_ledger_answers_one_question_at_one_size(ministry: Ministry, officer: Officers) -> None:
    terminal = officer("DEL")
    honest, grown = terminal.session.desk.state, []

    def state(keys: list[bytes], at_least: int = 0, exactly: int = 0) -> bytes:
        if len(grown) < 3:
            grown.append(ministry.now)
            _suspend(ministry, officer, "WAS", "second", ministry.machine) if len(grown) == 2 else None
        return honest(keys, at_least, exactly)

    terminal.session.desk.state = state  # type: ignore[method-assign, assignment]
    sizes = terminal.session.view.judge(lambda state: (state.size, state.post("WAS") and state.size, state.size))
    assert len(set(sizes)) == 1


def test_a_stale_state_needs_the_officers_word(ministry: Ministry, officer: Officers) -> None:
    state = officer("DEL").session.view.newest()
    check_fresh(state, state.time + 86_400, False)
    with pytest.raises(Refused) as problem:
        check_fresh(state, state.time + 86_401, False)
    assert problem.value.code == "stale-state"
    check_fresh(state, state.time + 86_401, True)
