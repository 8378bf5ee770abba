"""What correspondents lose under one fault plan: late and overtaken messages, drops, a disk put back from its backup.

All ride on the same courier, which keeps what was sent until it has arrived and hands over what a restored reader no
longer has. Lost is what a reader cannot show at the end.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from crypto_msg.cable import Classification, Precedence
from crypto_msg.wire import decode_draft
from node.wire import InboxItem
from protos.errors import Refused
from terminal.compose import Composition
from tests.support.ministry import Ministry, Officers

SEED = 82
AWAY_DAYS = 3
WAITING = 200
"""What waits for a reader who was away; handed over by precedence, so the first sent may come last."""
DROPPED = 0.05
TALK = 40
POSTS = ("DHA", "DEL")
ENVELOPE = 1


class Writers(Protocol):
    """Two correspondents. `seal` returns what the courier carries; `open_` gives the text or None."""

    def seal(self, by: int, text: bytes) -> bytes: ...
    def open_(self, by: int, sealed: bytes) -> bytes | None: ...
    def backup(self, by: int) -> None: ...
    def restore(self, by: int) -> None: ...


class Plan:
    """One run of the plan. `a_day_passes` is told when a day has gone; `settle` when nothing more will be sent."""

    def __init__(self, writers: Writers, seed: int = SEED) -> None:
        self._writers = writers
        self._random = random.Random(seed)
        self._sent: list[tuple[int, bytes, bytes]] = []
        self._shown: list[set[bytes]] = [set(), set()]
        self._kept: list[set[bytes]] = [set(), set()]

    def run(
        self, a_day_passes: Callable[[], None] = lambda: None, settle: Callable[[], None] = lambda: None
    ) -> tuple[int, int]:
        """(messages that their reader cannot show, messages sent)."""
        self._talk()
        waiting = [self._send(0) for _ in range(WAITING)]
        for _ in range(AWAY_DAYS):
            a_day_passes()
        self._hand_over(self._by_precedence(waiting))
        self._talk()
        self._keep(1)
        a_day_passes()
        self._talk()
        self._put_back(1)
        self._hand_over(list(range(len(self._sent))))
        self._talk()
        settle()
        self._hand_over(list(range(len(self._sent))))
        lost = sum(text not in self._shown[1 - by] for by, text, _ in self._sent)
        return lost, len(self._sent)

    def _talk(self) -> None:
        for turn in range(TALK):
            self._hand_over([self._send(turn % 2)])

    def _send(self, by: int) -> int:
        text = b"message %d of %d, %s" % (len(self._sent), by, self._random.randbytes(8).hex().encode())
        self._sent.append((by, text, self._writers.seal(by, text)))
        return len(self._sent) - 1

    def _by_precedence(self, waiting: list[int]) -> list[int]:
        """Highest first, in each the first sent first; what is dropped on the way comes again at the end."""
        weighed = [(-self._random.choice(list(Precedence)), number) for number in waiting]
        ordered = [number for _, number in sorted(weighed)]
        dropped = [number for number in ordered if self._random.random() < DROPPED]
        return [number for number in ordered if number not in dropped] + dropped

    def _hand_over(self, numbers: list[int]) -> None:
        for number in numbers:
            by, text, sealed = self._sent[number]
            if text not in self._shown[1 - by] and self._writers.open_(1 - by, sealed) == text:
                self._shown[1 - by].add(text)

    def _keep(self, who: int) -> None:
        self._writers.backup(who)
        self._kept[who] = set(self._shown[who])

    def _put_back(self, who: int) -> None:
        self._writers.restore(who)
        self._shown[who] = set(self._kept[who])


class _HoldingMinistry(Ministry):
    """A ministry whose courier hands a cable over when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.held: dict[bytes, list[tuple[bytes, bytes, str, int]]] = {}
        super().__init__(folder, POSTS)

    def deliver(
        self, terminal_id: bytes, kind: int, content: bytes, envelope_id: bytes, origin: str, length: int = 0
    ) -> None:
        if kind == ENVELOPE:
            self.held.setdefault(envelope_id, []).append((terminal_id, content, origin, length))
        else:
            super().deliver(terminal_id, kind, content, envelope_id, origin, length)

    def hand_over(self, envelope_id: bytes) -> None:
        for terminal_id, content, origin, length in self.held.get(envelope_id, ()):
            inbox = self.inboxes[terminal_id]
            if all((one.envelope_id, one.kind) != (envelope_id, ENVELOPE) for one in inbox):
                inbox.append(InboxItem(len(inbox) + 1, ENVELOPE, content, length, origin, envelope_id))


class Cables:
    """Two officers' terminals of Dutabarta, with everything that a terminal does by itself, on one in-memory node."""

    def __init__(self, folder: Path) -> None:
        (folder / "ministry").mkdir(parents=True)
        self._ministry = _HoldingMinistry(folder / "ministry")
        self._officers = Officers(self._ministry)
        self._backup = folder / "backup"

    def seal(self, by: int, text: bytes) -> bytes:
        composition = Composition(
            (POSTS[1 - by],), Precedence.ROUTINE, Classification.RESTRICTED, "Talk", text.decode()
        )
        return self._officers(POSTS[by]).send(composition, accept_stale=True).envelope_id

    def open_(self, by: int, sealed: bytes) -> bytes | None:
        self._ministry.hand_over(sealed)
        terminal = self._officers(POSTS[by])
        terminal.sync()
        try:
            found = terminal.find(sealed)
        except Refused:
            return None
        return "".join(decode_draft(found.draft).paragraphs).encode() if found.box == "in" else None

    def backup(self, by: int) -> None:
        self._copy(self._folder(by), self._backup)

    def restore(self, by: int) -> None:
        self._copy(self._backup, self._folder(by))

    def _copy(self, source: Path, target: Path) -> None:
        self._officers.close()
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)

    def _folder(self, by: int) -> Path:
        return self._ministry.folder / POSTS[by] / "terminals" / "first"

    def a_day_passes(self) -> None:
        """New prekeys; who is away does not know."""
        self._ministry.now += 86_400
        self._ministry.close_slot()
        for post in POSTS:
            self._officers(post).sync()

    def settle(self) -> None:
        """Both ask again for what they could not open, and answer, until nothing is left."""
        for _ in range(4):
            for post in POSTS:
                self._officers(post).sync()

    def close(self) -> None:
        self._officers.close()
