"""The answers of node.proto as frozen dataclasses, for node/client.py and node/health.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

from protos import node_pb2 as pb


@dataclass(frozen=True, slots=True)
class EntryResult:
    """What became of a submitted entry: "accepted" with its log index, "pending", or a named refusal."""

    code: str
    text: str
    index: int

    @property
    def is_settled(self) -> bool:
        return self.code not in ("pending", "unknown", "busy")


@dataclass(frozen=True, slots=True)
class Opening:
    """An officer's name with the salt of its commitment on the ledger."""

    officer_id: bytes
    salt: bytes
    name: str


@dataclass(frozen=True, slots=True)
class InboxItem:
    """One item for a terminal; `kind` 1 envelope (content: Head), 2 delivered, 3 sealed receipt, 4 item proof."""

    position: int
    kind: int
    content: bytes
    body_length: int
    origin: str
    envelope_id: bytes


@dataclass(frozen=True, slots=True)
class Inbox:
    """Some items of a terminal's inbox. Positions count within one `inbox_id` (16 bytes): one store of the node."""

    inbox_id: bytes
    items: tuple[InboxItem, ...]


@dataclass(frozen=True, slots=True)
class Hop:
    """How far a cable is on its way to a post: queued, relayed, carried (its node has it), refused, expired."""

    post: str
    state: str
    at: int


@dataclass(frozen=True, slots=True)
class Track:
    """What the node knows of one cable's way."""

    hops: tuple[Hop, ...]
    anchored: bool
    sent_bytes: int = 0
    received_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A link to another post."""

    code: str
    connected: bool
    log_size: int


@dataclass(frozen=True, slots=True)
class HotlineFrame:
    """A frame from one terminal to another, relayed in memory. Kind 0: the node shows that it is there."""

    call_id: bytes
    origin: str
    origin_terminal_id: bytes
    destination: str
    terminal_id: bytes
    kind: int
    content: bytes = field(repr=False)

    def to_message(self) -> pb.HotlineFrame:
        """As it goes over the wire."""
        return pb.HotlineFrame(
            call_id=self.call_id,
            origin=self.origin,
            origin_terminal_id=self.origin_terminal_id,
            destination=self.destination,
            terminal_id=self.terminal_id,
            kind=self.kind,
            content=self.content,
        )

    @classmethod
    def from_message(cls, message: pb.HotlineFrame) -> HotlineFrame:
        """From the wire."""
        return cls(
            message.call_id,
            message.origin,
            message.origin_terminal_id,
            message.destination,
            message.terminal_id,
            message.kind,
            message.content,
        )


@dataclass(frozen=True, slots=True)
class Present:
    """A terminal that listens at its post's hotline, since when by its node's clock (POSIX seconds)."""

    terminal_id: bytes
    since: int


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """What waits for one destination."""

    destination: str
    items: int
    bytes: int


@dataclass(frozen=True, slots=True)
class DayTraffic:
    """Bytes of the courier's frames on one day, counted from 1970-01-01 UTC."""

    day: int
    sent: int
    received: int

    @property
    def written(self) -> str:
        """YYYY-MM-DD."""
        return (date(1970, 1, 1) + timedelta(days=self.day)).isoformat()


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something a person must look at."""

    code: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Status:
    """The state of one node."""

    post: str
    role: str
    ready: bool
    log_size: int
    root: bytes
    checkpoint_age_seconds: int
    peers: tuple[PeerStatus, ...]
    queues: tuple[QueueStatus, ...]
    alarms: tuple[Alarm, ...]
    network_id: bytes
    final_size: int
    policy_size: int
    link_kbit: int = 0
    traffic: tuple[DayTraffic, ...] = ()
    filled_slot_bytes: int = 0

    def to_json(self) -> dict[str, object]:
        """The document of `dutabarta node status --json`."""
        return {
            "post": self.post,
            "role": self.role,
            "ready": self.ready,
            "log_size": self.log_size,
            "root": self.root.hex(),
            "checkpoint_age_seconds": self.checkpoint_age_seconds,
            "peers": [{"code": p.code, "connected": p.connected, "log_size": p.log_size} for p in self.peers],
            "queues": {q.destination: {"items": q.items, "bytes": q.bytes} for q in self.queues},
            "alarms": [{"code": a.code, "text": a.text, "at": a.at} for a in self.alarms],
            "network_id": self.network_id.hex(),
            "final_size": self.final_size,
            "policy_size": self.policy_size,
            "link_kbit": self.link_kbit,
            "filled_slot_bytes": self.filled_slot_bytes,
            "traffic": [{"day": d.written, "sent": d.sent, "received": d.received} for d in self.traffic],
        }


def status_to_message(status: Status) -> pb.Status:
    """`Status` as it goes over the wire."""
    message = pb.Status(
        post=status.post,
        role=status.role,
        ready=status.ready,
        log_size=status.log_size,
        root=status.root,
        checkpoint_age_seconds=status.checkpoint_age_seconds,
        network_id=status.network_id,
        final_size=status.final_size,
        policy_size=status.policy_size,
        link_kbit=status.link_kbit,
        filled_slot_bytes=status.filled_slot_bytes,
    )
    message.peers.extend(pb.PeerStatus(code=p.code, connected=p.connected, log_size=p.log_size) for p in status.peers)
    message.queues.extend(
        pb.QueueStatus(destination=q.destination, items=q.items, bytes=q.bytes) for q in status.queues
    )
    message.traffic.extend(pb.DayTraffic(day=d.day, sent=d.sent, received=d.received) for d in status.traffic)
    message.alarms.extend(pb.Alarm(code=a.code, text=a.text, at=a.at) for a in status.alarms)
    return message


def status_from_message(message: pb.Status) -> Status:
    """`Status` from the wire."""
    return Status(
        message.post,
        message.role,
        message.ready,
        message.log_size,
        message.root,
        message.checkpoint_age_seconds,
        tuple(PeerStatus(p.code, p.connected, p.log_size) for p in message.peers),
        tuple(QueueStatus(q.destination, q.items, q.bytes) for q in message.queues),
        tuple(Alarm(a.code, a.text, a.at) for a in message.alarms),
        message.network_id,
        message.final_size,
        message.policy_size,
        message.link_kbit,
        tuple(DayTraffic(d.day, d.sent, d.received) for d in message.traffic),
        message.filled_slot_bytes,
    )
