"""The ABCI 2.0 socket server: the engine dials four connections; each gets its answers in the order of its requests.

Blocks are applied on copies, large ones in a worker thread; all that is shown or stored happens in the event loop's
thread. So peers are filtered and entries checked while a large block is applied.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from node.abci import wire
from node.abci.frames import encode_frame, read_frame
from node.abci.messages import Proposal
from node.abci.sockets import socket_address
from node.consensus import Application, CommitBlock
from protos import abci_pb2 as pb
from protos.errors import DutabartaError, Malformed

_log = logging.getLogger(__name__)
MAX_CONNECTIONS = 8
SMALL_BLOCK = 64
_BACKLOG_BYTES = 1024 * 1024
SNAPSHOT_REJECTED = 3
SNAPSHOT_ABORTED = 2

T = TypeVar("T")
Handler = Callable[[pb.Request], Awaitable[pb.Response]]


class AbciServer:
    """Serves one application at a unix socket. `store` makes a CommitBlock durable, in one transaction.

    `shown` hears of it once the chain has moved on.
    """

    def __init__(
        self,
        application: Application,
        store: Callable[[CommitBlock], None],
        version: str,
        shown: Callable[[CommitBlock], None] = lambda commit: None,
    ) -> None:
        self._application = application
        self._store = store
        self._shown = shown
        self._version = version
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="block")
        self._consensus = asyncio.Lock()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets the exception of what no engine may cause: the node must stop."""
        self._handlers: dict[str, Handler] = {
            "info": self._info,
            "init_chain": self._init_chain,
            "query": self._query,
            "check_tx": self._check_tx,
            "prepare_proposal": self._prepare,
            "process_proposal": self._process,
            "finalize_block": self._finalize,
            "commit": self._commit,
        }

    async def start(self, path: Path) -> None:
        """Listen at `path` (0600). Raises as `socket_address` does."""
        path.unlink(missing_ok=True)
        with socket_address(path) as address:
            self._server = await asyncio.start_unix_server(self._connected, address, limit=_BACKLOG_BYTES)
        path.chmod(0o600)

    async def close(self) -> None:
        """Close the socket and all connections; a block being applied is given up."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._worker.shutdown(wait=True, cancel_futures=True)
        self.failed.cancel()

    # --- connections -----------------------------------------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except Malformed as problem:
            _log.error("engine connection closed (%s): %s", problem.code, problem.text)
        except OSError as problem:
            _log.info("engine connection lost: %s", problem)
        except asyncio.CancelledError:
            _log.debug("engine connection closed")
        except BaseException as problem:
            self._fail(problem)
        finally:
            self._connections.discard(task)
            writer.close()

    def _fail(self, problem: BaseException) -> None:
        if not self.failed.done():
            self.failed.set_exception(problem)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer in order. Answers leave at the latest with a Flush, which the engine sends when it waits."""
        while (frame := await read_frame(reader)) is not None:
            request = wire.decode_request(frame)
            response = await self._answer(request)
            writer.write(encode_frame(response.SerializeToString()))
            await writer.drain()
            if response.WhichOneof("value") == "exception":
                return

    async def _answer(self, request: pb.Request) -> pb.Response:
        kind = request.WhichOneof("value")
        handler = self._handlers.get(kind or "")
        if handler is None:
            return _fixed_answer(request)
        try:
            return await handler(request)
        except DutabartaError as problem:
            _log.error("engine told to stop (%s): %s", problem.code, problem.text)
            return wire.exception_response(f"{problem.code}: {problem.text}")

    # --- requests --------------------------------------------------------------------------------------------

    async def _info(self, request: pb.Request) -> pb.Response:
        return wire.info_response(self._application.info(), self._version)

    async def _query(self, request: pb.Request) -> pb.Response:
        answer = self._application.query(request.query.path)
        return wire.query_response(answer.code, answer.text, self._application.info().height)

    async def _check_tx(self, request: pb.Request) -> pb.Response:
        return wire.check_response(self._application.check_tx(request.check_tx.tx))

    async def _init_chain(self, request: pb.Request) -> pb.Response:
        async with self._consensus:
            return wire.initial_response(self._application.init_chain(wire.read_genesis(request.init_chain)))

    async def _prepare(self, request: pb.Request) -> pb.Response:
        message = request.prepare_proposal
        proposal = wire.read_proposal(message)
        kept = await self._apply(proposal, lambda: self._application.prepare(proposal, message.max_tx_bytes))
        return pb.Response(prepare_proposal=pb.ResponsePrepareProposal(txs=kept))

    async def _process(self, request: pb.Request) -> pb.Response:
        proposal = wire.read_proposal(request.process_proposal)
        return wire.status_response(await self._apply(proposal, lambda: self._application.process(proposal)))

    async def _finalize(self, request: pb.Request) -> pb.Response:
        proposal = wire.read_proposal(request.finalize_block)
        return wire.finalize_response(await self._apply(proposal, lambda: self._application.finalize(proposal)))

    async def _commit(self, request: pb.Request) -> pb.Response:
        async with self._consensus:
            commit = self._application.commit()
            self._store(commit)
            self._application.committed()
        asyncio.get_running_loop().call_soon(self._show, commit)
        return pb.Response(commit=pb.ResponseCommit())

    def _show(self, commit: CommitBlock) -> None:
        """What follows from a block takes place before the next request, but the engine need not wait for it."""
        try:
            self._shown(commit)
        except BaseException as problem:
            self._fail(problem)

    async def _apply(self, proposal: Proposal, work: Callable[[], T]) -> T:
        """Large blocks in the worker thread; no two at once, whatever number of consensus connections there may be.

        For a small one the hand-over, with two threads after one interpreter lock, would cost more than the block.
        """
        async with self._consensus:
            if len(proposal.txs) <= SMALL_BLOCK:
                return work()
            return await asyncio.get_running_loop().run_in_executor(self._worker, work)


def _fixed_answer(request: pb.Request) -> pb.Response:
    """What does not depend on the ledger. Snapshots are not offered: a joiner re-executes the log itself."""
    match request.WhichOneof("value"):
        case "echo":
            return pb.Response(echo=pb.ResponseEcho(message=request.echo.message))
        case "flush":
            return pb.Response(flush=pb.ResponseFlush())
        case "list_snapshots":
            return pb.Response(list_snapshots=pb.ResponseListSnapshots())
        case "offer_snapshot":
            return pb.Response(offer_snapshot=pb.ResponseOfferSnapshot(result=SNAPSHOT_REJECTED))
        case "load_snapshot_chunk":
            return pb.Response(load_snapshot_chunk=pb.ResponseLoadSnapshotChunk())
        case "apply_snapshot_chunk":
            return pb.Response(apply_snapshot_chunk=pb.ResponseApplySnapshotChunk(result=SNAPSHOT_ABORTED))
        case _:
            return wire.exception_response("vote extensions are not enabled on this chain")
