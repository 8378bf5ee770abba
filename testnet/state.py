"""What `testnet status` answers: processes, what they take, what the nodes say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from node.wire import Status
from testnet.processes import Process, usage_of


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """Whether a process runs, its resident memory and the CPU time it has taken."""

    is_alive: bool = False
    pid: int = 0
    memory_bytes: int = 0
    cpu_seconds: float = 0.0

    def to_json(self) -> dict[str, object]:
        """As it stands in `testnet status --json`."""
        taken = {"memory_bytes": self.memory_bytes, "cpu_seconds": round(self.cpu_seconds, 2)}
        return {"alive": self.is_alive, "pid": self.pid, **taken}


@dataclass(frozen=True, slots=True)
class PostStatus:
    """A post's node, its engine (none: not alive), and what the node says, if it answers."""

    post: str
    node: ProcessStatus
    engine: ProcessStatus
    said: Status | None

    def to_json(self) -> dict[str, object]:
        """As it stands in `testnet status --json`."""
        said = self.said
        return {
            "post": self.post,
            "alive": self.node.is_alive,
            "ready": bool(said and said.ready),
            "role": said.role if said else "",
            "log_size": said.log_size if said else 0,
            "root": said.root.hex() if said else "",
            "alarms": [one.code for one in said.alarms] if said else [],
            "node": self.node.to_json(),
            "engine": self.engine.to_json(),
        }


@dataclass(frozen=True, slots=True)
class NetworkStatus:
    """The whole test network. `links` is the relay's own word (orders.py), empty if it does not answer."""

    posts: tuple[PostStatus, ...]
    relay: ProcessStatus
    links: Mapping[str, Any]

    @property
    def roots(self) -> set[tuple[int, bytes]]:
        """(size, root) of every post that answers: one element if all agree."""
        return {(one.said.log_size, one.said.root) for one in self.posts if one.said is not None}

    @property
    def all_processes(self) -> tuple[ProcessStatus, ...]:
        """Nodes, engines and the relay."""
        return (*(one.node for one in self.posts), *(one.engine for one in self.posts), self.relay)

    @property
    def memory_bytes(self) -> int:
        """Resident memory of all; what processes share is counted in each."""
        return sum(one.memory_bytes for one in self.all_processes)

    def to_json(self) -> dict[str, object]:
        """The document of `dutabarta testnet status --json`."""
        return {
            "posts": [one.to_json() for one in self.posts],
            "relay": {**self.relay.to_json(), **self.links},
            "ready": sum(bool(one.said and one.said.ready) for one in self.posts),
            "roots": len(self.roots),
            "memory_bytes": self.memory_bytes,
            "cpu_seconds": round(sum(one.cpu_seconds for one in self.all_processes), 2),
        }


def measured(process: Process | None) -> ProcessStatus:
    """A process as it stands now."""
    if process is None or not process.is_alive:
        return ProcessStatus()
    usage = usage_of(process.pid)
    return ProcessStatus(True, process.pid, usage.memory_bytes, usage.cpu_seconds)
