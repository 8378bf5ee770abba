"""A terminal's folder on disk (docs/protocol/terminal-folder.md)."""

from __future__ import annotations

import fcntl
import os
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from keys.keystore import Cost, open_keystore
from keys.wrapped import is_wrapped
from protos.errors import Malformed, Refused, Unavailable
from terminal.files import make_private_folder, write_private
from terminal.holder import TokenPlace, open_keys
from terminal.keyring import Keyring

LOCK_SECONDS = 60.0
_OPTIONAL = {"token_module", "token_label"}


@dataclass(frozen=True, slots=True)
class Config:
    """config.toml. Ids in hex; `pin` = SHA-256 of the node's certificate (DER); `exercise` marks cheap keystores.

    `token_module`, `token_label`: the token that has this terminal's keys; both are absent where it has none.
    """

    network_id: str
    post: str
    officer_id: str
    officer_name: str
    node: str
    pin: str
    exercise: bool = False
    token_module: str = ""
    token_label: str = ""

    @property
    def token(self) -> TokenPlace | None:
        """The token that has this terminal's keys."""
        return TokenPlace(self.token_module, self.token_label) if self.token_module else None

    @property
    def context(self) -> bytes:
        """Whose terminal it is: network id (32) || officer id (16), bound into what a token seals."""
        return bytes.fromhex(self.network_id) + bytes.fromhex(self.officer_id)

    @property
    def cost(self) -> Cost:
        """What guessing at the keystore's passphrase costs."""
        return Cost.EXERCISE if self.exercise else Cost.FULL

    def to_toml(self) -> str:
        found = {key: value for key, value in asdict(self).items() if value or key not in _OPTIONAL}
        return "".join(f"{key} = {_toml_value(value)}\n" for key, value in found.items())


class Folder:
    """Reads and writes the files of one terminal; knows no network and no ledger."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def existing(cls, path: Path) -> Folder:
        """Raises `Unavailable("no-terminal")` if `path` is not a terminal's folder."""
        if not (path / "config.toml").is_file():
            raise Unavailable(
                "no-terminal",
                f"{path} is not a terminal's folder",
                hint="name an enrolled officer with --officer NAME --home H, or a folder with --terminal T",
                path=str(path),
            )
        return cls(path)

    @classmethod
    def create(cls, path: Path, config: Config, keyring: Keyring, passphrase: bytes) -> Folder:
        """Make a new terminal. config.toml comes last: a folder without it is no terminal and may be made again."""
        if (path / "config.toml").exists():
            raise Refused(
                "terminal-exists", f"{path} is a terminal already", hint="choose another name", path=str(path)
            )
        make_private_folder(path)
        folder = cls(path)
        folder.save_keyring(keyring, passphrase, config.cost)
        folder.save_config(config)
        return folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process alone. Raises `Unavailable("terminal-busy")` after LOCK_SECONDS."""
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(handle, self.path)
            yield
        finally:
            os.close(handle)

    @property
    def store_path(self) -> Path:
        return self.path / "store.db"

    def load_config(self) -> Config:
        """Raises `Malformed("config-malformed")`; an unknown or missing key is refused."""
        try:
            return Config(**tomllib.loads(self._read("config.toml").decode()))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as problem:
            raise Malformed(
                "config-malformed", f"{self.path}/config.toml: {problem}", hint="correct the file by hand"
            ) from problem

    def save_config(self, config: Config) -> None:
        write_private(self.path / "config.toml", config.to_toml().encode())

    def load_keyring(self, passphrase: bytes) -> Keyring:
        """Raises the keystore's errors, among them "wrong-passphrase"; for a token's, those of `open_keys`.

        Whoever is done with the keyring closes it.
        """
        data = self._read("keystore")
        if not is_wrapped(data):
            return Keyring.decode(open_keystore(data, passphrase))
        config = self.load_config()
        if config.token is None:
            raise Malformed(
                "config-malformed",
                f"{self.path}/config.toml names no token, but the keystore is one's",
                hint="correct the file by hand",
            )
        holder, content = open_keys(config.token, passphrase, data, config.context)
        return Keyring.decode(content, holder)

    def save_keyring(self, keyring: Keyring, passphrase: bytes, cost: Cost) -> None:
        write_private(self.path / "keystore", keyring.holder.seal(keyring.encode(), passphrase, cost))

    def change_passphrase(self, old: bytes, new: bytes) -> None:
        """From now on `new` opens the terminal; for a token's, `new` is the token's PIN. Raises as `load_keyring`."""
        with closing(self.load_keyring(old)) as keyring:
            keyring.holder.change_pin(old, new)
            self.save_keyring(keyring, new, self.load_config().cost)

    def load_policy(self) -> str:
        """The C2SP tlog-policy text this terminal judges by."""
        return self._read("policy").decode(errors="replace")

    def save_policy(self, text: str) -> None:
        write_private(self.path / "policy", text.encode())

    def load_seen(self) -> bytes | None:
        """The newest checkpoint this terminal has verified (a signed note), if any."""
        path = self.path / "seen"
        return path.read_bytes() if path.exists() else None

    def save_seen(self, note: bytes) -> None:
        write_private(self.path / "seen", note)

    def save_file(self, name: str, data: bytes) -> None:
        """Any other small file of the terminal."""
        write_private(self.path / name, data)

    def keep_evidence(self, size: int, note: bytes) -> None:
        """Keep the first note that contradicts what this terminal has seen at or up to `size`."""
        path = self.path / f"evidence-{size}.note"
        if not path.exists():
            write_private(path, note)

    def load_trust(self) -> bytes | None:
        """The trust file that the policy follows from; None while that is still the founding's."""
        path = self.path / "trust"
        return path.read_bytes() if path.exists() else None

    def save_trust(self, data: bytes) -> None:
        write_private(self.path / "trust", data)

    def load_node_certificate(self) -> bytes:
        """The certificate (DER) that `pin` is the hash of."""
        return self._read("node.der")

    def save_node_certificate(self, der: bytes) -> None:
        write_private(self.path / "node.der", der)

    def _read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as problem:
            raise Unavailable(
                "file-missing",
                f"cannot read {self.path / name}: {problem.strerror}",
                hint="restore the terminal's folder from its backup",
                path=str(self.path / name),
            ) from problem


def _lock(handle: int, path: Path) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            if time.monotonic() > deadline:
                raise Unavailable(
                    "terminal-busy",
                    f"another program is using the terminal {path.name}",
                    hint="close it, or wait until it has finished",
                    path=str(path),
                ) from problem
            time.sleep(0.05)


def _toml_value(value: str | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    escaped = "".join(_escape(one) for one in value)
    return f'"{escaped}"'


def _escape(one: str) -> str:
    if one in '"\\':
        return "\\" + one
    return f"\\u{ord(one):04x}" if ord(one) < 0x20 or one == "\x7f" else one
