"""The engine as a child process: started, watched, started again after a growing wait, and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from node.comet.home import EngineHome, EnginePeer
from node.comet.rpc import EngineRpc
from protos.errors import Unavailable

_log = logging.getLogger(__name__)
FIRST_WAIT_SECONDS = 1.0
LAST_WAIT_SECONDS = 60.0
STEADY_SECONDS = 60.0
CRASHES_UNTIL_ALARM = 3
STOP_SECONDS = 10.0
WATCH_SECONDS = 5.0
_LINES_KEPT = 40
_LINE_BYTES = 2000
_ERROR_MARK = "E["
_DEAD_MARK = "CONSENSUS FAILURE!!!"
"""After a panic CometBFT stops its consensus for good, and lets the process live."""


class Engine:
    """CometBFT in its folder. `prepare` writes the folder's files before each start; `alarm` gets (code, text)."""

    def __init__(
        self,
        program: Path,
        home: EngineHome,
        prepare: Callable[[], None],
        alarm: Callable[[str, str], None],
        *,
        on_caught_up: Callable[[bool], None] = lambda caught_up: None,
        environment: Callable[[], Mapping[str, str]] = lambda: os.environ,
    ) -> None:
        self.rpc = EngineRpc(home.rpc_socket)
        self.last_words: deque[str] = deque(maxlen=_LINES_KEPT)
        self.starts = 0
        self._program = program
        self._home = home
        self._prepare = prepare
        self._alarm = alarm
        self._on_caught_up = on_caught_up
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process_id(self) -> int | None:
        """Of the running process."""
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Keep the engine running until cancelled; then stop it. Raises what `prepare` raises."""
        wait, crashes = FIRST_WAIT_SECONDS, 0
        clock = asyncio.get_running_loop().time
        while True:
            started = clock()
            code = await self._run_once()
            is_steady = clock() - started >= STEADY_SECONDS
            wait, crashes = (FIRST_WAIT_SECONDS, 1) if is_steady else (wait, crashes + 1)
            last = self.last_words[-1] if self.last_words else "nothing"
            _log.error("the consensus engine ended with %s; it said last: %s", code, last)
            if crashes == CRASHES_UNTIL_ALARM:
                self._alarm("engine-crash-loop", f"the consensus engine ends again and again; it said last: {last}")
            await asyncio.sleep(wait)
            wait = min(LAST_WAIT_SECONDS, 2 * wait)

    def restart(self) -> None:
        """End the process: `run` starts it again, with files written anew."""
        self._end(signal.SIGTERM)

    def restart_at_once(self) -> None:
        """As `restart`, but the process signs nothing more."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def _run_once(self) -> int:
        """One life of the process; its exit code."""
        self._prepare()
        self._home.rpc_socket.unlink(missing_ok=True)
        process = await asyncio.create_subprocess_exec(
            self._program, "start", "--home", self._home.path,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            cwd=self._home.path, env=self._environment(),
        )  # fmt: skip
        self._process, self.starts = process, self.starts + 1
        try:
            if process.stdout is not None:
                await self._listen(process.stdout)
            return await process.wait()
        finally:
            await _stop(process)
            self._process = None
            self._on_caught_up(False)

    async def _listen(self, output: asyncio.StreamReader) -> None:
        """Keep the last lines, and pass errors on to the node's log."""
        rest = b""
        while part := await output.read(65_536):
            *lines, rest = (rest + part).split(b"\n")
            rest = rest[-_LINE_BYTES:]
            for line in lines:
                text = line[:_LINE_BYTES].decode(errors="replace")
                self.last_words.append(text)
                _log.log(logging.WARNING if text.startswith(_ERROR_MARK) else logging.DEBUG, "engine: %s", text)
                if _DEAD_MARK in text:
                    self.restart_at_once()

    async def watch(self, peers: Callable[[], list[EnginePeer]]) -> None:
        """Until cancelled: note whether it has caught up, and dial validators that are not connected.

        CometBFT's own waits between dials grow to hours, and end after a day.
        """
        while True:
            with contextlib.suppress(Unavailable):
                self._on_caught_up(not (await self.rpc.status()).is_catching_up)
                connected = await self.rpc.peers()
                missing = [one.dial for one in peers() if one.peer_id not in connected]
                if missing:
                    await self.rpc.dial(missing)
            await asyncio.sleep(WATCH_SECONDS)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, so that its database closes well; SIGKILL if it takes too long."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(asyncio.shield(process.wait()), STOP_SECONDS)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
