"""Nodes of a council that are damaged, restored, short of disk or wrong in their clocks, while the others go on.

LON, one of four validators, and PAR, a follower, have the faults. Nobody else is ever down, so three can decide.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from node.config import KEYS_FOLDER, load_config, node_folder, save_config
from protos.errors import DutabartaError
from support.bits import flip
from support.council import Council, deliver
from support.disks import SmallDisk, growing_to, may_mount, obeying_permissions, without_write_permission
from support.engines import built_engine, free_port
from support.posts import eventually

pytestmark = pytest.mark.xdist_group("engine")
DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
VALIDATORS = ("DEL", "DHA", "LON", "WAS")
FOLLOWERS = ("PAR", "NBO", "CAI") if DEEP else ("PAR",)
FLIPS = 12 if DEEP else 1
DATABASE_FLIPS = 60 if DEEP else 3
OUTCOME_SECONDS = 90.0
SHORT_MARGIN = "import node.comet.restored as restored; restored.CLOCK_MARGIN_SECONDS = 1"
CHEATS = """
from node.consensus import Application
Application.prepare = lambda self, proposal, max_bytes: (b"garbage", *proposal.txs)
"""
ACCUSED: set[tuple[str, str]] = set()
"""(post, offence) that the ledger shall know of by now."""
OFF_BY = "import time; right = time.time; time.time = lambda: right() + {seconds}"


@pytest.fixture(scope="module")
def council(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Council]:
    built_engine()
    made = Council(tmp_path_factory.mktemp("council"), ("DHA", "DEL", "LON", "WAS", *FOLLOWERS), VALIDATORS)
    try:
        made.start()
        made.wait_ready()
        made.enrol("PAR", "officer", "drafter,releaser", "SECRET")
        made.enrol("DEL", "officer", "drafter,releaser", "SECRET")
        deliver(made, "PAR", "officer", "DEL", "officer")
        made.settle()
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def kept_whole(council: Council) -> Iterator[None]:
    """After each test all nodes run, a cable arrives, all roots are equal, and only who cheated is accused."""
    yield
    for code in council.codes:
        if code not in council.nodes:
            council.start(code)
    council.wait_ready()
    deliver(council, "DEL", "officer", "PAR", "officer")
    council.check_history(*ACCUSED)


def said_since(council: Council, code: str, start: int) -> str:
    return council.log(code).read_text()[start:]


def outcome(council: Council, code: str, start: int) -> str:
    """How a start turned out: "ready", the code of the alarm for its engine, or that of the error it ended with."""
    deadline = time.monotonic() + OUTCOME_SECONDS
    while time.monotonic() < deadline:
        if council.nodes[code].poll() is not None:
            council.nodes.pop(code)
            return ended_with(said_since(council, code, start))
        try:
            status = council.status(code)
            if "alarm engine-crash-loop" in said_since(council, code, start):
                return "engine-crash-loop"
            if status.ready and status.log_size >= council.status("DHA").log_size:
                return "ready"
        except DutabartaError:
            pass  # it does not answer, or what was damaged is needed to ask it
        time.sleep(0.2)
    raise AssertionError(f"{code} neither runs nor ends: {said_since(council, code, start)[-3000:]}")


def engine_outcome(council: Council, start: int) -> str:
    """As `outcome`, of LON's engine: it alone brings blocks to a validator that was ready before."""
    eventually(lambda: "the consensus engine of" in said_since(council, "LON", start), OUTCOME_SECONDS)
    before = council.status("DHA").log_size
    deliver(council, "DEL", "officer", "PAR", "officer")
    eventually(lambda: council.status("DHA").log_size > before)
    return outcome(council, "LON", start)


def ended_with(said: str) -> str:
    """The code of the one error at the end of a log, which a hint follows; no traceback is anywhere."""
    lines = said.strip().splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1 and errors[0].endswith("]") and "Traceback" not in said, said[-3000:]
    assert lines[lines.index(errors[0]) + 1].startswith("hint: "), said[-3000:]
    return errors[0].rpartition("[")[2].removesuffix("]")


def is_restored(council: Council, code: str) -> bool:
    return not council.signs_with_own_key(code)


# --- flipped bits ----------------------------------------------------------------------------------------------------

CARRIED = ("config.toml", "genesis.log", "entry.key", "cosigner.key", "log.key", "consensus.key", "tls.key", "tls.crt")


@pytest.mark.parametrize("code", ["LON", "PAR"])
def test_a_flipped_bit_in_what_an_operator_keeps_is_named_and_nothing_is_signed(council: Council, code: str) -> None:
    """Healed as the hint says: from the backup. Most of a certificate's or a configuration's bits must matter, too."""
    folder, random = node_folder(council.home(code)), Random(20261123)
    assert council.stop(code) == 0
    signed = council.rows(code, "SELECT size, root FROM sign_state")
    for name in CARRIED:
        path = folder / name if "." not in name or name in ("config.toml", "genesis.log") else folder / "keys" / name
        whole = path.read_bytes()
        for _ in range(FLIPS):
            start, which = len(council.log(code).read_text()), flip(path, random)
            council.start(code)
            found = outcome(council, code, start)
            if found == "ready":
                assert council.stop(code) == 0
            path.write_bytes(whole)
            if path.suffix in (".key", ".crt") and found == "ready":
                raise AssertionError(f"{which} went unnoticed")
            if found != "ready":
                assert council.rows(code, "SELECT size, root FROM sign_state") == signed, which
            signed = council.rows(code, "SELECT size, root FROM sign_state")


@pytest.mark.parametrize("code", ["LON", "PAR"])
def test_a_flipped_bit_in_the_database_is_harmless_or_named_and_heals(council: Council, code: str) -> None:
    folder, random = node_folder(council.home(code)), Random(7)
    found = set()
    for _ in range(DATABASE_FLIPS):
        assert council.stop(code) == 0
        whole, start = (folder / "node.db").read_bytes(), len(council.log(code).read_text())
        which = flip(folder / "node.db", random)
        council.start(code)
        found.add(result := outcome(council, code, start))
        if result != "ready":
            if code in council.nodes:
                council.kill(code)
            for name in ("node.db-wal", "node.db-shm"):
                (folder / name).unlink(missing_ok=True)
            (folder / "node.db").write_bytes(whole)
            council.start(code)
            council.wait_ready(code)
        assert result in ("ready", "log-damaged", "store-damaged", "store-failed", "contradicting-log"), which


def test_a_flipped_bit_in_a_file_that_the_node_writes_anew_is_healed_by_the_start(council: Council) -> None:
    random = Random(11)
    for path in sorted((council.engine_folder("LON") / "config").iterdir()):
        assert council.stop("LON") == 0
        whole, start = path.read_bytes(), len(council.log("LON").read_text())
        flip(path, random)
        council.start("LON")
        assert engine_outcome(council, start) == "ready"
        assert path.name == "addrbook.json" or path.read_bytes() == whole
        assert not is_restored(council, "LON")


@pytest.mark.parametrize("name", ["state.db", *(["cs.wal", "blockstore.db", "evidence.db"] if DEEP else [])])
def test_a_flipped_bit_in_the_engines_data_is_healed_by_its_peers(council: Council, name: str) -> None:
    """By itself, or after an alarm as docs/operator says: all but the sign-state is moved away."""
    random, data = Random(13), council.engine_folder("LON") / "data"
    for _ in range(FLIPS):
        assert council.stop("LON") == 0
        start = len(council.log("LON").read_text())
        for path in (data / name).iterdir():
            if path.stat().st_size:
                flip(path, random)
        council.start("LON")
        if (found := engine_outcome(council, start)) != "ready":
            assert found == "engine-crash-loop"
            assert council.stop("LON") == 0
            start = len(council.log("LON").read_text())
            for folder in (data / "cs.wal", *data.glob("*.db")):
                shutil.rmtree(folder)
            council.start("LON")
            assert engine_outcome(council, start) == "ready"
        assert not is_restored(council, "LON")


# --- disks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["file-limit", *(["small-disk"] if may_mount() and DEEP else [])])
def test_a_validator_with_a_full_disk_stops_with_a_sentence_and_comes_back(council: Council, how: str) -> None:
    assert council.stop("LON") == 0
    folder, start = node_folder(council.home("LON")), len(council.log("LON").read_text())
    for path in folder.rglob("*.sock"):
        path.unlink()
    disk = SmallDisk(folder) if how == "small-disk" else None
    try:
        if disk is not None:
            disk.leave_free(60_000)
            council.start("LON")
        else:
            council.start_under("LON", growing_to((folder / "node.db").stat().st_size + 60_000))
        deadline = time.monotonic() + OUTCOME_SECONDS
        while council.nodes["LON"].poll() is None and time.monotonic() < deadline:
            deliver(council, "DEL", "officer", "PAR", "officer")
        assert council.wait_end("LON") == 4
        assert ended_with(said_since(council, "LON", start)) in ("disk-full", "store-failed")
        if disk is not None:
            disk.enlarge()
            council.start("LON")
            council.wait_ready("LON")
            assert council.stop("LON") == 0
    finally:
        if disk is not None:
            disk.close()


def test_a_validator_with_a_read_only_disk_does_not_start(council: Council) -> None:
    assert council.stop("LON") == 0
    start = len(council.log("LON").read_text())
    with without_write_permission(node_folder(council.home("LON"))):
        council.start_under("LON", obeying_permissions())
        assert council.wait_end("LON") == 4
    assert ended_with(said_since(council, "LON", start)) == "disk-read-only"


# --- clocks and cheats -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [-700, *([700] if DEEP else [])])
def test_a_node_whose_clock_is_wrong_says_so_and_the_others_go_on(council: Council, seconds: int) -> None:
    assert council.stop("LON") == 0
    start, signed = len(council.log("LON").read_text()), council.rows("LON", "SELECT size FROM sign_state")
    council.start_patched("LON", OFF_BY.format(seconds=seconds))
    eventually(lambda: "alarm wrong-clock" in said_since(council, "LON", start), 60.0)
    held = council.rows("LON", "SELECT size FROM sign_state")
    deliver(council, "DEL", "officer", "PAR", "officer")
    assert held[0][0] >= signed[0][0] and council.rows("LON", "SELECT size FROM sign_state") == held
    assert council.stop("LON") == 0


def test_a_validator_that_proposes_garbage_is_outvoted(council: Council) -> None:
    assert council.stop("LON") == 0
    council.start_patched("LON", CHEATS)
    council.wait_ready("LON")
    for _ in range(4):
        deliver(council, "DEL", "officer", "PAR", "officer")
    assert council.stop("LON") == 0


TWIN = """
import node.comet.home as home
from pathlib import Path
from node.secrets import load_node_keys
other = load_node_keys(Path({keys!r})).consensus
own = home.node_key_json
home.node_key_json = lambda signer: own(other)
"""


def test_a_validators_key_on_two_machines_is_named_on_the_ledger_and_told_by_an_audit(council: Council) -> None:
    """The second machine shows itself to its peers with another post's key, or they would refuse it as a double."""
    home, twin = council.home("LON"), council.folder / "LON-twin"
    assert council.stop("LON") == 0
    shutil.copytree(home, twin, ignore=shutil.ignore_patterns("*.sock"))
    config = load_config(node_folder(twin))
    listen = f"127.0.0.1:{free_port()}"
    engine = replace(config.engine, listen=f"127.0.0.1:{free_port()}")
    save_config(node_folder(twin), replace(config, listen=listen, engine=engine))
    council.start("LON")
    council.wait_ready("LON")
    original = council.nodes.pop("LON")
    council.start_patched("LON", TWIN.format(keys=str(node_folder(council.home("PAR")) / KEYS_FOLDER)), twin)
    second, council.nodes["LON"] = council.nodes["LON"], original
    try:
        deadline = time.monotonic() + 4 * OUTCOME_SECONDS
        while not council.offences("DHA"):
            assert time.monotonic() < deadline and second.poll() is None, "no double vote was seen"
            deliver(council, "DEL", "officer", "PAR", "officer")
    finally:
        second.kill()
        second.wait()
    ACCUSED.add(("LON", "duplicate-vote"))
    eventually(lambda: council.offences("PAR") == ACCUSED)
    # Of a post whose store no test has damaged: an audit finds a flipped bit in an old checkpoint, too.
    report = council.must("audit", "replay", "--home", council.home("DHA"))
    assert report["ok"] and {(one["post"], one["offence"]) for one in report["offences"]} == ACCUSED


# --- back from a backup: last, for the validator signs nothing for a while ---------------------------------------


def until_own_key(council: Council) -> None:
    """New blocks until LON votes with its own key again."""

    def signs() -> bool:
        if is_restored(council, "LON"):
            deliver(council, "DEL", "officer", "PAR", "officer")
        return not is_restored(council, "LON")

    eventually(signs, OUTCOME_SECONDS)


def test_a_validator_whose_engine_folder_is_gone_fetches_its_blocks_again(council: Council) -> None:
    assert council.stop("LON") == 0
    start = len(council.log("LON").read_text())
    shutil.rmtree(node_folder(council.home("LON")) / "comet")
    council.start_patched("LON", SHORT_MARGIN)
    council.wait_ready("LON")
    eventually(lambda: "the consensus engine of" in said_since(council, "LON", start), OUTCOME_SECONDS)
    eventually(lambda: is_restored(council, "LON"), 15.0)
    assert is_restored(council, "LON")
    until_own_key(council)
    assert council.stop("LON") == 0


@pytest.mark.parametrize("what", ["as-backups-are", "everything"])
def test_yesterdays_validator_signs_nothing_twice(council: Council, tmp_path: Path, what: str) -> None:
    folder = node_folder(council.home("LON"))
    assert council.stop("LON") == 0
    left_out = shutil.ignore_patterns("*.sock", *(["comet"] if what == "as-backups-are" else []))
    shutil.copytree(folder, tmp_path / "backup", ignore=left_out)
    council.start("LON")
    council.wait_ready("LON")
    deliver(council, "DEL", "officer", "PAR", "officer")
    council.settle()
    assert council.stop("LON") == 0
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "backup", folder)
    start = len(council.log("LON").read_text())
    council.start_patched("LON", SHORT_MARGIN)
    council.wait_ready("LON")
    eventually(lambda: "the consensus engine of" in said_since(council, "LON", start), OUTCOME_SECONDS)
    eventually(lambda: is_restored(council, "LON"), 15.0)
    assert is_restored(council, "LON") and "alarm rolled-back" in said_since(council, "LON", start)
    until_own_key(council)
    deliver(council, "DEL", "officer", "PAR", "officer")
    assert council.stop("LON") == 0


def test_a_validator_rebuilt_from_its_keys_and_the_genesis_signs_nothing_twice(council: Council) -> None:
    folder = node_folder(council.home("LON"))
    assert council.stop("LON") == 0
    for path in folder.glob("node.db*"):
        path.unlink()
    shutil.rmtree(folder / "comet")
    start = len(council.log("LON").read_text())
    council.start_patched("LON", SHORT_MARGIN)
    council.wait_ready("LON")
    eventually(lambda: "the consensus engine of" in said_since(council, "LON", start), OUTCOME_SECONDS)
    eventually(lambda: is_restored(council, "LON"), 15.0)
    assert is_restored(council, "LON") and "alarm rolled-back" in said_since(council, "LON", start)
    assert council.stop("LON") == 0
