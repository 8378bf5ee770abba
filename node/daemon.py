"""The daemon of a post: opens the store, recovers, listens, and runs until it is told to stop or its store fails."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from pathlib import Path

from ledger.logfile import leaves_of, read_log
from node.api.desk import Desk
from node.api.peer import Peer
from node.api.server import make_server
from node.config import (
    DATABASE_FILE,
    ENGINE_FOLDER,
    GENESIS_FILE,
    INTAKE_FOLDER,
    KEYS_FOLDER,
    NodeConfig,
    load_config,
    node_folder,
)
from node.secrets import load_node_keys
from node.shell.node import Node
from node.shell.tasks import Tasks
from node.store.database import Database
from protos.errors import Unavailable

_log = logging.getLogger(__name__)
STOP_SECONDS = 0.5


def run(home: Path) -> None:
    """Run the node of the post's folder `home` in the foreground until SIGTERM or SIGINT.

    Raises `DutabartaError` for what keeps it from starting, and `StoreFailed` when its store fails.
    """
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    asyncio.run(serve(node_folder(home)))


async def serve(folder: Path) -> None:
    """Run the node in `folder` (H/node)."""
    config, keys = load_config(folder), load_node_keys(folder / KEYS_FOLDER)
    genesis = load_genesis(folder / GENESIS_FILE)
    database = open_database(folder, config)
    tasks = Tasks()
    database.on_failure(tasks.fail)
    try:
        node = Node(
            config, keys, genesis, database, tasks, lambda: int(time.time()),
            folder / INTAKE_FOLDER, folder / ENGINE_FOLDER,
        )  # fmt: skip
        await _listen(node, config)
    finally:
        await tasks.close()
        database.close()


async def _listen(node: Node, config: NodeConfig) -> None:
    server, _ = make_server(Peer(node), Desk(node), node.door, node.tls, config.limits, config.listen)
    await server.start()
    try:
        await node.start()
        _log.info("%s listens at %s", config.post, config.listen)
        node.tasks.spawn(_say_when_ready(node, config))
        await _until_stopped(node.tasks)
    finally:
        await server.stop(STOP_SECONDS)
        await node.links.close()


def load_genesis(path: Path) -> tuple[bytes, ...]:
    """The leaves of the founding block. Raises `Unavailable("no-genesis")` or `Malformed`."""
    try:
        with path.open("rb") as file:
            return tuple(leaves_of(read_log(file)))
    except OSError as problem:
        raise Unavailable(
            "no-genesis",
            f"cannot read {path}: {problem.strerror}",
            hint="`dutabarta node join` brings the network's genesis",
            path=path,
        ) from problem


def open_database(folder: Path, config: NodeConfig) -> Database:
    """The store that the configuration names. Raises `StoreFailed` or `Malformed`."""
    if config.database:
        return Database.open_url(config.database)
    return Database.open_file(folder / DATABASE_FILE)


async def _say_when_ready(node: Node, config: NodeConfig) -> None:
    await node.ledger.pulse.until(lambda: node.health.is_ready)
    print(f"ready: {config.post} listens at {config.listen}", file=sys.stderr, flush=True)


async def _until_stopped(tasks: Tasks) -> None:
    """Until SIGTERM or SIGINT; raises what ends the node otherwise."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    failed, told = asyncio.ensure_future(tasks.wait()), asyncio.ensure_future(stopped.wait())
    await asyncio.wait([failed, told], return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if failed.done():
        failed.result()
    failed.cancel()
