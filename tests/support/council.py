"""Real nodes with several validators under the consensus engine, and what must hold after each fault."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from ledger.block import decode_record, is_record
from node.comet.home import OWN_KEY
from node.config import node_folder
from support.posts import eventually
from support.processes import ROOT, Exercise, dutabarta, plain


class Council(Exercise):
    """An exercise founded by `network template` and `network init --all-here`, with several validators."""

    def __init__(self, folder: Path, codes: tuple[str, ...], validators: tuple[str, ...]) -> None:
        self.folder, self.codes, self.nodes = folder / "posts", codes, {}
        folder.mkdir(parents=True, exist_ok=True)
        self.plan = folder / "network.toml"
        template = dutabarta("network", "template", "--posts", ",".join(codes)).out
        chosen = f"validators = {json.dumps(list(validators))}"
        self.plan.write_text(re.sub(r"(?m)^validators = .*$", chosen, template))
        self._passphrase = folder / "passphrase"
        self._passphrase.write_bytes(b"exercise\n")
        self._passphrase.chmod(0o600)
        self.must("network", "init", self.plan, "--all-here", self.folder)

    @property
    def passphrase_file(self) -> Path:
        return self._passphrase

    def roots(self) -> set[tuple[int, bytes]]:
        """(size, root) of every post that answers."""
        found = [self.status(code) for code in self.codes if code in self.nodes]
        return {(one.log_size, one.root) for one in found}

    # --- faults ------------------------------------------------------------------------------------------------

    def start_patched(self, code: str, patch: str, home: Path | None = None) -> None:
        """Start a daemon whose program has first run `patch`: a clock that is wrong, a validator that cheats."""
        program = f"import sys\n{patch}\nfrom cli.main import main\nsys.argv[0] = 'dutabarta'\nsys.exit(main())"
        command = [sys.executable, "-c", program, "node", "run", "--home", str(home or self.home(code))]
        with self.log(code).open("ab") as log:
            self.nodes[code] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, env=plain()
            )

    def engine_folder(self, code: str) -> Path:
        """H/node/comet/CHAIN-ID."""
        return next((node_folder(self.home(code)) / "comet").glob("dutabarta-*"))

    def signs_with_own_key(self, code: str) -> bool:
        """Whether the engine of a post was last started with the post's own consensus key."""
        path = self.engine_folder(code) / "config" / "config.toml"
        text = path.read_text("utf-8") if path.exists() else ""
        return bool(text) and str(tomllib.loads(text)["priv_validator_key_file"]).endswith(OWN_KEY)

    def offences(self, code: str) -> set[tuple[str, str]]:
        """(post, offence) in all block records that a post has."""
        records = [decode_record(leaf) for (leaf,) in self.rows(code, "SELECT data FROM leaves") if is_record(leaf)]
        return {(one.validator, one.offence) for record in records for one in record.misbehaviour}

    def check_history(self, *offences: tuple[str, str]) -> None:
        """Equal roots at all posts, never two roots for one size, nobody accused but for `offences`."""
        self.settle()
        assert len(self.roots()) == 1
        roots: dict[int, bytes] = {}
        for code in self.codes:
            for table in ("blocks", "cosignatures"):
                for size, root in self.rows(code, f"SELECT size, root FROM {table}"):
                    assert roots.setdefault(size, root) == root, (code, table, size)
            assert self.count(code, "evidence") == 0
            assert self.offences(code) == set(offences)
            assert "Traceback" not in self.log(code).read_text(), self.log(code)


def deliver(net: Council, origin: str, sender: str, to: str, reader: str) -> None:
    """One cable, sent, fetched and read."""
    sent = net.send(origin, sender, to)
    assert sent.code == 0, sent.err
    cable_id = sent.data["cable_id"]
    eventually(lambda: cable_id in _inbox(net, to, reader), 90.0)
    assert net.must("cable", "read", cable_id, *net.at(to, reader))["paragraphs"] == ["Text.\n"]


def _inbox(net: Council, code: str, reader: str) -> set[str]:
    listed = net.must("cable", "list", "--box", "in", *net.at(code, reader))["cables"]
    return {one["cable_id"] for one in listed}
