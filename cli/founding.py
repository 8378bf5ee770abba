"""Founding a network from public cards, and settling each post in it. Reads and writes the posts' folders."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cli.plan import Plan, PlannedPost
from keys.card import Card, CardKind, format_card, parse_card
from keys.keystore import Cost, open_keystore, seal_keystore
from keys.possession import ProvenKey, prove
from keys.public import SUITE_DUAL
from keys.signing import DirectVerifier, SoftwareSigner
from ledger import genesis
from ledger.bodies import PostAdmitted
from ledger.genesis import Founding
from ledger.logfile import LEAF, LogItem, leaves_of, read_log, write_log
from ledger.network_policy import policy_text
from ledger.parameters import DEFAULT_PARAMETERS, EXERCISE_PARAMETERS
from ledger.wire import CODEC, MAX_LEAF_BYTES
from node.api.tls import pin_of
from node.config import GENESIS_FILE, INTAKE_FOLDER, KEYS_FOLDER, NodeConfig, load_config, node_folder, save_config
from node.secrets import NodeKeys, create_node_keys, load_node_keys
from protos.errors import Refused, Unavailable
from terminal.files import make_private_folder, write_private
from terminal.folder import Config, Folder
from terminal.founding import Enrolled, FirstSupervisor, enrol_first
from terminal.keyring import Keyring

T = TypeVar("T")

PORTS = range(20_000, 32_000)
"""Below the ports that systems hand out to callers, so that a node's port is free when it starts."""
ROOT_COUNT = 5
PENDING = "first-supervisors.json"


@dataclass(frozen=True, slots=True)
class PostKeys:
    """What `post keygen` makes: the public card and where it belongs."""

    card: str
    admitted: PostAdmitted


def make_post(
    home: Path, post: PlannedPost, address: str, headquarters: bool, passphrase: bytes, cost: Cost
) -> PostKeys:
    """Random keys of a post's node and of its two first supervisors, in `home`; nothing secret leaves it.

    Raises `Refused("keys-exist")` if the post has keys.
    """
    folder = node_folder(home)
    make_private_folder(folder)
    keys = create_node_keys(folder / KEYS_FOLDER)
    supervisors = [FirstSupervisor.generate(name) for name in post.supervisors]
    for one in supervisors:
        make_private_folder(home / "terminals" / one.name)
        Folder(home / "terminals" / one.name).save_keyring(one.keyring, passphrase, cost)
    pending = [{"name": one.name, "officer_id": one.officer_id.hex()} for one in supervisors]
    write_private(home / PENDING, json.dumps(pending, ensure_ascii=False).encode())
    save_config(folder, NodeConfig(post.code, listen=address, address=address))
    admitted = _admitted(post, address, headquarters, keys, supervisors)
    return PostKeys(format_card(Card(CardKind.POST, CODEC.encode(admitted))), admitted)


def make_root(path: Path, passphrase: bytes, cost: Cost) -> str:
    """A root holder's key in a keystore at `path`; its public card. Raises `Refused("keys-exist")`."""
    if path.exists():
        raise Refused("keys-exist", f"{path} exists already", hint="a root holder makes his key once", path=path)
    signer = SoftwareSigner.generate(SUITE_DUAL)
    write_private(path, seal_keystore(signer.secret, passphrase, cost))
    return format_card(Card(CardKind.ROOT, CODEC.encode(prove(signer, "root"))))


def load_root(path: Path, passphrase: bytes) -> SoftwareSigner:
    """The signer in a root holder's keystore. Raises the keystore's errors, `Unavailable("file-missing")`."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise Unavailable(
            "file-missing", f"cannot read {path}: {problem.strerror}", hint="look at the path"
        ) from problem
    return SoftwareSigner.from_secret(SUITE_DUAL, open_keystore(data, passphrase))


def found(plan: Plan, cards: Iterable[str], exercise: bool) -> tuple[bytes, ...]:
    """The leaves of the first block. Roots go by key id: the order in which cards are named decides nothing.

    Raises `Malformed` for a card, `Refused("wrong-cards")` unless they are those of the plan's posts.
    """
    parsed = [parse_card(text) for text in cards]
    posts = [_decode(PostAdmitted, one) for one in parsed if one.kind == CardKind.POST]
    roots = [_decode(ProvenKey, one) for one in parsed if one.kind == CardKind.ROOT]
    if sorted(post.code for post in posts) != sorted(plan.codes):
        missing = sorted(set(plan.codes) ^ {post.code for post in posts})
        raise Refused(
            "wrong-cards", f"cards and plan differ in: {', '.join(missing)}", hint="bring one card of each post"
        )
    parameters = EXERCISE_PARAMETERS if exercise else DEFAULT_PARAMETERS
    roots.sort(key=lambda one: one.key.key_id)
    return genesis.build(plan.name, exercise, plan.founded_at, parameters, roots, posts, plan.validators)


def save_genesis(path: Path, leaves: Sequence[bytes]) -> None:
    """Write the first block as a log file."""
    with path.open("wb") as file:
        write_log(file, [LogItem(LEAF, leaf) for leaf in leaves])


def load_genesis(path: Path) -> tuple[tuple[bytes, ...], Founding]:
    """The leaves of a first block and what they found, checked. Raises `Malformed`, `Unavailable("file-missing")`."""
    try:
        with path.open("rb") as file:
            leaves = tuple(leaves_of(read_log(file)))
    except OSError as problem:
        raise Unavailable(
            "file-missing", f"cannot read {path}: {problem.strerror}", hint="look at the path"
        ) from problem
    return leaves, genesis.found(leaves, DirectVerifier())


def settle(home: Path, leaves: Sequence[bytes], passphrase: bytes, at: int) -> None:
    """A post's first step after founding: genesis, the supervisors' terminals, their entries for the node to submit.

    A post that the genesis does not name may have been admitted since: its node learns it from the ledger. Raises
    `Refused("not-in-genesis")` if the genesis names this post with other keys.
    """
    founding = genesis.found(leaves, DirectVerifier())
    folder = node_folder(home)
    config, keys = load_config(folder), load_node_keys(folder / KEYS_FOLDER)
    post = founding.state.post(config.post)
    if post is not None and post.entry_key != keys.entry.public_key.key:
        raise Refused(
            "not-in-genesis", "this genesis does not name the keys of this post", hint="ask HQ for the right one"
        )
    save_genesis(folder / GENESIS_FILE, leaves)
    if has_first_supervisors(home):
        _settle_supervisors(home, config.post, config.address, founding, keys, passphrase, at)


def has_first_supervisors(home: Path) -> bool:
    """Whether the terminals of the first supervisors still wait for the network."""
    return (home / PENDING).exists()


def free_addresses(count: int) -> tuple[str, ...]:
    """Loopback addresses whose ports are free now, and the ports after them, which a validator's engine takes."""
    candidates = random.sample(PORTS, len(PORTS))
    held: list[socket.socket] = []
    found: list[str] = []
    try:
        for port in candidates:
            if len(found) == count:
                break
            pair = socket.socket(), socket.socket()
            held += pair
            with suppress(OSError):
                for offset, one in enumerate(pair):
                    one.bind(("127.0.0.1", port + offset))
                found.append(f"127.0.0.1:{port}")
        return tuple(found)
    finally:
        for one in held:
            one.close()


def terminal_config(
    founding: Founding, post: str, name: str, officer_id: bytes, address: str, certificate: bytes
) -> Config:
    """The config.toml of an officer's terminal."""
    return Config(
        network_id=founding.network_id.hex(),
        post=post,
        officer_id=officer_id.hex(),
        officer_name=name,
        node=address,
        pin=pin_of(certificate).hex(),
        exercise=founding.genesis.exercise,
    )


def _settle_supervisors(
    home: Path, code: str, address: str, founding: Founding, keys: NodeKeys, passphrase: bytes, at: int
) -> None:
    supervisors = [_load_supervisor(home, one, passphrase) for one in json.loads((home / PENDING).read_bytes())]
    pairs = zip(supervisors, reversed(supervisors), strict=True)
    enrolled = [enrol_first(founding.network_id, one, other, at) for one, other in pairs]
    _write_intake(node_folder(home) / INTAKE_FOLDER, enrolled)
    for one in enrolled:
        supervisor = one.supervisor
        folder = Folder(home / "terminals" / supervisor.name)
        certificate = keys.tls.certificate
        config = terminal_config(founding, code, supervisor.name, supervisor.officer_id, address, certificate)
        folder.save_keyring(supervisor.keyring, passphrase, config.cost)
        folder.save_policy(policy_text(founding.state, founding.origin))
        folder.save_node_certificate(certificate)
        folder.save_config(config)
    (home / PENDING).unlink()


def _load_supervisor(home: Path, one: dict[str, str], passphrase: bytes) -> FirstSupervisor:
    keyring: Keyring = Folder(home / "terminals" / one["name"]).load_keyring(passphrase)
    return FirstSupervisor(one["name"], bytes.fromhex(one["officer_id"]), keyring)


def _write_intake(folder: Path, enrolled: Sequence[Enrolled]) -> None:
    """Entries in the order in which the node submits them; the bundles beside them."""
    make_private_folder(folder)
    terminals = [one.leaves[0] for one in enrolled]
    prekeys = [one.leaves[1] for one in enrolled]
    for number, leaf in enumerate([*terminals, *prekeys]):
        write_private(folder / f"{number:03}.entry", leaf)
    for number, one in enumerate(enrolled):
        write_private(folder / f"{number:03}.bundle", one.signed_bundle)


def _admitted(
    post: PlannedPost, address: str, headquarters: bool, keys: NodeKeys, supervisors: Sequence[FirstSupervisor]
) -> PostAdmitted:
    return PostAdmitted(
        code=post.code,
        headquarters=headquarters,
        satellite=post.satellite,
        address=address,
        entry_key=keys.proven("entry"),
        cosigner_key=keys.proven("cosigner"),
        log_key=keys.proven("log"),
        consensus_key=keys.proven_consensus(),
        certificate=keys.tls.certificate,
        supervisors=tuple(one.public for one in supervisors),
    )


def _decode(kind: type[T], card: Card) -> T:
    return CODEC.decode(kind, card.content, limit=MAX_LEAF_BYTES)
