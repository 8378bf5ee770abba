"""The terminal's epoch prekeys: made, entered on the ledger, handed out; a new one every 24 hours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cbor2

from crypto_msg.prekey import bundle_for, bundle_hash, current_prekey, make_bundle
from crypto_msg.wire import CODEC, Prekey
from keys import prekey
from keys.purpose import Purpose
from ledger.entry import encode_entry, make_leaf, sign_entry
from protos.errors import Refused, Unavailable, VerificationFailed
from terminal.keyring import EpochSeed, Keyring
from terminal.records import Aside, Job
from terminal.session import Session
from terminal.submit import SETTLE_SECONDS, next_sequence
from terminal.view import ProvedState

ROTATE_SECONDS = 86_400
PATIENCE_SECONDS = 3.0
"""How long an officer waits at most for a rotation that nobody asked for."""
JOB = "prekey"


@dataclass(frozen=True, slots=True)
class MadePrekey:
    """A new epoch: what the keystore keeps, the SignedBundle for the node, the leaf for the ledger."""

    seed: EpochSeed
    signed_bundle: bytes
    leaf: bytes


def make_prekey(network_id: bytes, keyring: Keyring, epoch: int, sequence: int, at: int) -> MadePrekey:
    """A new random prekey of `epoch`, signed by officer and terminal; `sequence` is the terminal's next."""
    made = prekey.Prekey.generate()
    terminal = keyring.terminal_signer
    terminal_id = terminal.public_key.key_id
    bundle = bundle_for(network_id, terminal_id, epoch, made.public_key)
    signed = make_bundle(bundle, keyring.officer_signer, terminal)
    entry = encode_entry("prekey", sequence, Prekey(terminal_id, epoch, bundle_hash(signed)), CODEC)
    leaf = make_leaf(entry, [sign_entry(entry, terminal, network_id, Purpose.ENTRY)], terminal_id)
    return MadePrekey(EpochSeed(epoch, made.seed, at, bundle_hash(signed)), signed, leaf)


def is_due(session: Session) -> bool:
    """Whether this terminal has no prekey, one that was never finished, or one older than 24 hours by its clock."""
    with session.store.transaction() as transaction:
        if any(one.kind == JOB for one in transaction.jobs()):
            return True
    newest = session.keyring.prekeys[-1:]
    return not newest or abs(session.clock() - newest[0].made_at) >= ROTATE_SECONDS


def rotate(session: Session) -> None:
    """Publish a new prekey if one is due. A ledger out of reach keeps nobody from his cables: the next call goes on."""
    if not is_due(session):
        return
    patience = PATIENCE_SECONDS if session.keyring.prekeys else session.submitter.seconds
    try:
        publish(session, patience)
    except Unavailable:
        if not session.keyring.prekeys:
            raise


def publish(session: Session, patience: float = SETTLE_SECONDS) -> None:
    """Publish a new prekey, or finish the one under way.

    Each step is durable before the next and may be repeated: the seed is in the keystore and the entry's very bytes are
    in the store before anything is sent; the node holds the bundle before the ledger names it.
    """
    job = _unfinished(session) or _begin(session)
    signed_bundle, leaf = cbor2.loads(job.content)
    session.desk.put_bundle(signed_bundle)
    try:
        state = replace(session.submitter, seconds=patience).submit(leaf)
    except Refused as problem:
        _drop(session, job, problem)
        raise
    recorded = session.view.judge(lambda state: current_prekey(state, session.terminal_id), state.size)
    if recorded is None or recorded.bundle_hash != bundle_hash(signed_bundle):
        raise VerificationFailed("not-entered", "the ledger names another prekey for this terminal", hint="tell HQ")
    with session.store.transaction() as transaction:
        transaction.end_job(job)


def _unfinished(session: Session) -> Job | None:
    with session.store.transaction() as transaction:
        return next((one for one in transaction.jobs() if one.kind == JOB), None)


def _begin(session: Session) -> Job:
    epoch, sequence = session.view.judge(lambda state: _next(session, state))
    notice_gap(session, epoch)
    made = make_prekey(session.network_id, session.keyring, epoch, sequence, session.clock())
    session.save_keyring(session.keyring.with_prekey(made.seed))
    job = Job(JOB, epoch.to_bytes(8), cbor2.dumps([made.signed_bundle, made.leaf]))
    with session.store.transaction() as transaction:
        transaction.add_job(job)
    return job


def _next(session: Session, state: ProvedState) -> tuple[int, int]:
    session.own(state)
    current = current_prekey(state, session.terminal_id)
    return (current.epoch if current else 0) + 1, next_sequence(state, session.terminal_id)


def notice_gap(session: Session, epoch: int) -> None:
    """Alarm if the ledger's next `epoch` is not the keystore's: it was restored from a backup, or there is a copy."""
    known = max((one.epoch for one in session.keyring.prekeys), default=0)
    if epoch <= known + 1:
        return
    with session.store.transaction() as transaction:
        transaction.add_aside(
            Aside(
                key=epoch.to_bytes(8),
                code="terminal-behind",
                text=f"the ledger knows prekey {epoch - 1} of this terminal, its keystore only {known}:"
                " it was restored from a backup, or there is a copy of it",
                origin=session.config.post,
                at=session.clock(),
            )
        )


def _drop(session: Session, job: Job, problem: Refused) -> None:
    """An entry that the ledger refused (its number or epoch is taken) is given up; the next call starts anew."""
    with session.store.transaction() as transaction:
        transaction.end_job(job)
        transaction.add_aside(
            Aside(job.key, problem.code, problem.text, session.config.post, session.clock(), job.content)
        )
