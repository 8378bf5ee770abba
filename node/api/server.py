"""The one listener of a node: both services behind the guard."""

from __future__ import annotations

from typing import Any

from grpc import aio

from node.api.door import Door
from node.api.guard import Guard
from node.api.limits import Limits, server_options
from node.api.tls import TlsIdentity, server_credentials
from protos.errors import Unavailable
from protos.node_pb2_grpc import (
    DeskServicer,
    PeerServicer,
    add_DeskServicer_to_server,
    add_PeerServicer_to_server,
)


def make_server(
    peer: PeerServicer, desk: DeskServicer, door: Door, identity: TlsIdentity, limits: Limits, listen: str
) -> tuple[aio.Server, int]:
    """A server bound to `listen` (not yet started) and its port. Raises `Unavailable` if the address is taken."""
    options: list[tuple[str, Any]] = [*server_options(limits)]
    server = aio.server(
        interceptors=[Guard(door, limits)], options=options, maximum_concurrent_rpcs=limits.concurrent_calls
    )
    add_PeerServicer_to_server(peer, server)
    add_DeskServicer_to_server(desk, server)
    try:
        port = server.add_secure_port(listen, server_credentials(identity, door.certificates))
    except RuntimeError as problem:
        raise Unavailable(
            "cannot-listen", f"cannot listen at {listen}", hint="is another node running there?", address=listen
        ) from problem
    return server, port
