"""The set of validators: what the consensus engine would choke on is refused here, by name."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from ledger.records import Network, PendingValidators
from ledger.state import NETWORK, State
from protos.errors import Refused

SOLO = "solo"
COMET = "comet"
ENGINES = (SOLO, COMET)

MIN_FAULT_TOLERANT = 4
MAX_VALIDATORS = 13
BLOCKS_UNTIL_IN_FORCE = 2


def check_set(state: State, validators: tuple[str, ...], engine: str) -> None:
    """Raises `Refused` unless these posts can be the validators under `engine`.

    "unsorted", "duplicate", "bad-validator-count" (1, or 4 to 13; under solo 1), "unknown-post", "retired-post",
    "no-log-key", "no-consensus-key" (under comet).
    """
    if len(set(validators)) != len(validators):
        raise Refused("duplicate", "a validator stands twice in the new set")
    if list(validators) != sorted(validators):
        raise Refused("unsorted", "the validators are not sorted by post code")
    _check_count(len(validators), engine)
    for code in validators:
        post = state.active_post(code)
        if not post.log_key:
            raise Refused("no-log-key", f"post {code} has no log key", hint="Give it one first.", post=code)
        if engine == COMET and not post.consensus_key:
            raise Refused("no-consensus-key", f"post {code} has no consensus key", post=code)


def check_change(network: Network, validators: tuple[str, ...]) -> None:
    """Raises `Refused` "validators-pending", "nothing-changed", or "too-much-power" (over a third of 4 or more)."""
    if network.pending:
        text = "an earlier change of validators is not in force yet"
        raise Refused("validators-pending", text, hint="Wait two blocks.")
    old, new = set(network.validators), set(validators)
    if old == new:
        raise Refused("nothing-changed", "these are the validators already")
    if len(old) >= MIN_FAULT_TOLERANT and 3 * max(len(old - new), len(new - old)) > len(old):
        hint = "Change the set in several steps."
        raise Refused("too-much-power", "more than a third of the voting power would change at once", hint=hint)


def engine_at_founding(validators: tuple[str, ...]) -> str:
    """One validator founds a solo network, several a comet one."""
    return SOLO if len(validators) == 1 else COMET


def schedule(network: Network, validators: tuple[str, ...], block: int) -> Network:
    """The network with a set that comes into force two blocks after `block`."""
    return replace(network, pending=(PendingValidators(block + BLOCKS_UNTIL_IN_FORCE, validators),))


def bring_into_force(state: State, block: int, size: int) -> bool:
    """At the start of a block, at log size `size`: let a pending set whose time has come be the validators.

    The trust chain notes the size: checkpoints of larger sizes are judged by the new set. False if none is due.
    """
    network = state.network()
    if not network.pending or network.pending[0].block > block:
        return False
    state.write(NETWORK, in_force(network, size))
    return True


def in_force(network: Network, size: int) -> Network:
    """The network whose pending set came into force at log size `size`."""
    head = sha256(network.trust_head + size.to_bytes(8, "big")).digest()
    return replace(
        network,
        validators=network.pending[0].validators,
        pending=(),
        trust_head=head,
        trust_count=network.trust_count + 1,
    )


def _check_count(count: int, engine: str) -> None:
    if count == 1 or (engine == COMET and MIN_FAULT_TOLERANT <= count <= MAX_VALIDATORS):
        return
    wanted = "1" if engine == SOLO else f"1, or {MIN_FAULT_TOLERANT} to {MAX_VALIDATORS}"
    hint = f"Under the {engine} engine there may be {wanted}."
    raise Refused("bad-validator-count", f"{count} validators cannot run the {engine} engine", hint=hint, count=count)
