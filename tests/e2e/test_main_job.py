"""The main job with real processes: the demonstration's contract, and no plaintext or officer's key at any node."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cli.founding import load_root
from support.canary import find
from support.processes import ROOT, Ended, Exercise, dutabarta, exercise, plain, together
from terminal.folder import Folder
from terminal.keyring import Keyring

pytestmark = pytest.mark.xdist_group("e2e-main-job")
POSTS = ["DHA", "DEL", "WAS", "LON"]


# --- the demonstration ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, Path]:
    folder = tmp_path_factory.mktemp("demo") / "kept"
    return dutabarta("demo", "--keep", folder, "--json"), folder


def test_the_demonstration_answers_as_the_contract_says(demo: tuple[Ended, Path]) -> None:
    ended, _ = demo
    assert ended.code == 0, ended.err
    data = ended.data
    assert set(data) == {
        "ok",
        "posts",
        "cable_id",
        "delivered_to",
        "acknowledged_by",
        "proof_verified",
        "tamper_refused",
        "audit",
        "seconds",
    }
    assert data["ok"] is data["proof_verified"] is data["tamper_refused"] is True
    assert data["posts"] == POSTS
    assert sorted(data["delivered_to"]) == sorted(data["acknowledged_by"]) == sorted(POSTS[1:])
    assert len(bytes.fromhex(data["cable_id"])) == 16
    assert set(data["audit"]) == {"entries", "root", "ok"} and data["audit"]["ok"] is True
    assert data["audit"]["entries"] > 40 and len(bytes.fromhex(data["audit"]["root"])) == 32
    assert data["seconds"] > 0


def test_what_the_demonstration_kept_can_be_checked_again(demo: tuple[Ended, Path]) -> None:
    ended, folder = demo
    replayed = dutabarta("audit", "replay", folder / "ledger.log", "--json")
    assert (replayed.code, replayed.data["root"]) == (0, ended.data["audit"]["root"])
    policy = folder / "posts" / "LON" / "terminals" / "officer" / "policy"
    proof = ("--proof", folder / "first-cable.tlog-proof", "--policy", policy, "--json")
    verified = dutabarta("verify", folder / "first-cable.cable", *proof)
    assert (verified.code, verified.data["answer"]) == (0, "genuine")
    assert dutabarta("verify", folder / "altered-first-cable.cable", *proof).data["answer"] == "do-not-rely"


def test_a_kept_demonstration_is_not_overwritten(demo: tuple[Ended, Path]) -> None:
    again = dutabarta("demo", "--keep", demo[1], "--json")
    assert again.code == 1 and again.out == ""
    assert "[folder-not-empty]" in again.err and "hint: " in again.err


# --- what a command loads ----------------------------------------------------------------------------------------

NETWORK_AND_DATABASE = {"grpc", "sqlalchemy", "alembic", "textual"}
LOADED = """
import json, sys
from cli.main import run
code = run(sys.argv[1:])
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.stderr)
"""


def loaded_by(*arguments: str | Path) -> set[str]:
    """The top-level modules that are loaded once the command has succeeded."""
    command = [sys.executable, "-c", LOADED, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env=plain({"PYTHONPATH": str(ROOT)}), check=True)
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return set(modules)


def test_verify_loads_no_network_and_no_database(demo: tuple[Ended, Path]) -> None:
    _, folder = demo
    policy = folder / "posts" / "DEL" / "terminals" / "officer" / "policy"
    proof = ("--proof", folder / "first-cable.tlog-proof", "--policy", policy)
    modules = loaded_by("verify", folder / "first-cable.cable", *proof)
    assert "ledger" in modules and not modules & NETWORK_AND_DATABASE


def test_audit_replay_loads_no_network_and_no_database(demo: tuple[Ended, Path]) -> None:
    modules = loaded_by("audit", "replay", demo[1] / "ledger.log")
    assert "ledger" in modules and not modules & NETWORK_AND_DATABASE


def test_the_export_does_load_the_database(demo: tuple[Ended, Path], tmp_path: Path) -> None:
    """So the two tests above look at the right thing."""
    home = demo[1] / "posts" / "DHA"
    assert "sqlalchemy" in loaded_by("ledger", "export", "--home", home, "--out", tmp_path / "ledger.log")


# --- what stays with the officers --------------------------------------------------------------------------------

TEXT = "The envoy asks for CANARY-7f3a-text before the rains."
SUBJECT, REFERENCE, CAVEAT, NAME = (
    "CANARY-7f3a-subject",
    "CANARY-7f3a-reference",
    "CANARY-7F3A-CAVEAT",
    "CANARY-7f3a-name.bin",
)
CODES = ("DHA", "DEL", "WAS")


class Canary:
    """A finished exchange of cables: what is secret in it, by name, and the nodes' files as a power cut left them."""

    def __init__(self, posts: Exercise, folder: Path) -> None:
        self.posts = posts
        self.content = secrets.token_bytes(100_000)
        self._attachment = folder / NAME
        self._attachment.write_bytes(self.content)

    def play(self) -> None:
        """A cable by one officer, a SECRET one by two; read, acknowledged, anchored; all nodes killed."""
        posts = self.posts
        cast = [("DHA", "karim", "drafter", "SECRET"), ("DHA", "rahima", "drafter,releaser", "TOP-SECRET")]
        cast += [(code, "officer", "drafter,releaser", "TOP-SECRET") for code in CODES[1:]]
        together(lambda one: posts.enrol(*one), cast)
        sent = self._send("rahima", "CONFIDENTIAL")
        drafted = self._send("karim", "SECRET")
        posts.must("cable", "release", drafted, *posts.at("DHA", "rahima"))
        posts.settle()
        together(lambda code: self._answer(code, sent, drafted), CODES[1:])
        posts.settle()
        posts.sync("DHA", "rahima")
        for code in CODES:
            posts.kill(code)

    def _send(self, officer: str, classification: str) -> str:
        more = ("--ref", REFERENCE, "--caveat", CAVEAT, "--attach", self._attachment)
        options = ("--precedence", "PRIORITY", "--classification", classification, "--subject", SUBJECT)
        place = self.posts.at("DHA", officer)
        sent = self.posts.must("cable", "send", "--to", "DEL,WAS", *options, *more, *place, "-", stdin=TEXT.encode())
        return str(sent["cable_id"])

    def _answer(self, code: str, *cables: str) -> None:
        for cable in cables:
            read = self.posts.must("cable", "read", cable, *self.posts.at(code, "officer"))
            assert (read["paragraphs"], read["subject"], read["attachments"][0]["name"]) == ([TEXT], SUBJECT, NAME)
            self.posts.must("cable", "ack", cable, *self.posts.at(code, "officer"))

    @property
    def node_files(self) -> list[Path]:
        return [path for code in CODES for path in (self.posts.home(code) / "node", self.posts.log(code))]

    def secrets(self) -> dict[str, bytes]:
        """Everything that only officers' terminals may know, by name."""
        found = {name: text.encode() for name, text in self._words().items()}
        found |= {f"content at {at}": self.content[at : at + 24] for at in range(0, len(self.content) - 24, 9_973)}
        for keystore in sorted(self.posts.folder.glob("*/terminals/*/keystore")):
            folder = Folder(keystore.parent)
            keyring = folder.load_keyring(b"exercise")
            found |= {f"{keystore.parent}: {name}": secret for name, secret in _keys(keyring).items()}
        for path in sorted(self.posts.folder.glob("root-*.key")):
            found |= {
                f"{path}: {half}": secret for half, secret in _halves(load_root(path, b"exercise").secret).items()
            }
        with self.posts.terminal("DHA", "rahima") as terminal:
            found |= {f"content key of {one.envelope_id.hex()}": one.cek for one in terminal.cables("out")}
        return found

    def _words(self) -> dict[str, str]:
        return {
            "text": TEXT,
            "part of the text": "CANARY-7f3a-text",
            "subject": SUBJECT,
            "reference": REFERENCE,
            "caveat": CAVEAT,
            "attachment's name": NAME,
        }


def _keys(keyring: Keyring) -> dict[str, bytes]:
    tls = load_pem_private_key(keyring.tls_key, None)
    assert isinstance(tls, ec.EllipticCurvePrivateKey)
    return {
        **{f"officer key, {half}": secret for half, secret in _halves(keyring.officer).items()},
        "terminal key": keyring.terminal,
        "TLS key": tls.private_numbers().private_value.to_bytes(32),
        "store key": keyring.store_key,
        **{f"prekey {one.epoch}": one.seed for one in keyring.prekeys},
    }


def _halves(dual: bytes) -> dict[str, bytes]:
    """A dual secret is two seeds of 32 bytes."""
    assert len(dual) == 64
    return {"Ed25519 seed": dual[:32], "ML-DSA seed": dual[32:]}


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    folder = tmp_path_factory.mktemp("canary")
    with exercise(folder / "posts", *CODES) as posts:
        made = Canary(posts, folder)
        made.play()
        yield made


def test_no_plaintext_and_no_officers_key_is_at_any_node(canary: Canary) -> None:
    secret = canary.secrets()
    assert len(secret) > 60 and all(len(one) >= 16 for one in secret.values())
    assert (canary.posts.home("WAS") / "node" / "node.db-wal").exists()
    assert find(secret, canary.node_files) == []


def test_the_passphrase_is_at_no_node(tmp_path_factory: pytest.TempPathFactory, demo: tuple[Ended, Path]) -> None:
    _, folder = demo
    passphrase = (folder / "passphrase").read_bytes().strip()
    files = [
        path for code in POSTS for path in (folder / "posts" / code / "node", folder / "posts" / code / "node.log")
    ]
    assert passphrase and find({"passphrase": passphrase}, files) == []


def test_no_key_of_a_terminal_or_root_lies_open_outside_the_nodes_either(canary: Canary) -> None:
    """Keystores and local stores are sealed: not even the terminals' folders show what they hold."""
    terminals = [canary.posts.home(code) / "terminals" for code in CODES]
    roots = sorted(canary.posts.folder.glob("root-*.key"))
    assert find(canary.secrets(), [*terminals, *roots]) == []


@pytest.mark.parametrize("coat", ["raw", "hex", "HEX", "base64", "urlsafe", "inside base64", "blob", "text", "zstd"])
def test_the_search_would_find_each_secret(canary: Canary, tmp_path: Path, coat: str) -> None:
    """Plant one of each kind in a copy of a node's folder."""
    wanted = canary.secrets()
    chosen = ["subject", "content at 0", next(name for name in wanted if name.endswith("terminal key"))]
    copy = tmp_path / "node"
    shutil.copytree(canary.posts.home("WAS") / "node", copy)
    for name in chosen:
        _plant(copy, coat, wanted[name])
    assert {name for name, _ in find(wanted, [copy])} == set(chosen)


def _plant(folder: Path, coat: str, secret: bytes) -> None:
    if coat in ("blob", "text"):
        filler = secrets.token_hex(5_000)
        value: Any = (
            b"\x00" * 5_000 + secret + b"\x00" * 5_000 if coat == "blob" else filler + "x" + secret.hex() + "x" + filler
        )
        with closing(sqlite3.connect(folder / "node.db")) as connection, connection:
            connection.execute("INSERT INTO meta (name, value) VALUES (?, ?)", (secrets.token_hex(8), value))
        return
    (folder / f"planted-{secrets.token_hex(4)}").write_bytes(b"before " + _coated(coat, secret) + b" after")


def _coated(coat: str, secret: bytes) -> bytes:
    match coat:
        case "hex":
            return secret.hex().encode()
        case "HEX":
            return b"A" + secret.hex().upper().encode()
        case "base64":
            return base64.b64encode(secret)
        case "urlsafe":
            return base64.urlsafe_b64encode(secret)
        case "inside base64":
            return b"/" + base64.b64encode(b"xy" + secret + b"z")
        case "zstd":
            import zstandard

            return zstandard.compress(b"to: WAS\n" + secret)
    return secret
