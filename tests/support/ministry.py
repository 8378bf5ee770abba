"""A whole network in memory for tests of terminals: one machine, honest cosigners, a desk per terminal, no socket."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

from cli import founding
from cli.plan import Plan, PlannedPost
from crypto_msg.addition import read_added_wrap
from crypto_msg.anchor import cable_item_hash
from crypto_msg.cable import Kind
from crypto_msg.envelope import check_head, decode_head, encode_head, read_outer, verify_body
from crypto_msg.escalation import read_sealed_escalation
from crypto_msg.nak import read_nak
from crypto_msg.prekey import bundle_hash, current_prekey
from crypto_msg.receipt import read_receipt, read_sealed_receipt
from crypto_msg.rewrap import read_rewrap
from crypto_msg.wire import CODEC, Bundle, Nak, Rewrap, SignedBundle
from crypto_msg.wraps import split_head
from keys.keystore import Cost
from keys.purpose import Purpose
from keys.signing import CachingVerifier, DirectVerifier
from ledger.block import decode_record, is_record
from ledger.bodies import Batch
from ledger.checkpoint import Checkpoint, make_note, sign_checkpoint
from ledger.cosignature import cosign, cosigner_name
from ledger.entry import encode_entry, make_leaf, sign_entry
from ledger.machine import Machine
from ledger.merkle import Tree, leaf_hash
from ledger.network_policy import policy_of
from ledger.proof import ItemProof, batch_tree, item_leaf, make_item_proof
from ledger.trust import make_trust
from ledger.wire import CODEC as LEDGER
from ledger.wire import StateProof
from node.client import TlsIdentity
from node.config import DATABASE_FILE
from node.modules import MODULES
from node.secrets import NodeKeys, load_node_keys
from node.shell.asking import Asking, asking_item
from node.shell.itemchecks import ItemChecks
from node.store import log
from node.store.database import Database
from node.wire import EntryResult, Hop, HotlineFrame, Inbox, InboxItem, Opening, Present, Status, Track
from protos.errors import Refused, Unavailable
from terminal.folder import Folder
from terminal.terminal import Terminal, open_terminal

PASSPHRASE = b"exercise"
START = 1_795_000_000


class Ministry:
    """Every post of a network under `folder`, served by one in-memory node. `now` is everybody's clock."""

    def __init__(self, folder: Path, codes: tuple[str, ...], start: int = START) -> None:
        self.folder = folder
        self.now = start
        posts = tuple(PlannedPost(code, ("first", "second"), False) for code in codes)
        plan = Plan("test", start, codes[0], (codes[0],), posts)
        roots = [founding.make_root(folder / f"root-{n}", PASSPHRASE, Cost.EXERCISE) for n in range(3)]
        cards = [
            founding.make_post(
                folder / one.code, one, "127.0.0.1:7000", one.code == codes[0], PASSPHRASE, Cost.EXERCISE
            ).card
            for one in posts
        ]
        self.leaves = list(founding.found(plan, [*roots, *cards], exercise=True))
        self.machine = Machine.found(self.leaves, MODULES, CachingVerifier(DirectVerifier(), 10_000))
        self.keys: dict[str, NodeKeys] = {}
        self.down = False
        self.bundles: dict[bytes, bytes] = {}
        self.openings: dict[bytes, Opening] = {}
        self.inboxes: dict[bytes, list[InboxItem]] = defaultdict(list)
        self.inbox_id = secrets.token_bytes(16)
        self.bodies: dict[bytes, bytes] = {}
        self.origins: dict[bytes, str] = {}
        self.carried: set[bytes] = set()
        self.hops: dict[bytes, dict[str, str]] = defaultdict(dict)
        self.item_proofs: dict[bytes, bytes] = {}
        self.item_kinds: dict[bytes, str] = {}
        self.present: dict[str, tuple[Present, ...]] = {}
        self.pending_items: list[tuple[bytes, str, bytes, bytes]] = []
        self.serials: dict[str, dict[bytes, int]] = defaultdict(dict)
        self.results: dict[bytes, EntryResult] = {}
        for code in codes:
            self._settle(code)

    def _settle(self, code: str) -> None:
        home = self.folder / code
        founding.settle(home, self.leaves[: self.machine.genesis.post_count + 2], PASSPHRASE, self.now)
        self.keys[code] = load_node_keys(home / "node" / "keys")
        intake = home / "node" / "intake"
        for path in sorted(intake.glob("*.bundle")):
            self.keep_bundle(path.read_bytes())
        for path in sorted(intake.glob("*.entry")):
            result = self.enter(path.read_bytes())
            assert result.code == "accepted", result

    def enter(self, leaf: bytes) -> EntryResult:
        """Put one entry into a block of its own."""
        self.now += 1
        block = self.machine.apply_block([leaf], self.now)
        self.leaves.extend(block.leaves)
        (result,) = block.results
        if result.is_accepted or leaf not in self.results:
            self.results[leaf] = EntryResult(result.code, result.text, result.index)
        return self.results[leaf]

    def note(self) -> bytes:
        """The newest checkpoint with every post's cosignature, as the policy wants it."""
        machine = self.machine
        checkpoint = Checkpoint(machine.origin, machine.size, machine.root)
        logs = [sign_checkpoint(self.keys[code].log, checkpoint) for code in machine.state.network().validators]
        cosigned = [
            cosign(keys.cosigner, cosigner_name(machine.origin, code), checkpoint, self.now)
            for code, keys in sorted(self.keys.items())
        ]
        return policy_of(machine.state, machine.origin).minimal(make_note(checkpoint, *logs, *cosigned)).encode()

    def trust_file(self) -> bytes:
        """The trust file as of the newest checkpoint."""
        return make_trust(self.machine, self.leaves.__getitem__, self.note())

    def govern(self, kind: str, body: object) -> EntryResult:
        """Enter an act of all root holders, which must be accepted."""
        roots = [founding.load_root(self.folder / f"root-{n}", PASSPHRASE) for n in range(3)]
        entry = encode_entry(kind, self.machine.state.network().governance_number + 1, body)
        signatures = [sign_entry(entry, one, self.machine.network_id, Purpose.GOVERNANCE) for one in roots]
        result = self.enter(make_leaf(entry, signatures))
        assert result.code == "accepted", result
        return result

    def keep_bundle(self, data: bytes) -> None:
        self.bundles[bundle_hash(data)] = data

    def close_slot(self) -> None:
        """Anchor what waits, one batch per post, and hand the proofs out."""
        for post in sorted({one[1] for one in self.pending_items}):
            self._anchor(post, [one for one in self.pending_items if one[1] == post])
        self.pending_items = []

    def _anchor(self, post: str, items: list[tuple[bytes, str, bytes, bytes]]) -> None:
        machine, entry_key = self.machine, self.keys[post].entry
        kinds = [self.item_kinds.get(item, "cable") for _, _, item, _ in items]
        leaves = [
            item_leaf(machine.network_id, post, kind, salt, item)
            for kind, (_, _, item, salt) in zip(kinds, items, strict=True)
        ]
        tree = batch_tree([*leaves, *(secrets.token_bytes(32) for _ in range(64 - len(leaves)))])
        key_id = entry_key.public_key.key_id
        number = machine.state.sequence(key_id) + 1
        entry = encode_entry("batch", number, Batch(post, "confidential", tree.root(), tree.size))
        leaf = make_leaf(entry, [sign_entry(entry, entry_key, machine.network_id, Purpose.ENTRY)], key_id)
        index = self.enter(leaf).index
        path = machine.tree.inclusion(index, machine.size)
        for place, (envelope_id, _, _, salt) in enumerate(items):
            item = ItemProof(leaf, place, tree.size, tree.inclusion(place, tree.size), kinds[place], salt)
            self.item_proofs[envelope_id] = make_item_proof(item, index, path, self.note()).encode()

    def deliver(
        self, terminal_id: bytes, kind: int, content: bytes, envelope_id: bytes, origin: str, length: int = 0
    ) -> None:
        inbox = self.inboxes[terminal_id]
        inbox.append(InboxItem(len(inbox) + 1, kind, content, length, origin, envelope_id))

    def rebuild_inboxes(self) -> None:
        """What a node does that was rebuilt from nothing: positions begin again."""
        self.inboxes.clear()
        self.inbox_id = secrets.token_bytes(16)

    def connect(self, _address: str, _certificate: bytes, identity: TlsIdentity) -> FakeDesk:
        """What NodeClient does: whoever's certificate is not on the ledger reaches nobody."""
        owner = self.machine.state.certificate_owner(sha256(identity.certificate).digest()) or ""
        terminal = self.machine.state.terminal(bytes.fromhex(owner.removeprefix("terminal/")))
        desk = self.desk(terminal.terminal_id, terminal.post) if terminal else self.desk(b"", "")
        desk.down = terminal is None or self.down
        return desk

    def store_log(self, code: str) -> None:
        """Write the log and its newest checkpoint into the store of a post's node, as if it had run."""
        database = Database.open_file(self.folder / code / "node" / DATABASE_FILE)
        tree, block = Tree(), list[bytes]()
        with database.write() as tx:
            for leaf in self.leaves:
                block.append(leaf)
                tree.append(leaf_hash(leaf))
                if is_record(leaf):
                    start = tree.size - len(block)
                    log.append_block(tx, log.StoredBlock(start, tuple(block), tree.root()))
                    block = []
            log.save_note(tx, log.POLICY, self.machine.size, self.note())
        database.close()

    def desk(self, terminal_id: bytes, post: str) -> FakeDesk:
        return FakeDesk(self, terminal_id, post)


class FakeDesk:
    """terminal.desk.Desk on a `Ministry`: an honest node, whose methods a test may replace by lies."""

    def __init__(self, ministry: Ministry, terminal_id: bytes, post: str) -> None:
        self.ministry = ministry
        self.terminal_id = terminal_id
        self.post = post
        self.calls: list[str] = []
        self.down = False

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.down:
            raise Unavailable("unreachable", "the node is down", hint="start it")

    def status(self) -> Status:
        raise NotImplementedError

    def submit_entry(self, leaf: bytes) -> EntryResult:
        self._called("submit_entry")
        return self.ministry.results.get(leaf) or self.ministry.enter(leaf)

    def entry_result(self, leaf: bytes) -> EntryResult:
        self._called("entry_result")
        return self.ministry.results[leaf]

    def checkpoint(self, at_least: int = 0) -> bytes:
        self._called("checkpoint")
        return self.ministry.note()

    def state(self, keys: Iterable[bytes], at_least: int = 0, exactly: int = 0) -> bytes:
        self._called("state")
        machine = self.ministry.machine
        settled = machine.settled_at(exactly or machine.size)
        return LEDGER.encode(machine.prove_settled(settled, tuple(keys), self.ministry.note()))

    def block_before(self, time: int, at_least: int = 0) -> bytes:
        self._called("block_before")
        ministry = self.ministry
        records = [(end, leaf) for end, leaf in enumerate(ministry.leaves, 1) if is_record(leaf)]
        ends = [end for end, leaf in records if decode_record(leaf).time < time]
        if not ends:
            raise Refused("before-the-ledger", "too early", hint="1")
        path = ministry.machine.tree.inclusion(ends[-1] - 1, ministry.machine.size)
        return LEDGER.encode(StateProof(ministry.note(), ministry.leaves[ends[-1] - 1], path, (), ends[-1] - 1))

    def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        self._called("consistency")
        return tuple(self.ministry.machine.tree.consistency(old_size, new_size))

    def bundles(self, terminal_ids: Iterable[bytes]) -> tuple[bytes, ...]:
        self._called("bundles")
        state, kept = self.ministry.machine.state, self.ministry.bundles
        current = [prekey.bundle_hash for one in terminal_ids if (prekey := current_prekey(state, one))]
        return tuple(kept[one] for one in current if one in kept)

    def put_bundle(self, signed_bundle: bytes) -> None:
        self._called("put_bundle")
        bundle = CODEC.decode(SignedBundle, signed_bundle, limit=8192).bundle
        assert CODEC.decode(Bundle, bundle, limit=8192).terminal_id == self.terminal_id
        self.ministry.keep_bundle(signed_bundle)

    def openings(self, officer_ids: Iterable[bytes]) -> tuple[Opening, ...]:
        self._called("openings")
        return tuple(self.ministry.openings[one] for one in officer_ids if one in self.ministry.openings)

    def put_opening(self, officer_id: bytes, salt: bytes, name: str) -> None:
        self._called("put_opening")
        self.ministry.openings[officer_id] = Opening(officer_id, salt, name)

    def take_serial(self, cable_id: bytes, year: int) -> int:
        self._called("take_serial")
        serials = self.ministry.serials[f"{self.post}{year}"]
        return serials.setdefault(cable_id, len(serials) + 1)

    def put_cable(
        self,
        head: bytes,
        body: Iterable[bytes],
        body_length: int,
        anchor_salt: bytes,
        again: Iterable[bytes] = (),
    ) -> bytes:
        self._called("put_cable")
        ministry, whole = self.ministry, decode_head(head)
        state, data = ministry.machine.state, b"".join(body)
        assert len(data) == body_length
        check_head(whole, ministry.machine.network_id, state.terminal(self.terminal_id), DirectVerifier())
        verify_body(whole, data)
        for terminal_id in again:
            cut = encode_head(split_head(whole, [terminal_id]))
            ministry.deliver(terminal_id, 1, cut, whole.envelope_id, self.post, body_length)
        if whole.envelope_id in ministry.bodies:
            return whole.envelope_id
        ministry.bodies[whole.envelope_id] = data
        ministry.origins[whole.envelope_id] = self.post
        for placed in whole.wraps:
            terminal = state.terminal(placed.wrap.terminal_id)
            assert terminal is not None
            if terminal.terminal_id != self.terminal_id:
                cut = encode_head(split_head(whole, [terminal.terminal_id]))
                ministry.deliver(terminal.terminal_id, 1, cut, whole.envelope_id, self.post, body_length)
            ministry.hops[whole.envelope_id][terminal.post] = "carried"
        if read_outer(whole).kind == Kind.CABLE:
            item = cable_item_hash(whole.envelope_id, whole.body_root)
            ministry.pending_items.append((whole.envelope_id, self.post, item, anchor_salt))
        return whole.envelope_id

    def inbox(self, after: int = 0, limit: int = 100) -> Inbox:
        self._called("inbox")
        waiting = tuple(one for one in self.ministry.inboxes[self.terminal_id] if one.position > after)
        return Inbox(self.ministry.inbox_id, waiting[:limit])

    def body(self, envelope_id: bytes, offset: int = 0) -> Iterator[bytes]:
        self._called("body")
        data = self.ministry.bodies[envelope_id]
        yield from (data[at : at + 1000] for at in range(offset, len(data), 1000))

    def put_receipt(self, content: bytes, kind: int, envelope_id: bytes, salt: bytes) -> bytes:
        self._called("put_receipt")
        ministry = self.ministry
        if kind in (5, 6, 8, 9):
            self._carry(asking_item(kind, content, self.post, ministry.machine.state), content, kind)
            return envelope_id
        if kind == 3:
            ministry.deliver(read_sealed_receipt(content).terminal_id, 3, content, envelope_id, self.post)
            return envelope_id
        assert read_receipt(content).envelope_id == envelope_id
        for terminal_id in ministry.machine.state.roster(ministry.origins[envelope_id]).terminal_ids:
            ministry.deliver(terminal_id, 2, content, envelope_id, self.post)
        return envelope_id

    def _carry(self, asking: Asking, content: bytes, kind: int) -> None:
        """What the nodes do with a NAK or a re-wrap: a second one of the same bytes goes nowhere."""
        ministry, item = self.ministry, asking.item
        assert asking.signer_id == (b"" if kind == 8 else self.terminal_id)
        ItemChecks(ministry.machine.network_id, DirectVerifier()).check(item, ministry.machine.state)
        if item.parcel.item_id in ministry.carried:
            return
        ministry.carried.add(item.parcel.item_id)
        if kind == 8:
            ministry.deliver(read_sealed_escalation(content).terminal_id, kind, content, b"", self.post)
            return
        if kind == 9:
            ministry.deliver(read_added_wrap(content)[0].terminal_id, kind, content, item.envelope_id, self.post)
            return
        whole = read_nak(content) if kind == 5 else read_rewrap(content)
        ids = [whole.terminal_id] if isinstance(whole, Rewrap) else [whole.origin_terminal_id]
        if isinstance(whole, Nak) and whole.envelope_id:
            ids = list(ministry.machine.state.roster(item.parcel.destination).terminal_ids)
        for terminal_id in ids:
            if kind == 6 or terminal_id != self.terminal_id:
                ministry.deliver(terminal_id, kind, content, item.envelope_id, self.post)

    def track(self, envelope_id: bytes) -> Track:
        self._called("track")
        hops = self.ministry.hops[envelope_id]
        return Track(tuple(Hop(post, state, self.ministry.now) for post, state in hops.items()), False)

    def item_proof(self, envelope_id: bytes, kind: str = "") -> bytes | None:
        self._called("item_proof")
        return self.ministry.item_proofs.get((self.post.encode() if kind else b"") + envelope_id)

    def put_transcript_hash(self, item_hash: bytes, salt: bytes) -> None:
        self._called("put_transcript_hash")
        self.ministry.item_kinds[item_hash] = "hotline"
        self.ministry.pending_items.append((self.post.encode() + item_hash, self.post, item_hash, salt))

    def present(self, post: str) -> tuple[Present, ...]:
        self._called("present")
        return self.ministry.present.get(post, ())

    def put_hotline(self, frame: HotlineFrame) -> None:
        raise NotImplementedError

    def listen_hotline(self, seconds: float) -> Iterator[HotlineFrame]:
        raise NotImplementedError

    def trust_file(self) -> bytes:
        self._called("trust_file")
        return self.ministry.trust_file()

    def close(self) -> None:
        self.calls.append("close")


class Officers:
    """Opens terminals of a ministry and closes them at the end of a test."""

    def __init__(self, ministry: Ministry) -> None:
        self.ministry = ministry
        self._stack = ExitStack()
        self._open: dict[Path, Terminal] = {}

    def __call__(self, post: str, name: str = "first") -> Terminal:
        """The terminal of this officer, opened once."""
        path = self.ministry.folder / post / "terminals" / name
        if path not in self._open:
            keyring = Folder(path).load_keyring(PASSPHRASE)
            own = self.ministry.desk(keyring.terminal_id, post)
            terminal = self._stack.enter_context(open_terminal(path, PASSPHRASE, own))
            terminal.session.clock = lambda: self.ministry.now
            self._open[path] = terminal
        return self._open[path]

    def close(self) -> None:
        self._stack.close()
        self._open.clear()
