"""A log in the making: every block and its checkpoint kept, as a node that exports would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO

from keys.possession import prove
from keys.public import SUITE_MLDSA44
from ledger.bodies import (
    NodeKeyChanged,
    OfficerSuspended,
    ParametersChanged,
    PostRetired,
    ShiftChanged,
    ValidatorsChanged,
)
from ledger.logfile import CHECKPOINT, LEAF, LogItem, write_log
from ledger.machine import Machine
from ledger.network_policy import policy_of
from ledger.note import SignedNote
from ledger.trust import make_trust
from support.network import TestNetwork


@dataclass
class History:
    """A machine and everything that it has taken."""

    net: TestNetwork
    machine: Machine
    leaves: list[bytes] = field(default_factory=list)
    items: list[LogItem] = field(default_factory=list)

    @classmethod
    def found(cls, net: TestNetwork) -> History:
        history = cls(net, net.machine())
        history._take(net.leaves)
        return history

    def run(self, *leaves: bytes) -> None:
        """A block in which every entry must be accepted, and its checkpoint."""
        self._take(self.net.run(self.machine, *leaves).leaves)

    def note(self) -> bytes:
        """The newest checkpoint with just the signatures that its policy needs."""
        full = SignedNote.decode(self.net.note(self.machine))
        return policy_of(self.machine.state, self.machine.origin).minimal(full).encode()

    def file(self) -> bytes:
        """The log file."""
        stream = BytesIO()
        write_log(stream, self.items)
        return stream.getvalue()

    def trust(self) -> bytes:
        """The trust file as of the newest checkpoint."""
        return make_trust(self.machine, self.leaves.__getitem__, self.note())

    def _take(self, leaves: Sequence[bytes]) -> None:
        self.leaves += leaves
        self.items += [LogItem(LEAF, leaf) for leaf in leaves]
        self.items.append(LogItem(CHECKPOINT, self.note()))


def eventful(net: TestNetwork) -> History:
    """A council of DEL, DHA, LON, WAS with PAR as mission: officers, terminals, batches, and governance.

    The cosigner key of LON changes, PAR takes the place of WAS as validator, WAS retires.
    """
    history = History.found(net)
    machine = history.machine
    officer = net.officer_keys("PAR")
    history.run(net.enrolment(machine, officer), net.batch(machine, "DEL"))
    history.run(net.terminal_enrolment(machine, net.terminal_keys(officer)))
    taken, (supervisor, _) = ShiftChanged("PAR", b"", officer.officer_id, b""), net.approvers("PAR")
    history.run(net.signed(machine, "shift-changed", taken, officer.signer, supervisor))
    key = net.fresh(SUITE_MLDSA44)
    change = net.governance(machine, "node-key-changed", NodeKeyChanged("LON", "cosigner", prove(key, "cosigner")))
    net.posts["LON"] = replace(net.posts["LON"], cosigner=key)
    history.run(change)
    validators = ValidatorsChanged(("DEL", "DHA", "LON", "PAR"))
    history.run(net.governance(machine, "validators-changed", validators))
    history.run(net.batch(machine, "PAR"), net.batch(machine, "PAR", ahead=1))
    own, _ = net.approvers("PAR")
    history.run(net.signed(machine, "officer-suspended", OfficerSuspended(officer.officer_id, False), own))
    history.run(net.governance(machine, "post-retired", PostRetired("WAS")))
    slower = ParametersChanged(replace(machine.state.parameters(), slot_seconds=60))
    history.run(net.governance(machine, "parameters", slower), net.batch(machine, "LON"))
    return history


def council(seed: int = 3) -> TestNetwork:
    """The network of `eventful`."""
    return TestNetwork.make(["DHA", "DEL", "LON", "WAS", "PAR"], seed=seed, validators=["DEL", "DHA", "LON", "WAS"])
