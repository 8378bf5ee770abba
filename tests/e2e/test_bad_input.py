"""Bad input typed at real posts: each has its error, its hint and its exit code, and nothing is half done."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.enrolment import Newcomer, prepare
from support.posts import PASSPHRASE, Posts
from support.processes import Ended, Exercise, dutabarta, exercise, together

pytestmark = pytest.mark.xdist_group("e2e-bad-input")

GOLDEN = Path(__file__).parents[1] / "golden" / "ledger"
OFFICERS = (
    ("DEL", "rafiq", "drafter,releaser", "TOP-SECRET"),
    ("DEL", "mina", "drafter,releaser", "TOP-SECRET"),
    ("DEL", "selim", "drafter", "SECRET"),
    ("DEL", "auditor", "auditor", "TOP-SECRET"),
    ("DEL", "junior", "drafter,releaser", "RESTRICTED"),
    ("DEL", "absent", "drafter,releaser", "SECRET"),
    ("DEL", "former", "drafter,releaser", "SECRET"),
    ("WAS", "nila", "drafter,releaser", "TOP-SECRET"),
)
LASTING = (
    "leaves",
    "serials",
    "envelopes",
    "bodies",
    "items",
    "hops",
    "inbox",
    "bundles",
    "alarms",
    "evidence",
    "slot_items",
    "pending WHERE code = 'pending'",
)


@dataclass(frozen=True, slots=True)
class World:
    """Running posts after a first exchange, another network that is founded only, and files of both."""

    posts: Exercise
    other: Posts
    folder: Path
    anchored: str
    draft: str
    selims: str

    @property
    def cable(self) -> Path:
        """The first cable as `cable proof` wrote it."""
        return self.folder / "first.cable"

    @property
    def proof(self) -> Path:
        return self.folder / "first.tlog-proof"

    def send(self, officer: str, to: str = "WAS", *more: str | Path, **options: Any) -> Ended:
        return self.posts.send("DEL", officer, to, *more, **options)

    def at(self, officer: str, code: str = "DEL") -> tuple[str, ...]:
        return self.posts.at(code, officer)

    def file(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_bytes(data)
        return path

    def copy(self, source: Path, name: str) -> Path:
        """A fresh copy of a folder, to be damaged."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        return Path(shutil.copytree(source, self.folder / name))

    def policy(self, network: Posts) -> Path:
        return network.home("WAS") / "terminals" / "first" / "policy"

    def verify(self, cable: Path, proof: Path, *trusted: str | Path) -> Ended:
        return dutabarta("verify", cable, "--proof", proof, *trusted, "--json")

    def traces(self) -> dict[str, object]:
        """What a refused command must not change, at nodes and terminals."""
        found: dict[str, object] = {}
        for code in self.posts.codes:
            found |= {f"{code} {table}": self.posts.count(code, table) for table in LASTING}
        for code, name, *_ in OFFICERS:
            with self.posts.terminal(code, name) as terminal, terminal.session.store.transaction() as kept:
                found[f"{code} {name}"] = (len(kept.cables()), len(kept.jobs()), kept.asides())
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with exercise(folder / "posts", "DHA", "DEL", "WAS") as posts:
        together(lambda one: posts.enrol(*one), OFFICERS)
        anchored = posts.send("DEL", "rafiq", "WAS").data["cable_id"]
        draft = posts.send("DEL", "rafiq", "WAS", classification="SECRET").data["cable_id"]
        selims = posts.send("DEL", "selim", "WAS").data["cable_id"]
        posts.must("officer", "suspend", "absent", *posts.at("DEL", "first"))
        posts.must("officer", "revoke", "former", *posts.at("DEL", "first"))
        posts.settle()
        together(lambda one: posts.sync(*one), [("DEL", "mina"), ("DEL", "selim"), ("DEL", "junior"), ("WAS", "nila")])
        posts.settle()
        posts.must("cable", "proof", anchored, "--out", folder / "first", *posts.at("DEL", "rafiq"))
        other = Posts(folder / "other", posts.codes)
        yield World(posts, other, folder, anchored, draft, selims)


def refused(ended: Ended, exit_code: int, code: str) -> None:
    """One error with its code, one hint, nothing on stdout, no traceback."""
    assert ended.code == exit_code, ended.err
    assert ended.out == ""
    lines = ended.err.strip().splitlines()
    assert re.fullmatch(r"error: .+ \[(.+)\]", lines[0]) and lines[0].endswith(f"[{code}]"), ended.err
    assert re.fullmatch(r"hint: .{10,}", lines[1]), ended.err
    assert len(lines) == 2, ended.err


# --- commands that are refused: what is typed, the exit code, the error's name ---------------------------------------


def wrong_passphrase(world: World) -> Ended:
    return world.send("rafiq", "WAS", "--passphrase-file", world.file("wrong", b"not this one\n"))


def empty_passphrase(world: World) -> Ended:
    return world.send("rafiq", "WAS", "--passphrase-file", world.file("empty", b"\n"))


def text_not_utf8(world: World) -> Ended:
    return world.send("rafiq", text=b"\xff\xfeT\x00e\x00x\x00t\x00")


def oversized_attachment(world: World) -> Ended:
    path = world.folder / "film.bin"
    with path.open("wb") as file:
        file.truncate((512 << 20) + 1)
    ended = world.send("rafiq", "WAS", "--attach", path)
    assert "512 MiB" in ended.err or str(512 << 20) in ended.err, ended.err
    return ended


def garbage_request(world: World) -> Ended:
    return world.posts("officer", "approve", world.file("request", b"{not a request"), *world.at("first"))


def other_networks_request(world: World) -> Ended:
    folder = world.other.home("DEL") / "terminals" / "newcomer"
    if not folder.exists():
        prepare(world.other.home("DEL"), Newcomer("newcomer", (1,), 1), PASSPHRASE)
    return world.posts("officer", "approve", folder / "request.json", *world.at("first"))


def join(world: World, genesis: Path) -> Ended:
    """`node join` at a copy of a post, which a refusal leaves as it was."""
    home = world.copy(world.posts.home("WAS"), "joining")
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    ended = world.posts("node", "join", "--home", home, "--genesis", genesis)
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before
    return ended


def garbage_genesis(world: World) -> Ended:
    return join(world, world.file("garbage.log", b"\x00" * 5_000))


def truncated_genesis(world: World) -> Ended:
    data = (world.posts.home("WAS") / "node" / "genesis.log").read_bytes()
    return join(world, world.file("short.log", data[:-100]))


def other_networks_genesis(world: World) -> Ended:
    return join(world, world.other.home("WAS") / "node" / "genesis.log")


def run_with_other_networks_genesis(world: World) -> Ended:
    home = world.copy(world.posts.home("WAS"), "misled")
    shutil.copy(world.other.home("WAS") / "node" / "genesis.log", home / "node" / "genesis.log")
    ended = dutabarta("node", "run", "--home", home)
    assert ended.out == ""
    return Ended(ended.code, "", "\n".join(line for line in ended.err.splitlines() if " INFO " not in line))


def other_networks_terminal(world: World) -> Ended:
    """A terminal of the other network that is led to this network's node."""
    terminal = world.copy(world.other.home("DEL") / "terminals" / "first", "foreign")
    own = world.posts.home("DEL") / "terminals" / "first"
    config = dict(line.split(" = ") for line in (own / "config.toml").read_text().splitlines())
    text = (terminal / "config.toml").read_text()
    for key in ("node", "pin"):
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {config[key]}", text)
    (terminal / "config.toml").write_text(text)
    shutil.copy(own / "node.der", terminal / "node.der")
    marking = ("--precedence", "ROUTINE", "--classification", "RESTRICTED", "--subject", "Trade")
    return world.posts("cable", "send", "--to", "WAS", *marking, "--terminal", terminal, "-", stdin=b"Text.")


def dead_address(world: World) -> Ended:
    terminal = world.copy(world.posts.home("DEL") / "terminals" / "mina", "cut-off")
    config = (terminal / "config.toml").read_text()
    (terminal / "config.toml").write_text(re.sub(r"(?m)^node = .*$", 'node = "127.0.0.1:9"', config))
    marking = ("--precedence", "ROUTINE", "--classification", "RESTRICTED", "--subject", "Trade")
    return world.posts("cable", "send", "--to", "WAS", *marking, "--terminal", terminal, "-", stdin=b"Text.")


def damaged_keystore(world: World) -> Ended:
    terminal = world.copy(world.posts.home("DEL") / "terminals" / "mina", "damaged")
    data = bytearray((terminal / "keystore").read_bytes())
    data[len(data) // 2] ^= 1
    (terminal / "keystore").write_bytes(data)
    return world.posts("cable", "list", "--terminal", terminal)


def cable(*words: str) -> Callable[[World], Ended]:
    """`cable WORDS... ID` of the draft, by the officer named last."""
    *command, officer = words
    return lambda world: world.posts("cable", *command, world.draft, *world.at(officer))


def nowhere(*words: str) -> Callable[[World], Ended]:
    return lambda world: world.posts(*words, "--home", world.folder / "nowhere")


REFUSED: dict[str, tuple[Callable[[World], Ended], int, str]] = {
    "an unknown post": (lambda w: w.send("rafiq", "XYZ"), 1, "unknown-post"),
    "one unknown post among known ones": (lambda w: w.send("rafiq", "WAS,XYZ"), 1, "unknown-post"),
    "what is no post code": (lambda w: w.send("rafiq", "?"), 1, "bad-addressee"),
    "an officer who may not draft": (lambda w: w.send("auditor"), 1, "role-missing"),
    "a release without the role": (
        lambda w: w.posts("cable", "release", w.selims, *w.at("selim")), 1, "role-missing"),
    "another officer's draft": (cable("release", "selim"), 1, "unknown-cable"),
    "a release by the drafter himself": (cable("release", "rafiq"), 1, "two-officers"),
    "an officer without the clearance": (lambda w: w.send("junior"), 1, "clearance-too-low"),
    "a suspended officer": (lambda w: w.send("absent"), 1, "suspended-officer"),
    "a revoked officer": (lambda w: w.send("former"), 1, "revoked-officer"),
    "an officer who is not there": (lambda w: w.send("nobody"), 4, "no-terminal"),
    "an act on an officer who is not there": (
        lambda w: w.posts("officer", "suspend", "nobody", *w.at("first")), 1, "unknown-officer"),
    "an act by one who is no supervisor": (
        lambda w: w.posts("officer", "suspend", "mina", *w.at("rafiq")), 1, "no-supervisor"),
    "an act on another post's officer": (
        lambda w: w.posts("officer", "suspend", "nila", "--post", "WAS", *w.at("first")), 1, "no-supervisor"),
    "the wrong passphrase": (wrong_passphrase, 1, "wrong-passphrase"),
    "an empty passphrase": (empty_passphrase, 1, "passphrase-empty"),
    "a damaged keystore": (damaged_keystore, 1, "keystore-damaged"),
    "a node that does not answer": (dead_address, 4, "unreachable"),
    "another network's terminal": (other_networks_terminal, 4, "unreachable"),
    "a text that is not UTF-8": (text_not_utf8, 1, "not-utf8"),
    "an attachment that is too large": (oversized_attachment, 1, "attachment-too-large"),
    "an attachment that is not there": (lambda w: w.send("rafiq", "WAS", "--attach", "nowhere.pdf"), 4, "no-file"),
    "an unknown cable": (
        lambda w: w.posts("cable", "read", "00" * 16, *w.at("rafiq")), 1, "unknown-cable"),
    "an acknowledgement of a draft": (cable("ack", "mina"), 1, "not-received"),
    "a proof of what is not anchored": (
        lambda w: w.posts("cable", "proof", w.draft, "--out", w.folder / "none", *w.at("rafiq")), 1, "not-released"),
    "a request that is none": (garbage_request, 1, "not-a-request"),
    "another network's request": (other_networks_request, 1, "wrong-network"),
    "a genesis that is none": (garbage_genesis, 1, "not-a-log"),
    "a genesis cut short": (truncated_genesis, 1, "truncated"),
    "another network's genesis": (other_networks_genesis, 1, "not-in-genesis"),
    "a node led into another network": (run_with_other_networks_genesis, 1, "other-network"),
    "no home to run": (lambda w: dutabarta("node", "run", "--home", w.folder / "nowhere"), 4, "no-config"),
    "no home to ask": (nowhere("node", "status"), 4, "no-config"),
    "no home to list": (nowhere("cable", "list", "--officer", "rafiq"), 4, "no-terminal"),
    "no home to export": (nowhere("ledger", "export", "--out", "none.log"), 4, "no-config"),
    "no log": (lambda _: dutabarta("audit", "replay", "nowhere.log", "--json"), 4, "file-unreadable"),
    "a policy that is none": (
        lambda w: w.verify(w.cable, w.proof, "--policy",
                           w.file("policy", b"quorum everybody\n")), 4, "bad-policy"),
    "a trust file that is none": (
        lambda w: w.verify(w.cable, w.proof, "--trust",
                           w.file("trust", b"\xff" * 100)), 4, "malformed"),
    "another network's trust file": (
        lambda w: w.verify(w.cable, w.proof, "--trust",
                           GOLDEN / "network.trust", "--network-id", w.posts.status("DHA").network_id.hex()),
        4, "wrong-network"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_refused_by_name_and_nothing_half_done(world: World, what: str) -> None:
    typed, exit_code, code = REFUSED[what]
    before = world.traces()
    refused(typed(world), exit_code, code)
    assert world.traces() == before


def test_what_is_refused_would_else_have_left_traces(world: World) -> None:
    """So the comparison above looks at the right thing; serials go on without a gap after all the refusals."""
    before = world.traces()
    sent = world.send("rafiq")
    assert sent.code == 0 and sent.data["serial"] == before["DEL serials"] + 1  # type: ignore[operator]
    world.posts.settle()
    changed = {name for name, value in world.traces().items() if value != before[name]}
    assert {"DEL serials", "DEL envelopes", "WAS inbox", "DHA leaves", "DEL rafiq"} <= changed


USAGE = {
    "no addressee": ("cable", "send", "--precedence", "ROUTINE", "-"),
    "an unknown precedence": ("cable", "send", "--to", "WAS", "--precedence", "SOON", "-"),
    "what is no cable id": ("cable", "read", "first"),
    "an unknown role": ("officer", "enrol", "new", "--role", "king", "--clearance", "SECRET"),
    "a name that leads elsewhere": ("officer", "enrol", "../first", "--role", "drafter", "--clearance", "SECRET"),
    "an unknown option": ("node", "status", "--verbose"),
    "an unknown command": ("cable", "burn"),
}


@pytest.mark.parametrize("what", USAGE)
def test_wrong_usage_is_said_and_nothing_is_tried(world: World, what: str) -> None:
    ended = dutabarta(*USAGE[what], "--home", world.posts.home("DEL"), "--json")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ") and "\nhint: " in ended.err and "Traceback" not in ended.err


# --- verdicts: answered on stdout, exit code 3 -----------------------------------------------------------------------

Files = Callable[[World], tuple[Path, Path, Path]]
NOT_GENUINE: dict[str, tuple[Files, str]] = {
    "a cable that is none": (lambda w: (w.file("cable", bytes(9_000)), w.proof, w.policy(w.posts)), "cable-form"),
    "a proof that is none": (lambda w: (w.cable, w.file("proof", b"nothing\n"), w.policy(w.posts)), "proof-form"),
    "another network's proof": (lambda w: (w.cable, GOLDEN / "item.tlog-proof", w.policy(w.posts)), "anchored"),
    "another network's policy": (lambda w: (w.cable, w.proof, w.policy(w.other)), "anchored"),
}


@pytest.mark.parametrize("what", NOT_GENUINE)
def test_verify_says_no_at_the_step_that_fails(world: World, what: str) -> None:
    files, step = NOT_GENUINE[what]
    cable_file, proof, policy = files(world)
    ended = world.verify(cable_file, proof, "--policy", policy)
    assert (ended.code, ended.data["answer"], ended.data["particulars"]) == (3, "do-not-rely", {})
    assert (ended.data["steps"][-1]["name"], ended.data["steps"][-1]["ok"]) == (step, False)


def test_the_same_files_as_they_were_are_genuine(world: World) -> None:
    assert world.verify(world.cable, world.proof, "--policy", world.policy(world.posts)).code == 0


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut by one byte": (lambda whole: whole[:-1], "truncated"),
    "cut in half": (lambda whole: whole[: len(whole) // 2], "truncated"),
    "one bit changed": (lambda whole: whole[:-9_000] + bytes([whole[-9_000] ^ 1]) + whole[-8_999:], ""),
}


@pytest.mark.parametrize("what", BROKEN)
def test_an_auditor_is_told_what_is_wrong_with_a_log(world: World, what: str) -> None:
    whole = world.folder / "whole.log"
    if not whole.exists():
        world.posts.must("ledger", "export", "--home", world.posts.home("WAS"), "--out", whole)
        assert dutabarta("audit", "replay", whole, "--json").data["ok"] is True
    change, code = BROKEN[what]
    ended = dutabarta("audit", "replay", world.file("broken.log", change(whole.read_bytes())), "--json")
    assert (ended.code, ended.err, ended.data["ok"]) == (3, "", False)
    assert code in {one["code"] for one in ended.data["problems"]} if code else ended.data["problems"]


def test_a_file_that_is_no_log_is_an_error_and_no_verdict(world: World) -> None:
    ended = dutabarta("audit", "replay", world.file("no.log", b"\x00" * 5_000), "--json")
    assert (ended.code, ended.out) == (1, "")
    assert "[not-a-log]" in ended.err and "hint:" in ended.err


# --- a node that is down ---------------------------------------------------------------------------------------------


def test_with_the_node_down_nothing_is_sent_and_what_is_here_is_read(world: World) -> None:
    posts = world.posts
    kept = posts.must("cable", "list", "--box", "in", *posts.at("WAS", "nila"))["cables"][0]["cable_id"]
    assert posts.stop("WAS") == 0
    before = world.traces()
    try:
        refused(posts.send("WAS", "nila", "DEL"), 4, "unreachable")
        refused(posts("node", "status", "--home", posts.home("WAS")), 4, "unreachable")
        ended = posts("cable", "read", kept, *posts.at("WAS", "nila"))
        assert ended.code == 0 and ended.data["paragraphs"] == ["Text.\n"] and "not fetched now" in ended.err
        assert world.traces() == before
    finally:
        posts.start("WAS")
        posts.wait_ready("WAS")
