"""What the node answers about its ledger: blocks and checkpoints as they come, proofs under the policy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from keys.public import SUITE_ED25519, PublicKey
from ledger.checkpoint import parse_checkpoint
from ledger.note import SignedNote
from ledger.trust import make_trust
from ledger.wire import CODEC, StateProof
from node.shell.frames import block_frames, note_frame
from node.shell.ledger import LedgerShell
from node.shell.past import PastStates
from node.store import log
from node.store.log import POLICY
from protos import node_pb2 as pb
from protos.errors import Refused

_BLOCKS_AT_ONCE = 16
_IDLE_SECONDS = 30.0


class Answers:
    """Reads of one node's ledger. Waiting ends at the caller's deadline."""

    def __init__(self, ledger: LedgerShell) -> None:
        self._ledger = ledger
        self._past = PastStates(ledger.chain)

    async def follow(self, size: int) -> AsyncIterator[pb.FollowFrame]:
        """Every block from `size` on, and each newer checkpoint once its blocks are sent, for ever."""
        sent: dict[str, int] = {}
        while True:
            async for frame, reached in self._blocks(size, None):
                size = reached
                yield frame
            for kind, (noted, note) in list(self._ledger.notes.items()):
                if sent.get(kind, -1) < noted <= size:
                    sent[kind] = noted
                    yield note_frame(note)
            if size >= self._ledger.chain.size:
                await self._ledger.pulse.wait(_IDLE_SECONDS)

    async def blocks(self, start: int, end: int) -> AsyncIterator[pb.FollowFrame]:
        """Whole blocks from `start` until `end` is covered, then the newest checkpoints below what was sent."""
        size = start
        async for frame, reached in self._blocks(start, end):
            size = reached
            yield frame
        for noted, note in list(self._ledger.notes.values()):
            if noted > size:
                async for frame, reached in self._blocks(size, noted):
                    size = reached
                    yield frame
            yield note_frame(note)

    async def _blocks(self, size: int, end: int | None) -> AsyncIterator[tuple[pb.FollowFrame, int]]:
        self._check_block_end(size)
        while size < self._ledger.chain.size and (end is None or size < end):
            with self._ledger.database.read() as tx:
                found = log.blocks(tx, size, _BLOCKS_AT_ONCE)
            if not found:
                return
            for block in found:
                if end is not None and size >= end:
                    return
                size = block.size
                for frame in block_frames(block):
                    yield frame, size

    def _check_block_end(self, size: int) -> None:
        if size and size <= self._ledger.chain.size and not self._ledger.chain.is_block_end(size):
            raise Refused("no-block-end", f"no block ends at {size}", size=size)

    async def checkpoint(self, at_least: int) -> bytes:
        """The newest signed note under the policy, of at least this size, as soon as there is one."""
        await self._ledger.pulse.until(lambda: self._policy_size() >= max(1, at_least))
        return self._ledger.notes[POLICY][1]

    async def prove_state(self, keys: Sequence[bytes], at_least: int, exactly: int = 0) -> bytes:
        """Canonical StateProof of `keys` under that checkpoint: its own state, or that after `exactly` leaves.

        Raises as `PastStates.at`.
        """
        if exactly:
            self._past.check(exactly)
        note = await self.checkpoint(max(at_least, exactly))
        settled = await self._past.at(exactly or parse_checkpoint(SignedNote.decode(note).text).size)
        return CODEC.encode(self._ledger.chain.machine.prove_settled(settled, keys, note))

    async def block_before(self, time: int, at_least: int) -> bytes:
        """Canonical StateProof, without values, of the last block whose time is before `time`.

        Raises `Refused("before-the-ledger")`.
        """
        note = await self.checkpoint(at_least)
        size = parse_checkpoint(SignedNote.decode(note).text).size
        with self._ledger.database.read() as tx:
            end = log.end_before(tx, time, size)
        if not end:
            hint = "every cable of this network is younger: give --compromised-since 1"
            raise Refused("before-the-ledger", "the ledger begins later than that", hint=hint)
        path = self._ledger.chain.machine.tree.inclusion(end - 1, size)
        return CODEC.encode(StateProof(note, self._leaf_at(end - 1), path, (), end - 1))

    def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """RFC 6962 consistency proof. Raises `Refused` beyond the log."""
        return self._ledger.chain.machine.tree.consistency(old_size, new_size)

    def own_newest(self, post: str) -> pb.OwnNewest:
        """What this node knows of a post's own signatures: its newest cosignature and sequence."""
        state = self._ledger.chain.machine.state
        found = state.post(post)
        if found is None:
            raise Refused("unknown-post", f"post {post!r} is not on the ledger")
        with self._ledger.database.read() as tx:
            size, root = max(log.newest_cosignature(tx, post) or (0, b""), self._in_notes(post))
        return pb.OwnNewest(cosigned_size=size, cosigned_root=root, sequence=self._sequence(found.entry_key))

    def _sequence(self, entry_key: bytes) -> int:
        return self._ledger.chain.machine.state.sequence(PublicKey(SUITE_ED25519, entry_key).key_id)

    def _in_notes(self, post: str) -> tuple[int, bytes]:
        """The newest kept checkpoint that `post` has cosigned, as (size, root)."""
        signed = (0, b"")
        for _, note in self._ledger.notes.values():
            opened = SignedNote.decode(note)
            if any(line.name.endswith(f"/{post}") for line in opened.signatures):
                checkpoint = parse_checkpoint(opened.text)
                signed = max(signed, (checkpoint.size, checkpoint.root))
        return signed

    def _policy_size(self) -> int:
        return self._ledger.notes.get(POLICY, (0, b""))[0]

    async def trust_file(self) -> bytes:
        """Canonical TrustFile: from the network id to the policy in force."""
        note = await self.checkpoint(1)
        return make_trust(self._ledger.chain.machine, self._leaf_at, note)

    def _leaf_at(self, index: int) -> bytes:
        with self._ledger.database.read() as tx:
            return log.leaves(tx, index, index + 1)[0]
