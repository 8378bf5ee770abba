"""One officer's terminal: the object that the command line and the screen work with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from node.client import NodeClient
from terminal import calls, outgoing, prekeys
from terminal.asking import ask_again
from terminal.callrecords import CallRecord
from terminal.calls import Kept
from terminal.desk import Desk
from terminal.erasing import note_emptied
from terminal.folder import Folder
from terminal.hotline import Hotline
from terminal.line import Line
from terminal.linking import index_once
from terminal.naks import answer_naks
from terminal.numbering import note_number
from terminal.presence import AtHotline, present_at
from terminal.receive import Received, receive
from terminal.restored import notice_restore
from terminal.rewraps import open_with_kept
from terminal.session import Session
from terminal.store import Store
from terminal.submit import Submitter
from terminal.timers import watch_answers
from terminal.trusting import TrustingView
from terminal.writing import Writing

NAME_OPENED = "name-opened"


class Terminal(Writing):
    """Everything an officer does. Made by `open_terminal`; not for several threads."""

    def sync(self) -> Received:
        """Hand in what waits, publish a prekey if one is due, look at the ledger, take the inbox, answer and ask."""
        self._ready()
        self.open_own_name()
        outgoing.flush(self.session)
        self.session.view.newest()
        notice_restore(self.session)
        received = receive(self.session)
        received.cables += open_with_kept(self.session)
        answer_naks(self.session)
        ask_again(self.session)
        watch_answers(self.session)
        note_emptied(self.session)
        note_number(self.session)
        outgoing.flush(self.session)
        return received

    def publish_prekey(self) -> None:
        """Publish a new prekey now, or finish the one under way."""
        prekeys.publish(self.session)

    def open_own_name(self) -> None:
        """State a first supervisor's name in the posts' directory, once: the ledger holds no commitment to it."""
        with self.session.store.transaction() as transaction:
            if transaction.setting(NAME_OPENED):
                return
        officer, _ = self.session.view.judge(self.session.own)
        if not officer.name_commitment:
            self.session.desk.put_opening(officer.officer_id, bytes(32), self.session.config.officer_name)
        with self.session.store.transaction() as transaction:
            transaction.set_setting(NAME_OPENED, 1)

    @contextmanager
    def hotline(self) -> Iterator[Hotline]:
        """This officer at the hotline of his post, until the end of the block."""
        self._ready()
        line = Line(self.session.desk, self.session.config.post, self.session.terminal_id)
        line.open()
        try:
            yield Hotline(self.session, line)
        finally:
            line.close()
            calls.end_interrupted(self.session)
            outgoing.flush_if_possible(self.session)

    def present(self, post: str) -> list[AtHotline]:
        """Which officers are at the hotline of a post, as its node says."""
        return present_at(self.session, post)

    def calls(self) -> list[CallRecord]:
        """Every hotline call, oldest first; what an ended program left open is closed."""
        calls.end_interrupted(self.session)
        outgoing.flush_if_possible(self.session)
        return calls.calls(self.session)

    def call(self, call_id: bytes) -> Kept:
        """A hotline call with its lines and its checked anchor. Raises as `kept_call`."""
        return calls.kept_call(self.session, call_id)


@contextmanager
def open_terminal(path: Path, passphrase: bytes, desk: Desk | None = None) -> Iterator[Terminal]:
    """Open a terminal's folder for this process alone. `desk`: another node than the configured one (tests).

    Raises "no-terminal", "wrong-passphrase", "terminal-busy", "disk-failed".
    """
    folder = Folder.existing(path)
    with folder.locked(), closing(folder.load_keyring(passphrase)) as keyring:
        config = folder.load_config()
        node = desk or NodeClient(config.node, folder.load_node_certificate(), keyring.tls)
        store = Store(folder.store_path, keyring.store_key)
        try:
            index_once(store)
            network_id = bytes.fromhex(config.network_id)
            view = TrustingView(node, network_id, folder)
            submitter = Submitter(node, view)
            yield Terminal(Session(folder, config, keyring, passphrase, store, view, node, submitter))
        finally:
            store.close()
            node.close()
