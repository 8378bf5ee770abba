"""The messages of protos/hotline.proto as frozen dataclasses, and their bounds (docs/protocol/hotline.md)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from ledger.wire import Signature
from protos import hotline_pb2, ledger_pb2
from protos.codec import Codec

VERSION = 1
CALL_ID_BYTES = 16
SECRET_BYTES = 32
MAX_CONTENT = 4096
"""What one frame carries, in bytes."""
MAX_TEXT = 2048
"""A line, in bytes of UTF-8."""
MAX_TRANSCRIPT = 256 << 20


class FrameKind(IntEnum):
    """What a frame between two terminals holds."""

    RING = 1
    ANSWER = 2
    END = 3
    DATA = 4
    ACK = 5


class Reason(IntEnum):
    """Why a call ends before it began."""

    REFUSED = 1
    BUSY = 2
    NO_ANSWER = 3
    ELSEWHERE = 4


class TalkKind(IntEnum):
    """What a message inside the channel is."""

    CONFIRM = 1
    LINE = 2
    RENEW = 3
    BYE = 4


@dataclass(frozen=True, slots=True)
class Ring:
    """A terminal calls one terminal of another post; `sealed`: the caller's secret, to the called one's bundle."""

    version: int
    network_id: bytes
    call_id: bytes
    post: str
    terminal_id: bytes
    called_post: str
    called_terminal_id: bytes
    classification: int
    size: int
    at: int
    bundle_hash: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The called terminal takes the call; `sealed`: its secret, to the caller's bundle."""

    ring_hash: bytes
    terminal_id: bytes
    size: int
    at: int
    bundle_hash: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class End:
    """Terminal `terminal_id` ends what has not begun."""

    ring_hash: bytes
    terminal_id: bytes
    reason: int
    at: int


@dataclass(frozen=True, slots=True)
class Signed:
    """The canonical Ring, Answer or End with its terminal's signature."""

    content: bytes
    signature: Signature | None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the caller's confirmation signs: both sides of the set-up."""

    ring_hash: bytes
    answer_hash: bytes


@dataclass(frozen=True, slots=True)
class Data:
    """A numbered, sealed message of one direction; `header` with the first one under a key."""

    number: int
    header: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """Every message up to `received` is durable at the far side. `beat` rises with every Ack."""

    received: int
    beat: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class Talk:
    """What a Data holds. `at`: POSIX seconds by the speaker's clock, for people."""

    kind: int
    at: int
    text: str = ""
    signature: bytes = b""
    bundle_hash: bytes = b""
    sealed: bytes = b""


@dataclass(frozen=True, slots=True)
class Line:
    """What an officer typed, under the number of the message that carried it."""

    number: int
    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole call: its set-up, and the lines of each side by number."""

    version: int
    ring: bytes
    answer: bytes
    caller: tuple[Line, ...]
    called: tuple[Line, ...]


CODEC = Codec(
    {
        Ring: hotline_pb2.Ring,
        Answer: hotline_pb2.Answer,
        End: hotline_pb2.End,
        Signed: hotline_pb2.Signed,
        Confirmed: hotline_pb2.Confirmed,
        Data: hotline_pb2.Data,
        Ack: hotline_pb2.Ack,
        Talk: hotline_pb2.Talk,
        Line: hotline_pb2.Line,
        Transcript: hotline_pb2.Transcript,
        Signature: ledger_pb2.Signature,
    }
)
