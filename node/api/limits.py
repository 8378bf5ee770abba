"""What one listener and one caller may use: sizes, counts, rates and times."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_PART_BYTES = 64 * 1024
PING_MILLISECONDS = 1000
"""Pings may come so close together: a line or a process that stood still hands them over in a bunch, and gRPC ends a
connection for three that are closer."""

ChannelOptions = list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a listener and of the courier's store. Durations in seconds or, by their names, days of block time.

    `item_id_days`: how long the id of an item that is done is remembered, to know a late duplicate.
    """

    message_bytes: int = MAX_MESSAGE_BYTES
    connections: int = 1024
    concurrent_calls: int = 512
    calls_per_caller: int = 64
    calls_per_second: int = 200
    burst: int = 1000
    unary_seconds: int = 60
    keepalive_seconds: int = 30
    idle_seconds: int = 300
    store_mib: int = 65_536
    store_mib_per_origin: int = 16_384
    retention_days: int = 30
    item_id_days: int = 90


def server_options(limits: Limits) -> ChannelOptions:
    """gRPC channel arguments that hold `limits` on a listener."""
    return [
        ("grpc.max_receive_message_length", limits.message_bytes),
        ("grpc.max_send_message_length", limits.message_bytes),
        ("grpc.max_concurrent_streams", limits.concurrent_calls),
        ("grpc.max_allowed_incoming_connections", limits.connections),
        ("grpc.max_connection_idle_ms", limits.idle_seconds * 1000),
        ("grpc.max_metadata_size", 16 * 1024),
        ("grpc.keepalive_time_ms", limits.keepalive_seconds * 1000),
        ("grpc.keepalive_timeout_ms", limits.keepalive_seconds * 1000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", PING_MILLISECONDS),
        ("grpc.so_reuseport", 0),
    ]


def client_options(limits: Limits) -> ChannelOptions:
    """The same for a client's channel."""
    return [
        ("grpc.max_receive_message_length", limits.message_bytes),
        ("grpc.max_send_message_length", limits.message_bytes),
        ("grpc.keepalive_time_ms", limits.keepalive_seconds * 1000),
        ("grpc.keepalive_timeout_ms", limits.keepalive_seconds * 1000),
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]


@dataclass(slots=True)
class Bucket:
    """A token bucket: `rate` calls a second, at most `burst` at once."""

    rate: float
    burst: float
    tokens: float = field(init=False)
    at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def take(self, now: float) -> bool:
        """Take one token at monotonic time `now`; False when there is none."""
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True
