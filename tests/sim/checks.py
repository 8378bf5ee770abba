"""A simulated network must come to rest, and then everything must be right."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.checkpoint import parse_checkpoint
from ledger.network_policy import policy_of
from ledger.note import SignedNote
from ledger.proof import TlogProof, verify_item
from sim.base import cosignatures_remembered
from sim.desk import SentCable
from sim.order_checks import engine_problems, log_problems
from sim.world import World

LONGEST_CALM = 3600.0


def settle(world: World) -> None:
    """Live through chaos, then on until nothing is left to do. Raises AssertionError if that never comes."""
    with cosignatures_remembered():
        world.live_through_chaos()
        while problems_of(world) and world.time.now < LONGEST_CALM:
            world.live(10)
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
        if node is None:
            yield f"{code} is down"
            continue
        for name, subject, text in node.disk.alarms:
            yield f"{code} alarms {name} ({subject}): {text}"
        # A beginning at a relay may stay behind when the item came by another way; it is bounded (node/intake.py).
        queued = [
            one
            for one in node.disk.items.values()
            if one.state == "queued" or (one.state == "incoming" and one.parcel.destination == code)
        ]
        if (
            queued
            or node.carrier.sender.parcels
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
    if len(world.officers.cables()) != world.plan.cables:
        yield f"{len(world.officers.cables())} of {world.plan.cables} cables were released"
    for cable in world.officers.cables():
        name = cable.envelope_id.hex()[:8]
        for code in cable.addressees:
            opened = world.officers.terminals[code].opened.get(cable.envelope_id)
            if opened != cable.inner_hash:
                yield f"cable {name} of {cable.origin} is not at {code}"
            if cable.envelope_id not in world.officers.terminals[code].proofs:
                yield f"the proof of cable {name} is not at {code}"
        if world.officers.terminals[cable.origin].receipts.get(cable.envelope_id, set()) != set(cable.addressees):
            yield f"{cable.origin} lacks receipts of cable {name}"
    for code, terminal in world.officers.terminals.items():
        yield from (f"cable {one.hex()[:8]} waits at {code} for a re-wrap" for one in terminal.lost)
    expected = sum(len(cable.addressees) for cable in world.officers.cables())
    if sum(len(one.opened) for one in world.officers.terminals.values()) > expected:
        yield "a cable was opened at a post that it was not for"


def _proofs(world: World) -> Iterator[str]:
    """Every addressee's copy of every proof verifies under the policy of the network."""
    for cable in world.officers.cables():
        proofs = {world.officers.terminals[code].proofs[cable.envelope_id] for code in cable.addressees}
        for proof in sorted(proofs):
            _verify(world, cable, proof)
        yield from (f"two proofs of {cable.envelope_id.hex()[:8]}" for _ in range(len(proofs) > 1))


def _verify(world: World, cable: SentCable, proof: bytes) -> None:
    node = world.nodes[cable.origin]
    if node is None:
        raise AssertionError("the node is up")
    machine, opened = node.chain.machine, TlogProof.decode(proof)
    size = parse_checkpoint(SignedNote.decode(opened.checkpoint_note).text).size
    policy = policy_of(machine.state_at(size), machine.origin)
    item = verify_item(opened, cable.item_hash, machine.network_id, policy)
    if item.post != cable.origin or item.kind != "cable":
        raise AssertionError(f"the proof is of {item.kind} by {item.post}")


def _histories(world: World) -> Iterator[str]:
    """Nobody has ever signed a root that is not the log's."""
    node = world.nodes[world.headquarters]
    for code, signed in world.signed.items():
        for size, root in signed:
            if node is not None and node.chain.machine.tree.root(size) != root:
                yield f"{code} signed another root at {size}"
