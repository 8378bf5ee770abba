"""A simulated network must come to rest, and then everything must be right."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.checkpoint import parse_checkpoint
from ledger.network_policy import policy_of
from ledger.note import SignedNote
from ledger.policy import Policy
from ledger.proof import TlogProof, verify_item
from sim.base import cosignatures_remembered
from sim.desk import SentCable
from sim.order_checks import engine_problems, log_problems
from sim.world import World

CALM_LOOKS = 360


def settle(world: World) -> None:
    """Live through chaos, then on until nothing is left to do. Raises AssertionError if that never comes."""
    with cosignatures_remembered():
        world.live_through_chaos()
        for _ in range(CALM_LOOKS):
            if not problems_of(world):
                break
            world.live(10 * world.plan.tick_seconds)
        if problems := problems_of(world):
            raise AssertionError("; ".join(problems[:20]))


def problems_of(world: World) -> list[str]:
    """Every rule that does not hold; expensive proofs last."""
    found = [*_nodes(world), *_logs(world), *_cables(world)]
    found = found or [*engine_problems(world)]
    return found or [*_proofs(world), *_histories(world), *log_problems(world)]


def _nodes(world: World) -> Iterator[str]:
    for code in world.posts():
        node = world.nodes[code]
        if code in world.dead:
            continue
        if node is None:
            yield f"{code} is down"
            continue
        for name, subject, text in node.disk.alarms:
            yield f"{code} alarms {name} ({subject}): {text}"
        # A beginning at a relay may stay behind when the item came by another way; it is bounded (node/intake.py).
        queued = [
            one
            for one in node.disk.items.values()
            if (one.state == "queued" and one.parcel.destination not in world.dead)
            or (one.state == "incoming" and one.parcel.destination == code)
        ]
        if (
            queued
            or any(one.destination not in world.dead for one in node.carrier.sender.parcels)
            or node.disk.waiting
            or node.disk.batches
            or world.officers.drawers.get(code)
        ):
            yield f"{code} has {len(queued)} items, {len(node.disk.waiting)} waiting, {len(node.disk.batches)} batches"


def _logs(world: World) -> Iterator[str]:
    up = [node for node in world.nodes.values() if node is not None]
    tips = {
        (one.chain.size, one.chain.machine.root, one.chain.machine.state.root, one.follower.final, one.disk.policy[0])
        for one in up
    }
    if len(tips) != 1:
        yield f"the logs differ: {sorted((size, final, policy) for size, _, _, final, policy in tips)}"
    elif any(not tip[0] == tip[3] == tip[4] for tip in tips):
        yield f"the newest block has no quorum: {sorted((tip[0], tip[3], tip[4]) for tip in tips)}"


def _cables(world: World) -> Iterator[str]:
    officers, released = world.officers, world.plan.cables + world.plan.days
    if len(officers.cables()) != released:
        yield f"{len(officers.cables())} of {released} cables were released"
    for cable in officers.cables():
        if cable.origin not in world.dead:
            yield from _cable(world, cable)
    for code, terminal in officers.terminals.items():
        yield from (f"cable {one.hex()[:8]} waits at {code} for a re-wrap" for one in terminal.lost)
    expected = sum(len(cable.addressees) for cable in officers.cables())
    if sum(len(one.opened) for one in officers.terminals.values()) > expected:
        yield "a cable was opened at a post that it was not for"


def _cable(world: World, cable: SentCable) -> Iterator[str]:
    """At every live addressee, with receipt and proof; for the others on the exception list, in time."""
    officers, name = world.officers, cable.envelope_id.hex()[:8]
    receipts = officers.terminals[cable.origin].receipts.get(cable.envelope_id, set())
    for code in cable.addressees:
        if code in world.dead:
            is_due = (
                world.time.now - officers.released_at[cable.envelope_id]
                > officers.patience + 2 * world.plan.tick_seconds
            )
            if is_due and code not in receipts and (cable.envelope_id, code) not in officers.exceptions:
                yield f"cable {name} of {cable.origin} to {code}, which is lost, is on no list"
            continue
        if officers.terminals[code].opened.get(cable.envelope_id) != cable.inner_hash:
            yield f"cable {name} of {cable.origin} is not at {code}"
        if cable.envelope_id not in officers.terminals[code].proofs:
            yield f"the proof of cable {name} is not at {code}"
        if code not in receipts:
            yield f"{cable.origin} lacks the receipt of {code} for cable {name}"
    if not receipts <= set(cable.addressees):
        yield f"{cable.origin} has receipts of cable {name} from others"


def _proofs(world: World) -> Iterator[str]:
    """Every addressee's copy of every proof verifies under the policy of its size."""
    proofs: dict[bytes, set[bytes]] = {}
    for cable in world.officers.cables():
        held = [world.officers.terminals[code].proofs for code in cable.addressees]
        proofs[cable.envelope_id] = {one[cable.envelope_id] for one in held if cable.envelope_id in one}
    opened = {data: TlogProof.decode(data) for some in proofs.values() for data in some}
    policies = _policies(world, {_size_of(one) for one in opened.values()})
    for cable in world.officers.cables():
        for data in sorted(proofs[cable.envelope_id]):
            _verify(world, cable, opened[data], policies[_size_of(opened[data])])
        yield from (f"two proofs of {cable.envelope_id.hex()[:8]}" for _ in range(len(proofs[cable.envelope_id]) > 1))


def _size_of(proof: TlogProof) -> int:
    return parse_checkpoint(SignedNote.decode(proof.checkpoint_note).text).size


def _policies(world: World, sizes: set[int]) -> dict[int, Policy]:
    """The policy in force at each of these sizes, by one replay of HQ's log: a node keeps its newest states only."""
    machine = world.base.founded.fork()
    found = {}
    for block in world.disks[world.headquarters].blocks:
        machine.replay_block(block.leaves)
        if machine.size in sizes:
            found[machine.size] = policy_of(machine.state, machine.origin)
    return found


def _verify(world: World, cable: SentCable, proof: TlogProof, policy: Policy) -> None:
    item = verify_item(proof, cable.item_hash, world.base.network.network_id, policy)
    if item.post != cable.origin or item.kind != "cable":
        raise AssertionError(f"the proof is of {item.kind} by {item.post}")


def _histories(world: World) -> Iterator[str]:
    """Nobody has ever signed a root that is not the log's."""
    node = world.nodes[world.headquarters]
    for code, signed in world.signed.items():
        for size, root in signed:
            if node is not None and node.chain.machine.tree.root(size) != root:
                yield f"{code} signed another root at {size}"
