"""Enrolling an officer: his terminal's folder, the request file, and in an exercise everybody's signatures at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cli.founding import load_genesis, terminal_config
from cli.output import say
from ledger.genesis import Founding
from ledger.network_policy import policy_text
from node.client import fetch_certificate
from node.config import GENESIS_FILE, KEYS_FOLDER, load_config, node_folder
from node.secrets import load_node_keys
from protos.errors import Refused, Unavailable
from terminal.enrol import approve, enrolment_request
from terminal.files import make_private_folder
from terminal.folder import Config, Folder
from terminal.holder import IN_MEMORY, KeyHolder, TokenPlace, new_keys
from terminal.keyring import Keyring
from terminal.request import MAX_REQUEST_BYTES, Request, parse_request
from terminal.roster import missing_for, new_candidate, submit_request
from terminal.session import Session
from terminal.terminal import open_terminal

REQUEST = "request.json"


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who is to be enrolled, with what roles (numbers, ascending) and clearance; the token for his keys, if any."""

    name: str
    roles: tuple[int, ...]
    clearance: int
    token: TokenPlace | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A new officer's terminal, not yet on the ledger."""

    folder: Folder
    config: Config
    request: Request

    @property
    def request_path(self) -> Path:
        return self.folder.path / REQUEST


def parse_token(text: str | None) -> TokenPlace | None:
    """MODULE[:LABEL], the module's path from where the command is given."""
    if text is None:
        return None
    module, _, label = text.partition(":")
    return TokenPlace(str(Path(module).absolute()), label)


def prepare(home: Path, who: Newcomer, passphrase: bytes) -> Prepared:
    """Make H/terminals/NAME and its request; one that an earlier attempt left unfinished is taken up again.

    `passphrase` is the PIN if the keys go into a token.

    Raises `Refused("terminal-exists")` if that officer is enrolled, "no-config" or "file-missing" if `home` is no
    settled post.
    """
    folder = Folder(home / "terminals" / who.name)
    if unfinished := _unfinished(folder, passphrase):
        return unfinished
    place = node_folder(home)
    _, founding = load_genesis(place / GENESIS_FILE)
    config, keys = load_config(place), load_node_keys(place / KEYS_FOLDER)
    return _make(folder, who, founding, config.post, config.address, keys.tls.certificate, passphrase)


def prepare_remote(
    path: Path, who: Newcomer, address: str, pin: bytes, genesis: Path, post: str, passphrase: bytes
) -> Prepared:
    """The same in a folder of its own, for a node elsewhere. Raises "wrong-pin", "unreachable", "unknown-post"."""
    folder = Folder(path)
    if unfinished := _unfinished(folder, passphrase):
        return unfinished
    _, founding = load_genesis(genesis)
    founding.state.active_post(post)
    return _make(folder, who, founding, post, address, fetch_certificate(address, pin), passphrase)


def say_what_is_lost(made: Prepared) -> None:
    """What a token cannot give back, to whoever has just put his keys into one."""
    if made.config.token:
        say("talk.token-no-copy", token=made.config.token_label)


def point_at(path: Path, address: str, pin: bytes) -> Config:
    """Let an existing terminal, carried to another machine, use its node at `address`. Raises "wrong-pin"."""
    folder = Folder.existing(path)
    certificate = fetch_certificate(address, pin)
    config = replace(folder.load_config(), node=address, pin=pin.hex())
    folder.save_node_certificate(certificate)
    folder.save_config(config)
    return config


def _unfinished(folder: Folder, passphrase: bytes) -> Prepared | None:
    if not (folder.path / "config.toml").exists():
        return None
    if not (folder.path / REQUEST).exists():
        name = folder.path.name
        hint = "choose another name; one who is enrolled again first destroys his old terminal: `officer zeroize`"
        raise Refused("terminal-exists", f"{name} has a terminal here already", hint=hint, name=name)
    folder.load_keyring(passphrase).close()
    return Prepared(folder, folder.load_config(), read_request(folder.path / REQUEST))


def _make(
    folder: Folder, who: Newcomer, founding: Founding, post: str, address: str, certificate: bytes, passphrase: bytes
) -> Prepared:
    candidate = new_candidate(post, who.name, who.roles, who.clearance)
    config = terminal_config(founding, post, who.name, candidate.officer_id, address, certificate)
    with _holder(who.token, config, passphrase) as (holder, config):
        keyring = Keyring.generate(holder)
        request = enrolment_request(founding.network_id, candidate, keyring)
        make_private_folder(folder.path)
        folder.save_file(REQUEST, request.format().encode())
        folder.save_policy(policy_text(founding.state, founding.origin))
        folder.save_node_certificate(certificate)
        Folder.create(folder.path, config, keyring, passphrase)
    return Prepared(folder, config, request)


@contextmanager
def _holder(token: TokenPlace | None, config: Config, pin: bytes) -> Iterator[tuple[KeyHolder, Config]]:
    """Who makes the new keys, and the configuration that names him."""
    if token is None:
        yield IN_MEMORY, config
        return
    with new_keys(token, pin, config.context) as keys:
        yield keys, replace(config, token_module=keys.place.module, token_label=keys.place.label)


def complete_exercise(home: Path, made: Prepared, own: bytes, passphrase: bytes) -> None:
    """Sign with the supervisors found here and at the sibling HQ, enter everything, publish the first prekey.

    `own` opens the new terminal, `passphrase` the supervisors'; those with a token are not asked. Raises
    `Unavailable("no-supervisors")` if their terminals are not on this machine.
    """
    here = [path for path in _terminals(home) if path != made.folder.path]
    request = made.request
    for path in here:
        with open_terminal(path, passphrase) as supervisor:
            session = supervisor.session
            request = _approve_all(
                session, request, [*here, *_terminals(home.parent / _headquarters(session))], passphrase
            )
            if missing := missing_for(session, request):
                raise _no_supervisors(missing)
            made.folder.save_file(REQUEST, request.format().encode())
            submit_request(session, request)
            break
    else:
        raise _no_supervisors([made.config.post])
    with open_terminal(made.folder.path, own) as terminal:
        terminal.sync()
    made.request_path.unlink()


def read_request(path: Path) -> Request:
    """A request file. Raises `Malformed("not-a-request")`, `Unavailable("file-missing")`."""
    try:
        with path.open("rb") as file:
            return parse_request(file.read(MAX_REQUEST_BYTES + 1))
    except OSError as problem:
        raise Unavailable(
            "file-missing", f"cannot read {path}: {problem.strerror}", hint="look at the path"
        ) from problem


def _approve_all(session: Session, request: Request, folders: list[Path], passphrase: bytes) -> Request:
    """Add the signature of every supervisor among `folders` that the request still waits for."""
    for path in dict.fromkeys(folders):
        if not missing_for(session, request):
            break
        with suppress(Refused):  # not a supervisor, another passphrase, or not needed: the next one may do
            request = _approve_with(session, request, Folder(path), passphrase)
    return request


def _approve_with(session: Session, request: Request, folder: Folder, passphrase: bytes) -> Request:
    """Add one supervisor's signature, judged by what `session` sees of the ledger."""
    signer = folder.load_keyring(passphrase).officer_signer
    officer_id = bytes.fromhex(folder.load_config().officer_id)
    return session.view.judge(lambda state: approve(request, state.active_officer(officer_id), signer, state))


def _headquarters(session: Session) -> str:
    return session.view.judge(lambda state: state.headquarters())


def _terminals(home: Path) -> Iterator[Path]:
    """The terminals of a post that are on the ledger: a pending request marks the others. None with a token.

    A passphrase is never tried as a PIN: a few wrong ones lock a token.
    """
    found = sorted(one.parent for one in (home / "terminals").glob("*/config.toml"))
    return (path for path in found if not (path / REQUEST).exists() and not Folder(path).load_config().token)


def _no_supervisors(posts: list[str]) -> Unavailable:
    return Unavailable(
        "no-supervisors",
        f"no supervisor of {', '.join(posts)} could sign on this machine with this passphrase",
        hint="use the passphrase given to `network init`, or carry the request file to a supervisor: `officer approve`",
        posts=", ".join(posts),
    )
