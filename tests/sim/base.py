"""The people and keys of simulated networks: making ML-DSA keys is slow, so all seeds of one size share them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import product
from string import ascii_uppercase
from unittest.mock import patch

from crypto_msg.prekey import VerifiedBundle, bundle_for, bundle_hash, make_bundle
from crypto_msg.wire import CODEC
from crypto_msg.wire import Prekey as PrekeyRecord
from keys.prekey import Prekey
from ledger import policy
from ledger.cosignature import verify_cosignature
from ledger.machine import Machine
from node import chain
from node.actions import Append
from node.modules import MODULES
from support.network import OfficerKeys, TerminalKeys, TestNetwork

SEED = 82
_VERIFIED = lru_cache(maxsize=20_000)(verify_cosignature)


@dataclass(frozen=True)
class Desk:
    """One post's officer, his terminal and its prekey."""

    officer: OfficerKeys
    terminal: TerminalKeys
    prekey: Prekey
    bundle: VerifiedBundle


@dataclass(frozen=True)
class Base:
    """A founded network, the blocks that enrol a terminal at each post, and who sits there."""

    network: TestNetwork
    history: tuple[Append, ...]
    desks: dict[str, Desk]

    @cached_property
    def founded(self) -> Machine:
        """The machine after the founding block: to be forked."""
        return self.network.machine(MODULES)

    @property
    def size(self) -> int:
        """The log size from which on cables can be sent."""
        return self.history[-1].size


@contextmanager
def cosignatures_remembered() -> Iterator[None]:
    """Let a good cosignature be verified once in the process, whoever asks: the answer follows from its bytes."""
    with ExitStack() as stack:
        for module in (chain, policy):
            stack.enter_context(patch.object(module, "verify_cosignature", _VERIFIED))
        yield


@cache
def base_of(posts: int, validators: int = 1) -> Base:
    """The network of HQ and `posts` - 1 missions; its first posts are the validators."""
    codes = ["DHA", *("".join(one) for one in product("M", ascii_uppercase, ascii_uppercase))][:posts]
    network = TestNetwork.make(codes, seed=SEED, validators=codes[:validators])
    machine = network.machine(MODULES)
    terminals = {code: network.terminal_keys(network.posts[code].supervisors[0]) for code in codes}
    enrolments = [network.terminal_enrolment(machine, one) for one in terminals.values()]
    first = _block(network, machine, enrolments)
    desks = {code: _desk(network, terminal) for code, terminal in terminals.items()}
    second = _block(network, machine, [_prekey_entry(network, machine, desk) for desk in desks.values()])
    return Base(network, (first, second), desks)


def _block(network: TestNetwork, machine: Machine, leaves: list[bytes]) -> Append:
    start = machine.size
    result = network.run(machine, *leaves)
    return Append(start, result.leaves, result.size, result.root, machine.time)


def _desk(network: TestNetwork, terminal: TerminalKeys) -> Desk:
    prekey = Prekey.from_seed(network.fresh_bytes(32))
    bundle = bundle_for(network.network_id, terminal.terminal_id, 1, prekey.public_key)
    signed = make_bundle(bundle, terminal.officer.signer, terminal.signer)
    verified = VerifiedBundle(terminal.terminal_id, 1, prekey.public_key, bundle_hash(signed))
    return Desk(terminal.officer, terminal, prekey, verified)


def _prekey_entry(network: TestNetwork, machine: Machine, desk: Desk) -> bytes:
    record = PrekeyRecord(desk.terminal.terminal_id, 1, desk.bundle.bundle_hash)
    return network.signed(machine, "prekey", record, desk.terminal.signer, codec=CODEC)
