"""What the links between validators are like, and what CometBFT is told for it: round times, gossip rates.

What a profile leaves out keeps CometBFT's default. Validators may have different profiles, but a round is as long as
the slowest third makes it: choose one for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LAN = "lan"


@dataclass(frozen=True, slots=True)
class Profile:
    """`rounds`: keys of CometBFT's [consensus], `links`: of its [p2p]. Rates are bytes a second for each peer."""

    rounds: Mapping[str, object] = field(default_factory=dict)
    links: Mapping[str, object] = field(default_factory=dict)


def _rounds(propose: str, step: str, delta: str) -> dict[str, object]:
    times: dict[str, object] = {"timeout_propose": propose, "timeout_propose_delta": delta}
    for name in ("prevote", "precommit"):
        times |= {f"timeout_{name}": step, f"timeout_{name}_delta": delta}
    return times


PROFILES: Mapping[str, Profile] = {
    LAN: Profile(),
    # Well-connected posts on one slow machine: longer rounds, lest a busy processor be taken for a dead proposer.
    "busy": Profile(
        {**_rounds("10s", "4s", "2s"), "peer_gossip_sleep_duration": "250ms", "peer_query_maj23_sleep_duration": "10s"},
        {"handshake_timeout": "60s", "dial_timeout": "15s"},
    ),
    # 256 kbit/s and more, 600 ms there and back: a round is about four one-way trips and a block of 32 kB parts.
    "satellite": Profile(
        {**_rounds("20s", "6s", "3s"), "peer_gossip_sleep_duration": "500ms", "peer_query_maj23_sleep_duration": "20s"},
        {
            "handshake_timeout": "60s", "dial_timeout": "20s", "flush_throttle_timeout": "300ms",
            "send_rate": 16_000, "recv_rate": 16_000,
        },
    ),
}  # fmt: skip
