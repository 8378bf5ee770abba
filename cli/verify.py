"""`dutabarta verify`: prove a kept cable offline, under the verifier's own policy.

Loads keys, ledger and the cable's form only: no network, no database. The steps are numbered; the code repeats them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click

from cli.commands import command, option
from cli.exit import Exit
from cli.options import FILE, json_option
from cli.output import emit, leave
from cli.trusted import load_policy, load_trust, read_file
from cli.words import error_words, t
from crypto_msg.cable import Precedence
from crypto_msg.cablefile import decode_cable_file, proved_hash
from crypto_msg.envelope import Envelope, read_outer
from crypto_msg.wire import Head
from ledger.checkpoint import parse_checkpoint
from ledger.note import SignedNote
from ledger.policy import Policy
from ledger.proof import MAX_PROOF_BYTES, TlogProof, VerifiedItem, verify_item
from protos.errors import DutabartaError, Malformed, Refused, Unavailable, VerificationFailed

MAX_CABLE_FILE = 80 << 20
GENUINE, DO_NOT_RELY, COULD_NOT_CHECK = "genuine", "do-not-rely", "could-not-check"
EXIT_OF = {GENUINE: Exit.DONE, DO_NOT_RELY: Exit.VERIFICATION, COULD_NOT_CHECK: Exit.UNAVAILABLE}


@dataclass(slots=True)
class Check:
    """The files as read, and what each step has established from them."""

    cable: bytes
    proof_text: bytes
    policy_at: Callable[[int], Policy]
    envelope: Envelope = field(init=False)
    head: Head = field(init=False)
    item_hash: bytes = field(init=False)
    proof: TlogProof = field(init=False)
    item: VerifiedItem = field(init=False)


@command("verify")
@click.argument("path", type=FILE)
@option("--proof", type=FILE, required=True)
@option("--policy", type=FILE)
@option("--trust", type=FILE)
@option("--network-id")
@json_option
def verify(
    path: Path, proof: Path, policy: Path | None, trust: Path | None, network_id: str | None, as_json: bool
) -> None:
    """Help stands in the string tables."""
    check = _open(path, proof, policy, trust, network_id)
    answer, steps = run(check)
    particulars = _particulars(check, answer)
    data = {"answer": answer, "steps": steps, "particulars": particulars, "status_as_of": _as_of(check, answer)}
    emit(data, as_json, _in_words(answer, steps, particulars))
    leave(EXIT_OF[answer])


def _open(path: Path, proof: Path, policy: Path | None, trust: Path | None, network_id: str | None) -> Check:
    """Read the files. A policy or trust file that does not hold is no verdict on the cable: `Unavailable`."""
    if (policy is None) == (trust is None):
        raise click.UsageError(t("usage.policy-or-trust"))
    try:
        policy_at = _policy_at(policy, trust, network_id)
    except (Malformed, Refused, VerificationFailed) as problem:
        raise Unavailable(problem.code, problem.text, hint=problem.hint, **problem.params) from problem
    return Check(read_file(path, MAX_CABLE_FILE), read_file(proof, MAX_PROOF_BYTES), policy_at)


def _policy_at(policy: Path | None, trust: Path | None, network_id: str | None) -> Callable[[int], Policy]:
    """The policy by the size of what it judges: the verifier's own, the same for all, or what a trust file says."""
    if trust is not None:
        return load_trust(trust, network_id).policy_at
    assert policy is not None
    own = load_policy(policy)
    return lambda _size: own


def run(check: Check) -> tuple[str, list[dict[str, object]]]:
    """Take the steps in order until one fails: the answer and what each step found."""
    steps: list[dict[str, object]] = []
    for n, (name, step) in enumerate(STEPS, start=1):
        try:
            step(check)
        except DutabartaError as problem:
            text, _ = error_words(problem)
            steps.append({"n": n, "name": name, "ok": False, "text": f"{text} [{problem.code}]"})
            no = isinstance(problem, (Malformed, VerificationFailed))
            return (DO_NOT_RELY if no else COULD_NOT_CHECK), steps
        steps.append({"n": n, "name": name, "ok": True, "text": t(f"verify.{name}")})
    return GENUINE, steps


def _read_cable(check: Check) -> None:
    # 1. The file is a sealed cable in its one form.
    check.head, check.envelope = decode_cable_file(check.cable)


def _match_body(check: Check) -> None:
    # 2. Its sealed body is, byte for byte, the one that its head names.
    check.item_hash = proved_hash(check.head, check.envelope)


def _read_proof(check: Check) -> None:
    # 3. The proof is a C2SP tlog-proof.
    check.proof = TlogProof.decode(check.proof_text)


def _match_item(check: Check) -> None:
    # 4. The cable stands in a post's batch, the batch entry in the log, the log's checkpoint under the own policy.
    size = parse_checkpoint(SignedNote.decode(check.proof.checkpoint_note).text).size
    network_id = read_outer(check.head).network_id
    check.item = verify_item(check.proof, check.item_hash, network_id, check.policy_at(size))


def _match_post(check: Check) -> None:
    # 5. The post that anchored it is the post that it names as its origin.
    outer = read_outer(check.head)
    if (check.item.post, check.item.kind) != (outer.post, "cable"):
        text = f"{check.item.post} anchored this as a {check.item.kind}, but it names {outer.post} as its origin"
        raise VerificationFailed("wrong-post", text, post=outer.post, other=check.item.post)


STEPS: tuple[tuple[str, Callable[[Check], None]], ...] = (
    ("cable-form", _read_cable),
    ("cable-body", _match_body),
    ("proof-form", _read_proof),
    ("anchored", _match_item),
    ("origin", _match_post),
)


def _particulars(check: Check, answer: str) -> dict[str, object]:
    """What the sealed cable says on its outside, and where it is anchored; nothing unless all of it is proved."""
    if answer != GENUINE:
        return {}
    outer, item = read_outer(check.head), check.item
    return {
        "envelope_id": check.head.envelope_id.hex(),
        "cable_id": outer.cable_id.hex(),
        "from": outer.post,
        "terminal": outer.terminal_id.hex(),
        "precedence": Precedence(outer.precedence).name,
        "network_id": outer.network_id.hex(),
        "log_size": item.checkpoint.size,
        "log_index": item.entry_index,
        "witnesses": {name: _when(at) for name, at in item.times.items()},
    }


def _as_of(check: Check, answer: str) -> str | None:
    """When the first of the witnesses had seen the cable on the ledger."""
    return _when(min(check.item.times.values())) if answer == GENUINE and check.item.times else None


def _when(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _in_words(answer: str, steps: list[dict[str, object]], particulars: dict[str, object]) -> str:
    lines = [t(f"verify.{answer}"), ""]
    lines += [f"  {step['n']} {t('verify.ok') if step['ok'] else t('verify.failed')}  {step['text']}" for step in steps]
    lines += ["", *(f"  {name}: {value}" for name, value in particulars.items() if not isinstance(value, dict))]
    return "\n".join(lines).rstrip()
