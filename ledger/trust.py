"""The trust file: from the network id on a diplomatic note to the policy in force at any size, offline.

It holds entry 0, the posts admitted with it, and every governance entry since, with proofs
(docs/protocol/trust-file.md). The governance rules themselves re-execute it, and the newest checkpoint proves by
`Network.trust_head` that nothing was left out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from keys.signing import DirectVerifier, Verifier
from ledger import rules, validators
from ledger.checkpoint import Checkpoint, parse_checkpoint
from ledger.genesis import Founding, decode_genesis, found_posts, network_id_of
from ledger.machine import GOVERNANCE, Machine
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.network_policy import parsed_policy, policy_text
from ledger.note import SignedNote
from ledger.policy import Policy
from ledger.records import Network
from ledger.rules import Place, Rules
from ledger.state import NETWORK
from ledger.state_proof import ProvenState, verify_state_proof
from ledger.wire import CODEC, TrustChange, TrustFile
from protos.errors import VerificationFailed

MAX_TRUST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Trust:
    """What a verified trust file says. Policies go by the size above which each is in force, ascending."""

    founding: Founding
    policies: tuple[tuple[int, str], ...]
    current: ProvenState

    @property
    def checkpoint(self) -> Checkpoint:
        """The newest checkpoint that it knows."""
        return self.current.checkpoint

    def policy_text_at(self, size: int) -> str:
        """The tlog-policy by which a checkpoint of this size is judged.

        Beyond the file's own checkpoint that is the newest known one: a newer trust file may know of a change.
        """
        place = bisect_left(self.policies, size, key=lambda one: one[0])
        return self.policies[max(place - 1, 0)][1]

    def policy_at(self, size: int) -> Policy:
        """`policy_text_at`, parsed."""
        return parsed_policy(self.policy_text_at(size))


def make_trust(machine: Machine, leaf_at: Callable[[int], bytes], checkpoint_note: bytes) -> bytes:
    """The trust file as of a signed checkpoint of one of the last 256 blocks.

    `leaf_at` gives the bytes of any leaf. Raises as `Machine.prove_state`.
    """
    size = parse_checkpoint(SignedNote.decode(checkpoint_note).text).size
    file = TrustFile(
        genesis=leaf_at(0),
        posts=tuple(leaf_at(index) for index in range(1, machine.genesis.post_count + 1)),
        changes=tuple(
            TrustChange(leaf_at(one.index), one.index, machine.tree.inclusion(one.index, size))
            if one.is_entry
            else TrustChange(b"", one.index, ())
            for one in machine.changes
            if one.index < size
        ),
        current=machine.prove_state([NETWORK], checkpoint_note),
    )
    return CODEC.encode(file)


def verify_trust(data: bytes, network_id: bytes, verifier: Verifier | None = None) -> Trust:
    """Check a trust file from the network id (32 bytes) alone. Raises `Malformed`, `Refused`, `VerificationFailed`.

    1. The genesis is the one whose hash is the network id.
    2. The posts founded with it are those that it names, each key proved.
    3. Every change is a governance entry that the roots then in force approved, at its index in the log.
    4. The policy that follows accepts the newest checkpoint, and the state under it names exactly these changes.
    """
    file = CODEC.decode(TrustFile, data, limit=MAX_TRUST_BYTES)
    verifier = verifier or DirectVerifier()
    # 1
    if network_id_of(file.genesis) != network_id:
        raise _failed("wrong-network", "the trust file is of another network")
    # 2
    decode_genesis(file.genesis)
    founding = found_posts((file.genesis, *file.posts), verifier)
    # 3
    policies = _follow(file, founding, verifier)
    # 4
    current = verify_state_proof(file.current, parsed_policy(policies[-1][1]))
    if any(change.index >= current.checkpoint.size for change in file.changes):
        raise _failed("late-change", "a change is newer than the trust file's checkpoint")
    _verify_changes(file, current.checkpoint)
    proven = current.read(NETWORK, Network)
    followed = founding.state.network()
    if proven is None or (proven.trust_head, proven.trust_count) != (followed.trust_head, followed.trust_count):
        raise _failed("hidden-change", "the ledger knows of other governance changes than the trust file")
    return Trust(founding, tuple(policies), current)


def _follow(file: TrustFile, founding: Founding, verifier: Verifier) -> list[tuple[int, str]]:
    """Re-execute the changes in the founded state; the policy after each, by the size above which it is in force."""
    state = founding.state
    policies = [(0, policy_text(state, founding.origin))]
    governance = Rules((GOVERNANCE,))
    before = len(file.posts)
    for change in file.changes:
        if change.index <= before:
            raise _failed("bad-order", "the changes are not in the order of the log")
        if change.leaf:
            judged = governance.judge(change.leaf, Place(state, change.index, 0, 0, None))
            rules.verify(judged, founding.network_id, verifier)
            rules.apply(judged)
            before = change.index
        else:
            network = state.network()
            if not network.pending:
                raise _failed("bad-order", "no validators were waiting to come into force")
            state.write(NETWORK, validators.in_force(network, change.index))
            before = change.index - 1
        text = policy_text(state, founding.origin)
        if text != policies[-1][1]:
            policies.append((change.index, text))
    return policies


def _verify_changes(file: TrustFile, checkpoint: Checkpoint) -> None:
    for change in file.changes:
        if change.leaf:
            verify_inclusion(leaf_hash(change.leaf), change.index, checkpoint.size, change.path, checkpoint.root)
        elif change.path:
            raise _failed("bad-order", "nothing stands in the log for validators coming into force")


def _failed(code: str, text: str) -> VerificationFailed:
    return VerificationFailed(code, text, hint="Do not rely on it; fetch the trust file from another post.")
