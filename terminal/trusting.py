"""A terminal's policy follows the ledger: from the network id alone, by the node's trust file, never backwards."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from keys.signing import VerifiedBefore
from ledger.policy import Policy, parse_policy
from ledger.records import Network
from ledger.state import NETWORK
from ledger.state_proof import ProvenState
from ledger.trust import MAX_TRUST_BYTES, Trust, verify_trust
from ledger.wire import CODEC, TrustFile
from protos.errors import Malformed, Refused, Unavailable, VerificationFailed
from terminal.desk import Desk
from terminal.folder import Folder
from terminal.view import DoubtfulNode, View

NOT_ACCEPTED = frozenset({"no-quorum", "unknown-log"})
"""What a checkpoint under a newer policy looks like to an older one."""


class TrustingView(View):
    """A view that fetches the trust file when the ledger's validators, cosigner keys or posts have changed.

    1. The trust file is verified from the network id.
    2. Its checkpoint is not smaller than the newest one seen, and continues it.
    3. It is saved, then the policy that follows, then the policy is used.
    """

    def __init__(self, desk: Desk, network_id: bytes, folder: Folder) -> None:
        super().__init__(desk, parse_policy(folder.load_policy()), network_id, folder)
        self._network_id = network_id
        self._trust: Trust | None = None

    def policy_at(self, size: int) -> Policy:
        """The policy by which a checkpoint of this size is judged: an old proof by the keys of its time."""
        trust = self._stored()
        return self._policy if trust is None else trust.policy_at(size)

    def _ask(self, keys: Sequence[bytes], at_least: int, exactly: int = 0) -> ProvenState:
        try:
            proven = super()._ask(keys, at_least, exactly)
        except DoubtfulNode as problem:
            if problem.code not in NOT_ACCEPTED or not self._renew():
                raise
            proven = super()._ask(keys, at_least, exactly)
        if not exactly and NETWORK in proven.values:
            self._follow(proven)
        return proven

    def _follow(self, proven: ProvenState) -> None:
        """Renew the policy if the ledger proves other governance changes than those it follows from."""
        network = proven.read(NETWORK, Network)
        if network is None or network.trust_count == 0 or network.trust_head == self._head():
            return
        with suppress(Unavailable):  # the old policy still accepts what the node shows: another time
            self._renew()

    def _head(self) -> bytes:
        trust = self._stored()
        network = None if trust is None else trust.current.read(NETWORK, Network)
        return b"" if network is None else network.trust_head

    def _renew(self) -> bool:
        """Take the node's trust file. True if the policy is another one now. Raises `DoubtfulNode` if it is none."""
        data = self._desk.trust_file()
        try:
            trust = verify_trust(data, self._network_id)
            note = CODEC.decode(TrustFile, data, limit=MAX_TRUST_BYTES).current.checkpoint
            self._accept(trust.checkpoint, note)
        except (Malformed, Refused, VerificationFailed) as problem:
            raise DoubtfulNode(problem.code, problem.text, hint=problem.hint, **problem.params) from problem
        text = trust.policy_text_at(trust.checkpoint.size)
        self._folder.save_trust(data)
        self._folder.save_policy(text)
        before, self._policy, self._trust = self._policy, parse_policy(text), trust
        return self._policy != before

    def _stored(self) -> Trust | None:
        """The trust file that the policy follows from: verified before it was saved. A damaged one is fetched anew."""
        if self._trust is None and (data := self._folder.load_trust()) is not None:
            with suppress(Malformed, Refused, VerificationFailed):
                self._trust = verify_trust(data, self._network_id, VerifiedBefore())
        return self._trust
