"""What must hold of a whole network's stores, logs and appetite, whatever was done to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from faults.world import World
from ledger.block import decode_record, is_record

MIB = 1024 * 1024


def check_history(world: World) -> None:
    """Never two roots for one size at any post, nobody accused, no entry twice, nothing said that is no sentence."""
    roots: dict[int, bytes] = {}
    for code in world.net.codes:
        for table in ("blocks", "cosignatures"):
            for size, root in world.rows(code, f"SELECT size, root FROM {table}"):
                assert roots.setdefault(size, root) == root, (code, table, size)
        assert not world.rows(code, "SELECT * FROM evidence"), code
        records = [decode_record(leaf) for (leaf,) in world.rows(code, "SELECT data FROM leaves") if is_record(leaf)]
        assert not [record for record in records if record.misbehaviour], code
        assert "Traceback" not in world.net.log(code).read_text(), world.net.log(code)


def check_anchored(world: World) -> None:
    """Every cable's batch is on the ledger, proved to its sender."""
    for code in world.net.codes:
        with world.terminal(code) as terminal:
            own = [cable_id for cable_id, (origin, _) in world.sent.items() if origin == code]
            assert all(terminal.track(cable_id).anchored for cable_id in own), code


@dataclass(frozen=True, slots=True)
class Appetite:
    """What the network takes: resident memory of its largest node, largest engine; disk of all posts; for what."""

    node_bytes: int
    engine_bytes: int
    disk_bytes: int
    leaves: int
    cables: int

    @classmethod
    def of(cls, world: World) -> Appetite:
        """As it stands now."""
        found = world.net.status()
        files = (path for code in world.net.codes for path in world.net.home(code).rglob("*") if path.is_file())
        return cls(
            node_bytes=max(one.node.memory_bytes for one in found.posts),
            engine_bytes=max(one.engine.memory_bytes for one in found.posts),
            disk_bytes=sum(_size(path) for path in files),
            leaves=max((one.said.log_size for one in found.posts if one.said), default=0),
            cables=len(world.sent),
        )

    def __str__(self) -> str:
        memory = f"{self.node_bytes / MIB:.0f} + {self.engine_bytes / MIB:.0f} MiB"
        return f"{memory}, {self.disk_bytes / MIB:.0f} MiB on disk, {self.cables} cables, {self.leaves} leaves"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
