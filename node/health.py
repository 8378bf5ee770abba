"""What a node says of itself."""

from __future__ import annotations

from node.links import Links
from node.shell.intake import Intake
from node.shell.ledger import LedgerShell
from node.shell.peers import PeerLinks
from node.slotcost import filled_slot_bytes
from node.store import courier, deposits, traffic
from node.wire import Alarm, DayTraffic, PeerStatus, QueueStatus, Status

_DAYS_SHOWN = 7


class Health:
    """Gathers the status from the node's parts."""

    def __init__(self, ledger: LedgerShell, links: Links, peers: PeerLinks, intake: Intake, link_kbit: int = 0) -> None:
        self._ledger = ledger
        self._links = links
        self._peers = peers
        self._intake = intake
        self._link_kbit = link_kbit

    @property
    def is_ready(self) -> bool:
        """Whether terminals are served: a checkpoint under the policy holds what was left in the intake.

        A validator has besides to have done its rollback check; a mission serves, but does not cosign, before it has
        reached others (network.md §6).
        """
        policy = self._ledger.policy_note
        may_order = self._ledger.witness.is_ready or not self._ledger.is_validator
        return policy is not None and may_order and self._intake.is_settled(policy[0])

    def status(self) -> Status:
        """The state now."""
        ledger, machine = self._ledger, self._ledger.chain.machine
        policy = ledger.policy_note
        with ledger.database.read() as tx:
            queues, alarms = courier.queue_sizes(tx), deposits.alarms(tx)
            days = traffic.newest_days(tx, _DAYS_SHOWN)
        heights = self._peers.heights
        return Status(
            post=ledger.post,
            role="validator" if ledger.is_validator else "follower",
            ready=self.is_ready,
            log_size=machine.size,
            root=machine.root,
            checkpoint_age_seconds=max(0, ledger.clock() - ledger.chain.time_at(policy[0])) if policy else -1,
            peers=tuple(
                PeerStatus(code, self._links.reached.get(code, False), heights.get(code, 0)) for code in ledger.others()
            ),
            queues=tuple(QueueStatus(*row) for row in queues),
            alarms=tuple(Alarm(*row) for row in alarms),
            network_id=machine.network_id,
            final_size=ledger.follower.final,
            policy_size=policy[0] if policy else 0,
            link_kbit=self._link_kbit,
            traffic=tuple(DayTraffic(one.day, one.sent, one.received) for one in days),
            filled_slot_bytes=filled_slot_bytes(machine.state),
        )
