"""A terminal's line to the hotline of its node: a thread that listens, and frames that go out."""

from __future__ import annotations

import threading
from collections import deque

from node.wire import HotlineFrame
from protos.errors import DutabartaError, Refused, Unavailable
from terminal.desk import Desk

LISTEN_SECONDS = 300.0
AGAIN_SECONDS = 1.0
MAX_WAITING = 256
START_SECONDS = 20.0


class Line:
    """Listens until it is closed, anew whenever the stream ends. Frames may be lost here as anywhere."""

    def __init__(self, desk: Desk, post: str, terminal_id: bytes) -> None:
        self._desk, self._post, self._terminal_id = desk, post, terminal_id
        self._frames: deque[HotlineFrame] = deque(maxlen=MAX_WAITING)
        self._changed = threading.Condition()
        self._is_closed = False
        self._is_listening = False
        self._problem: DutabartaError | None = None
        self._thread = threading.Thread(target=self._listen_for_ever, name="hotline", daemon=True)

    def open(self) -> None:
        """Start, and wait until the node listens. Raises what it refused with, or `Unavailable`."""
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._is_listening or self._problem is not None, START_SECONDS)
            problem = self._problem
        if not self._is_listening:
            self.close()
            raise problem or Unavailable("timeout", "the node did not answer in time", hint="try again")

    def close(self) -> None:
        """Nothing more is taken."""
        self._is_closed = True

    def take(self, seconds: float) -> HotlineFrame | None:
        """The next frame, waited for up to `seconds`; None if none has come."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._frames), seconds)
            return self._frames.popleft() if self._frames else None

    def put(self, call_id: bytes, post: str, terminal_id: bytes, kind: int, content: bytes) -> str:
        """Send a frame to a terminal. The code of what kept it from going, empty if nothing did: it is lost then.

        What must arrive is sent again by who asked for it.
        """
        frame = HotlineFrame(call_id, self._post, self._terminal_id, post, terminal_id, kind, content)
        try:
            self._desk.put_hotline(frame)
        except (Unavailable, Refused) as problem:
            return problem.code
        return ""

    def _listen_for_ever(self) -> None:
        while not self._is_closed:
            try:
                for frame in self._desk.listen_hotline(LISTEN_SECONDS):
                    self._heard(frame)
            except DutabartaError as problem:
                self._ended(problem)
            threading.Event().wait(AGAIN_SECONDS)

    def _heard(self, frame: HotlineFrame) -> None:
        with self._changed:
            self._is_listening, self._problem = True, None
            if frame.kind:
                self._frames.append(frame)
            self._changed.notify_all()

    def _ended(self, problem: DutabartaError) -> None:
        with self._changed:
            self._is_listening, self._problem = False, problem
            self._changed.notify_all()
