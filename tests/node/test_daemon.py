"""Real daemons on loopback: they found a network, follow, cosign, carry, die and come back."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crypto_msg.cable import Precedence
from crypto_msg.envelope import decode_head, encode_head
from ledger.note import SignedNote
from ledger.policy import parse_policy
from ledger.proof import TlogProof
from ledger.roles import Clearance
from ledger.state import NETWORK, post_key
from ledger.state_proof import verify_state_proof
from node.api.limits import MAX_MESSAGE_BYTES
from node.api.tls import make_identity
from node.client import NodeClient
from node.config import load_config, node_folder
from node.courier import ItemKind
from node.secrets import load_node_keys
from protos.errors import DutabartaError, Refused, Unavailable
from support.posts import Posts, eventually
from terminal.compose import Composition
from terminal.terminal import open_terminal

CODES = ("DHA", "DEL", "LON", "WAS")


@pytest.fixture(scope="module")
def posts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Posts]:
    made = Posts(tmp_path_factory.mktemp("posts"), CODES)
    try:
        made.start()
        made.wait_ready()
        yield made
    finally:
        made.close()


def cable(*to: str, subject: str = "test", precedence: int = Precedence.ROUTINE) -> Composition:
    return Composition(to, precedence, Clearance.UNCLASSIFIED, subject, f"text of {subject}")


def has_read(posts: Posts, code: str, cable_id: bytes) -> Callable[[], bool]:
    def look() -> bool:
        with posts.terminal(code) as terminal:
            terminal.sync()
            return any(one.cable_id == cable_id for one in terminal.cables("in"))

    return look


class Recorder:
    """A node client that keeps what a terminal hands in, and says that it is stored."""

    def __init__(self, client: NodeClient) -> None:
        self._client = client
        self.handed_in: list[tuple[bytes, bytes, int, bytes]] = []

    def put_cable(self, head: bytes, body: Any, body_length: int, anchor_salt: bytes) -> bytes:
        whole = b"".join(body)
        self.handed_in.append((head, whole, body_length, anchor_salt))
        return decode_head(head).envelope_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def sealed(posts: Posts, code: str, *to: str) -> tuple[bytes, bytes, int, bytes]:
    """A sealed cable that has not reached the node: head, body, its length, anchor salt."""
    with posts.client(code) as client:
        recorder = Recorder(client)
        with open_terminal(posts.terminal_folder(code).path, b"exercise", recorder) as terminal:  # type: ignore[arg-type]
            terminal.send(cable(*to))
        return recorder.handed_in[-1]


# --- the ledger ----------------------------------------------------------------------------------------------


def test_all_reach_one_root_and_a_checkpoint_under_the_policy(posts: Posts) -> None:
    def agree() -> bool:
        found = [posts.status(code) for code in CODES]
        same = len({(one.log_size, one.root, one.policy_size, one.final_size) for one in found}) == 1
        return same and found[0].policy_size == found[0].log_size and all(one.ready for one in found)

    eventually(agree)
    assert {posts.status(code).role for code in CODES} == {"validator", "follower"}


def test_a_terminal_gets_state_proofs_under_its_own_policy(posts: Posts) -> None:
    policy = parse_policy(posts.terminal_folder("WAS").load_policy())
    with posts.client("WAS") as client:
        proven = verify_state_proof(client.state([NETWORK, post_key("DEL"), post_key("XXX")]), policy)
    assert proven.values[NETWORK] is not None and proven.values[post_key("DEL")] is not None
    assert proven.values[post_key("XXX")] is None
    assert len(proven.times) >= 2


def test_a_checkpoint_that_is_not_there_yet_is_waited_for_until_the_deadline(posts: Posts) -> None:
    folder = node_folder(posts.home("WAS"))
    certificate = load_node_keys(folder / "keys").tls.certificate
    identity = posts.terminal_folder("WAS").load_keyring(b"exercise").tls
    with (
        NodeClient(load_config(folder).listen, certificate, identity, unary_seconds=1.0) as client,
        pytest.raises(Unavailable) as caught,
    ):
        client.checkpoint(at_least=10**9)
    assert caught.value.code == "timeout"


def test_the_trust_file_comes_whole(posts: Posts) -> None:
    from ledger.trust import verify_trust

    with posts.client("LON") as client:
        data = client.trust_file()
        network_id = bytes.fromhex(posts.terminal_folder("LON").load_config().network_id)
    assert verify_trust(data, network_id).checkpoint.size > 0


# --- cables --------------------------------------------------------------------------------------------------


def test_a_cable_is_carried_anchored_and_its_proof_reaches_the_addressees(posts: Posts) -> None:
    with posts.terminal("DEL") as terminal:
        sent = terminal.send(cable("LON", "WAS", subject="anchored"))
    for code in ("LON", "WAS"):
        eventually(has_read(posts, code, sent.cable_id))
        with posts.client(code) as client:
            eventually(lambda client=client: client.item_proof(sent.envelope_id) is not None)
            proof = TlogProof.decode(client.item_proof(sent.envelope_id) or b"")
            kinds = [item.kind for item in client.inbox().items if item.envelope_id == sent.envelope_id]
            assert sorted(kinds) == [ItemKind.ENVELOPE, ItemKind.PROOF]
        assert len(SignedNote.decode(proof.checkpoint_note).signatures) >= 3
    with posts.client("DEL") as client:
        track = client.track(sent.envelope_id)
    assert {(hop.post, hop.state) for hop in track.hops} == {("LON", "carried"), ("WAS", "carried")}
    assert track.anchored


def test_receipts_come_back_to_the_originator(posts: Posts) -> None:
    with posts.terminal("WAS") as terminal:
        sent = terminal.send(cable("LON", subject="receipts"))
    eventually(has_read(posts, "LON", sent.cable_id))
    with posts.terminal("LON") as terminal:
        terminal.acknowledge(sent.envelope_id)

    def acknowledged() -> bool:
        with posts.terminal("WAS") as terminal:
            terminal.sync()
            return terminal.track(sent.envelope_id).progress[0].state == "acknowledged"

    eventually(acknowledged)


def test_a_large_body_arrives_byte_for_byte_and_is_read_from_any_offset(posts: Posts, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(secrets.token_bytes(700_000))
    with posts.terminal("DEL") as terminal:
        sent = terminal.send(replace(cable("DHA", subject="large"), files=(tmp_path / "large.bin",)))
    eventually(has_read(posts, "DHA", sent.cable_id))
    with posts.client("DEL") as origin, posts.client("DHA") as target:
        whole = b"".join(origin.body(sent.envelope_id))
        assert len(whole) > 700_000
        assert b"".join(target.body(sent.envelope_id)) == whole
        assert b"".join(target.body(sent.envelope_id, 123_456)) == whole[123_456:]


def test_handing_in_twice_is_once(posts: Posts) -> None:
    head, body, length, salt = sealed(posts, "DEL", "LON")
    with posts.client("DEL") as client:
        first = client.put_cable(head, [body], length, salt)
        assert client.put_cable(head, [body], length, salt) == first
    with posts.client("LON") as client:
        eventually(lambda: [one.envelope_id for one in client.inbox().items].count(first) >= 1)
        assert [(one.envelope_id, one.kind) for one in client.inbox().items].count((first, 1)) == 1


def test_serials_are_consecutive_and_each_cable_keeps_its_own(posts: Posts) -> None:
    ids = [secrets.token_bytes(16) for _ in range(3)]
    with posts.client("DHA") as client:
        taken = [client.take_serial(one, 2031) for one in ids]
        assert [client.take_serial(one, 2031) for one in ids] == taken == [1, 2, 3]
        assert client.take_serial(ids[2], 2032) == 1


# --- hostile callers -----------------------------------------------------------------------------------------


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DutabartaError) as caught:
        call()
    return caught.value.code


def test_a_stranger_and_another_posts_terminal_do_not_get_in(posts: Posts) -> None:
    folder = node_folder(posts.home("DEL"))
    certificate = load_node_keys(folder / "keys").tls.certificate
    with NodeClient(load_config(folder).listen, certificate, make_identity()) as stranger:
        assert refusal(stranger.status) == "unreachable"
    with posts.client("LON", node="DEL") as elsewhere:
        assert refusal(elsewhere.status) == "unreachable"


def test_another_terminals_cable_is_refused_by_name(posts: Posts) -> None:
    head, body, length, salt = sealed(posts, "DEL", "LON")
    with posts.client("DEL", "second") as client:
        assert refusal(lambda: client.put_cable(head, [body], length, salt)) == "not-yours"


@pytest.mark.parametrize("change", ["flipped", "short", "long"])
def test_a_changed_body_is_refused_and_leaves_nothing(posts: Posts, change: str) -> None:
    head, body, length, salt = sealed(posts, "DEL", "LON")
    flipped = bytes([body[0] ^ 1]) + body[1:]
    changed = {"flipped": flipped, "short": body[:-1], "long": body + b"x"}[change]
    with posts.client("DEL") as client:
        assert refusal(lambda: client.put_cable(head, [changed], length, salt)) == "body-changed"
        envelope_id = decode_head(head).envelope_id
        assert refusal(lambda: list(client.body(envelope_id))) == "unknown-cable"
        assert client.put_cable(head, [body], length, salt) == envelope_id


def test_a_changed_head_is_refused(posts: Posts) -> None:
    head, body, length, salt = sealed(posts, "DEL", "LON")
    opened = decode_head(head)
    forged = encode_head(replace(opened, body_root=bytes(32)))
    with posts.client("DEL") as client:
        assert refusal(lambda: client.put_cable(forged, [body], length, salt)) == "bad-signature"
        assert refusal(lambda: client.put_cable(b"\xff" * 100, [body], length, salt)) == "malformed"
        assert refusal(lambda: client.put_cable(b"", [], 0, b"")) in {"malformed", "bad-envelope"}


def test_an_oversize_message_is_refused_and_the_node_lives(posts: Posts) -> None:
    with posts.client("DEL") as client:
        assert refusal(lambda: client.submit_entry(bytes(MAX_MESSAGE_BYTES + 1))) == "too-large"
        assert refusal(lambda: client.submit_entry(bytes(40_000))) == "too-large"
        assert client.status().ready


def test_an_entry_that_is_none_gets_its_named_refusal(posts: Posts) -> None:
    with posts.client("DEL") as client:
        result = client.submit_entry(b"\x01" + secrets.token_bytes(100))
        assert result.code == "malformed" and result.is_settled
        assert client.entry_result(b"never seen").code == "unknown"


def test_another_terminals_bundle_or_a_wrong_name_is_refused(posts: Posts) -> None:
    with posts.client("DEL") as client, posts.client("DEL", "second") as other:
        own = posts.terminal_folder("DEL").load_keyring(b"exercise").terminal_id
        bundle = client.bundles([own])[0]
        assert refusal(lambda: other.put_bundle(bundle)) == "not-yours"
        assert refusal(lambda: client.put_opening(b"short", bytes(32), "name")) == "bad-opening"
        foreign = bytes.fromhex(posts.terminal_folder("LON").load_config().officer_id)
        assert refusal(lambda: client.put_opening(foreign, bytes(32), "name")) == "not-yours"


def test_a_body_is_not_shown_to_a_terminal_without_a_wrap(posts: Posts) -> None:
    with posts.client("DEL") as client, pytest.raises(Refused):
        list(client.body(bytes(32)))


# --- dying and coming back -----------------------------------------------------------------------------------


def test_a_killed_mission_gets_afterwards_what_was_sent_meanwhile(posts: Posts) -> None:
    posts.kill("WAS")
    with posts.terminal("DEL") as terminal:
        sent = terminal.send(cable("WAS", "LON", subject="meanwhile"))
    eventually(has_read(posts, "LON", sent.cable_id))
    assert [queue.destination for queue in posts.status("DEL").queues] == ["WAS"]
    posts.start("WAS")
    posts.wait_ready("WAS")
    eventually(has_read(posts, "WAS", sent.cable_id))


def test_a_killed_headquarters_comes_back_and_the_ledger_goes_on(posts: Posts) -> None:
    before = posts.status("DHA").log_size
    posts.kill("DHA")
    with posts.terminal("DEL") as terminal:
        sent = terminal.send(cable("LON", subject="without HQ"))
    eventually(has_read(posts, "LON", sent.cable_id))
    posts.start("DHA")
    posts.wait_ready("DHA")
    with posts.client("DEL") as client:
        eventually(lambda: client.item_proof(sent.envelope_id) is not None)
    assert posts.status("DHA").log_size > before


def test_asked_to_stop_a_daemon_ends_at_once_and_cleanly(posts: Posts) -> None:
    assert posts.stop("LON") == 0
    posts.start("LON")
    posts.wait_ready("LON")


def test_a_flipped_byte_in_the_stored_log_is_refused_by_name(posts: Posts) -> None:
    assert posts.stop("LON") == 0
    path = node_folder(posts.home("LON")) / "node.db"
    changed = "CAST(substr(data, 1, 40) || x'00' || substr(data, 42) AS BLOB)"
    flip = f"UPDATE leaves SET data = {changed} WHERE position = 3"
    backup = path.read_bytes()
    with sqlite3.connect(path) as database:
        database.execute(flip)
    database.close()
    posts.start("LON")
    assert posts.nodes.pop("LON").wait(timeout=60) == 3
    assert "leaf 3 does not have its hash" in posts.log("LON").read_text()
    for name in ("node.db-wal", "node.db-shm"):
        (path.parent / name).unlink(missing_ok=True)
    path.write_bytes(backup)
    posts.start("LON")
    posts.wait_ready("LON")


def test_a_disk_that_takes_no_more_stops_the_daemon_with_a_sentence(posts: Posts) -> None:
    with posts.terminal("DEL") as terminal:
        terminal.send(cable("LON", subject="before"))  # DEL has LON's prekeys from now on
    assert posts.stop("LON") == 0
    path = node_folder(posts.home("LON")) / "node.db"
    posts.start("LON", file_limit=path.stat().st_size // 512 + 100)
    with posts.terminal("DEL") as terminal:
        sent = terminal.send(cable("LON", subject="disk full"))
        for number in range(16):
            filling = replace(cable("LON", subject=f"disk full {number}"), text=secrets.token_hex(100_000))
            terminal.send(filling)
    assert posts.nodes.pop("LON").wait(timeout=60) != 0
    assert "error: the store failed: disk I/O error" in posts.log("LON").read_text()
    posts.start("LON")
    posts.wait_ready("LON")
    eventually(has_read(posts, "LON", sent.cable_id))


def test_no_daemon_wrote_a_secret_or_a_traceback_into_its_log(posts: Posts) -> None:
    for code in CODES:
        said = posts.log(code).read_text()
        assert "Traceback" not in said
        assert "text of" not in said
