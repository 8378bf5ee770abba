"""The collecting side of HQ and the validators: cosignature lines become policy checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.checkpoint import Checkpoint, parse_checkpoint
from ledger.network_policy import policy_of
from ledger.note import NoteSignature, SignedNote
from ledger.policy import Policy
from node.actions import Action, DropPeer, OwnNote, PolicyNote, SaveCosignature
from node.chain import Chain, signer_of
from node.splitview import SplitViews, quorum_of
from protos.errors import DutabartaError

MAX_OPEN = 64
MAX_LINE_BYTES = 8192


@dataclass(slots=True)
class Gathering:
    """A checkpoint on its way to its quorum; lines by post code."""

    checkpoint: Checkpoint
    policy: Policy
    validators: tuple[str, ...]
    log_line: NoteSignature | None = None
    lines: dict[str, NoteSignature] = field(default_factory=dict)

    def add(self, post: str, line: NoteSignature) -> None:
        """Keep a line that this size's policy knows: not of a later key, nor the log line of a later validator."""
        cosigner = self.policy.witnesses.get(post)
        if any(key.verifier.made(line) for key in self.policy.logs):
            self.log_line = line
        elif cosigner is not None and cosigner.verifier.made(line):
            self.lines[post] = line


class Collector:
    """Keeps the lines of at most MAX_OPEN checkpoints above the newest that has its quorum.

    A line is durable before its post gets an answer, so nobody has to sign again after a crash here: at start the
    shell hands the stored ones to `line_received` again.
    """

    def __init__(self, chain: Chain, views: SplitViews, policy_size: int = 0) -> None:
        self._chain = chain
        self._views = views
        self._policy_size = policy_size
        self._open: dict[int, Gathering] = {}
        self._decided_size = 0

    @property
    def policy_size(self) -> int:
        """The size of the newest checkpoint that has its quorum."""
        return self._policy_size

    def own_note(self, note: bytes) -> list[Action]:
        """This node's own signed checkpoint: its cosignature, and a validator's log line."""
        signed = SignedNote.decode(note)
        checkpoint = parse_checkpoint(signed.text)
        gathering = self._gathering(checkpoint)
        if gathering is None:
            return []
        for line in signed.signatures:
            gathering.add(line.name.rpartition("/")[2], line)
        return self._close(gathering)

    def line_received(self, post: str, size: int, root: bytes, line: bytes) -> list[Action]:
        """A post's cosignature of its checkpoint (size, root). Sizes that are settled or unknown here are ignored."""
        checkpoint = Checkpoint(self._chain.machine.origin, size, root)
        if len(line) > MAX_LINE_BYTES:
            return [DropPeer(post, "too-large")]
        if not 0 < size <= self._chain.size:
            return []
        try:
            signature = NoteSignature.decode(line.decode(errors="replace"))
            if not self._is_by(post, checkpoint, signature):
                return [DropPeer(post, "wrong-key")]
        except DutabartaError as problem:
            return [DropPeer(post, problem.code)]
        if root != self._chain.machine.tree.root(size):
            note = SignedNote(checkpoint.text, (signature,))
            return self._views.contradicted(checkpoint, note, self._chain.machine.state)[1]
        gathering = self._gathering(checkpoint)
        if gathering is None:
            return []
        gathering.add(post, signature)
        return [SaveCosignature(post, size, root, line), *self._close(gathering)]

    def _is_by(self, post: str, checkpoint: Checkpoint, line: NoteSignature) -> bool:
        """By its key in force at that size, or now: a line from before a change of keys may come after it."""
        states = self._chain.state_at(checkpoint.size), self._chain.machine.state
        return any(signer_of(state, checkpoint, line) == post for state in states)

    def _gathering(self, checkpoint: Checkpoint) -> Gathering | None:
        size = checkpoint.size
        if size <= self._policy_size or not self._chain.is_block_end(size):
            return None
        if size not in self._open:
            state = self._chain.state_at(size)
            policy = policy_of(state, checkpoint.origin)
            self._open[size] = Gathering(checkpoint, policy, state.network().validators)
            if len(self._open) > MAX_OPEN:
                del self._open[min(self._open)]
        return self._open.get(size)

    def _close(self, gathering: Gathering) -> list[Action]:
        """The policy note, once log line and quorum are there."""
        if gathering.log_line is None or not gathering.policy.quorum.is_met(gathering.lines):
            return self._decided(gathering)
        note = SignedNote(gathering.checkpoint.text, (gathering.log_line, *gathering.lines.values()))
        minimal = gathering.policy.minimal(note).encode()
        self._policy_size = gathering.checkpoint.size
        self._open = {size: one for size, one in self._open.items() if size > self._policy_size}
        return [PolicyNote(self._policy_size, minimal)]

    def _decided(self, gathering: Gathering) -> list[Action]:
        """Of several validators: the own note with the lines of enough of them, by which the size becomes final.

        Posts that are no validators cosign only what is final, so the policy's quorum comes after this one.
        """
        size, validators = gathering.checkpoint.size, gathering.validators
        lines = [gathering.lines[code] for code in validators if code in gathering.lines]
        if gathering.log_line is None or len(validators) < 2 or len(lines) < quorum_of(len(validators)):
            return []
        if size <= self._decided_size:
            return []
        self._decided_size = size
        return [OwnNote(size, SignedNote(gathering.checkpoint.text, (gathering.log_line, *lines)).encode())]
