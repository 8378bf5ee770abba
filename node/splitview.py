"""What contradicts the own log: kept, alarmed, and when this node must stop signing (network.md section 4)."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.checkpoint import Checkpoint
from ledger.note import SignedNote
from ledger.state import State
from node.actions import Action, Alarm, KeepEvidence, StopSigning
from node.chain import signer_of
from protos.errors import VerificationFailed

KIND = "split-view"


def quorum_of(validators: int) -> int:
    """How many of so many validators are more than two thirds."""
    return 2 * validators // 3 + 1


class SplitViews:
    """Judges signed checkpoints whose root is not the own log's. One of a node, for follower and collector."""

    def __init__(self, accused: Iterable[str] = ()) -> None:
        self._accused = set(accused)

    def contradicted(
        self, checkpoint: Checkpoint, note: SignedNote, state: State
    ) -> tuple[frozenset[str], list[Action]]:
        """The posts that really signed the contrary checkpoint, and what follows from it.

        Only validators who could have forked the log stop the own signing: more than a third of those in force.
        """
        signers = _signers(checkpoint, note, state)
        actions: list[Action] = []
        for code in sorted(signers - self._accused):
            text = f"{code} has signed another history of the log at size {checkpoint.size}"
            actions += [KeepEvidence(code, KIND, note.encode()), Alarm(KIND, code, text)]
        self._accused |= signers
        validators = set(state.network().validators)
        if signers & validators and 3 * len(self._accused & validators) > len(validators):
            actions.append(StopSigning(KIND))
        return signers, actions


def _signers(checkpoint: Checkpoint, note: SignedNote, state: State) -> frozenset[str]:
    found = set()
    for line in note.signatures:
        try:
            code = signer_of(state, checkpoint, line)
        except VerificationFailed:
            continue  # a line that fails accuses nobody
        if code is not None:
            found.add(code)
    return frozenset(found)
