"""Earlier states: what the machine keeps, what is re-executed, what is refused by name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import pairwise
from types import SimpleNamespace

import pytest

from ledger import machine as ledger_machine
from ledger.machine import Machine
from ledger.network_policy import policy_of
from ledger.state import NETWORK, post_key
from ledger.state_proof import verify_state_proof, verify_state_proof_at
from node.chain import Chain
from node.shell import past
from node.shell.answers import Answers
from node.shell.past import PastStates
from node.shell.pulse import Pulse
from node.store.log import POLICY
from protos.errors import Refused, Unavailable
from support.chains import chain_of, grow, log_of
from support.network import TestNetwork

KEPT = 3


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines that keep the states of three blocks."""
    monkeypatch.setattr(ledger_machine, "RETAINED_BLOCKS", KEPT)


@pytest.fixture
def chain(network: TestNetwork, forgetful: None) -> Chain:
    """Eleven blocks of which the machine keeps three."""
    made = chain_of(network)
    for _ in range(10):
        grow(network, made)
    return made


def block_ends(chain: Chain) -> list[int]:
    return [size for size in range(1, chain.size + 1) if chain.is_block_end(size)]


def roots(chain: Chain, network: TestNetwork) -> dict[int, bytes]:
    """The state root after every block, by a machine that keeps all."""
    made, found = network.machine(past.MODULES), {}
    leaves, start = log_of(chain).stored, made.size
    for end in block_ends(chain):
        if end > start:
            made.replay_block(leaves[start:end])
            start = end
        found[end] = made.state.root
    return found


def test_the_state_after_every_block_can_be_had(network: TestNetwork, chain: Chain) -> None:
    async def ask() -> None:
        states = PastStates(chain)
        expected = roots(chain, network)
        assert len(expected) == 11
        for size in (*expected, *reversed(expected)):
            settled = await states.at(size)
            assert (settled.size, settled.state.root) == (size, expected[size])
            assert settled.record == log_of(chain).stored[size - 1]

    asyncio.run(ask())


def test_a_state_long_gone_is_proved_under_the_newest_checkpoint(network: TestNetwork, chain: Chain) -> None:
    machine, note = chain.machine, network.note(chain.machine)
    ledger = SimpleNamespace(chain=chain, notes={POLICY: (machine.size, note)}, pulse=Pulse())
    policy = policy_of(machine.state, machine.origin)

    async def ask() -> None:
        answers = Answers(ledger)  # type: ignore[arg-type]
        for size, root in roots(chain, network).items():
            proof = await answers.prove_state([NETWORK, post_key("XYZ")], 0, size)
            proven = verify_state_proof_at(proof, policy, size)
            assert (proven.record.state_root, proven.checkpoint.size) == (root, machine.size)
            assert proven.values[NETWORK] and proven.values[post_key("XYZ")] is None
        assert verify_state_proof(await answers.prove_state([NETWORK], 0), policy).size == machine.size
        for size in (machine.size - 1, machine.size + 1):
            with pytest.raises(Refused):
                await answers.prove_state([NETWORK], 0, size)

    asyncio.run(ask())


def test_rising_sizes_re_execute_the_log_once(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0
    replay = Machine.replay_block

    def counted(self: Machine, leaves: Iterable[bytes]) -> None:
        nonlocal count
        count += 1
        replay(self, tuple(leaves))

    monkeypatch.setattr(Machine, "replay_block", counted)

    async def ask() -> None:
        states = PastStates(chain)
        for size in block_ends(chain)[:-KEPT]:
            await states.at(size)
            await states.at(size)

    asyncio.run(ask())
    assert count == 11 - KEPT - 1


def test_many_who_ask_at_once_are_answered_one_after_the_other(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    running = most = 0
    make = PastStates._make

    async def watched(self: PastStates, size: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await make(self, size)
        running -= 1

    monkeypatch.setattr(PastStates, "_make", watched)

    async def ask() -> list[int]:
        states = PastStates(chain)
        sizes = block_ends(chain)[:7] * 3
        return [one.size for one in await asyncio.gather(*map(states.at, sizes))] + [-one for one in sizes]

    found = asyncio.run(ask())
    assert sum(found) == 0 and most == 1


def test_only_a_few_old_states_are_kept(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "KEPT_STATES", 2)

    async def ask() -> int:
        states = PastStates(chain)
        for size in block_ends(chain):
            await states.at(size)
        return len(states._kept)

    assert asyncio.run(ask()) == 2


@pytest.mark.parametrize("size", [1, 10**9, 2**64 - 1])
def test_a_size_at_which_no_block_ends_is_refused_by_name(chain: Chain, size: int) -> None:
    with pytest.raises(Refused) as problem:
        asyncio.run(PastStates(chain).at(size))
    assert problem.value.code == "no-such-size"


def test_what_takes_long_is_named_and_goes_on(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "PATIENCE_SECONDS", 0.0)

    async def ask() -> int:
        states = PastStates(chain)
        size = block_ends(chain)[1]
        with pytest.raises(Unavailable) as problem:
            await states.at(size)
        assert problem.value.code == "state-under-way"
        assert states._work is not None
        await states._work
        return (await states.at(size)).size

    assert asyncio.run(ask()) == block_ends(chain)[1]


def test_a_log_that_was_truncated_and_went_on_otherwise_gives_its_own_states(
    network: TestNetwork, chain: Chain
) -> None:
    async def ask() -> None:
        states = PastStates(chain)
        ends = block_ends(chain)
        before = await states.at(ends[4])
        log_of(chain).stored[ends[2] :] = []
        chain.machine = network.machine(past.MODULES)
        for start, end in pairwise(ends[:3]):
            chain.machine.replay_block(log_of(chain).stored[start:end])
        for _ in range(8):
            grow(network, chain, code="LON")
        assert block_ends(chain) == ends
        assert (await states.at(ends[4])).state.root != before.state.root
        assert (await states.at(ends[1])).state.root == roots(chain, network)[ends[1]]

    asyncio.run(ask())
