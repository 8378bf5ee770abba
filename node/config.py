"""A node's configuration: H/node/config.toml (docs/operator). An unknown key is refused by name."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ledger.names import is_code
from node.api.limits import Limits
from node.api.tls import split_address
from node.comet.profiles import LAN, PROFILES
from protos.errors import Malformed, Unavailable

CONFIG_FILE = "config.toml"
GENESIS_FILE = "genesis.log"
DATABASE_FILE = "node.db"
KEYS_FOLDER = "keys"
INTAKE_FOLDER = "intake"
ENGINE_FOLDER = "comet"
NODE_FOLDER = "node"

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an operator may state about a validator's consensus engine. Empty: what follows from the node's own address.

    `listen` is host:port for other validators' engines; `program` is the file of CometBFT; `profile` says what the
    links between validators are like (node/comet/profiles.py); `peers` gives the addresses of other engines by post
    code.
    """

    listen: str = ""
    program: str = ""
    profile: str = LAN
    peers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CourierSettings:
    """`link_kbit`: kbit/s that the courier may send, over all its links; 0: no bound.

    `is_relay`: whether the node hands on what is for another post, as HQ does. `relays`: by destination, the post that
    hands on what cannot go there directly; HQ without one. A relay names none itself, so that nothing goes in a circle.
    """

    link_kbit: int = 0
    is_relay: bool = False
    relays: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What an operator states about one node.

    `listen` is where the socket binds, `address` what others dial (as on the ledger). `database` is a SQLAlchemy URL,
    empty for node.db beside the configuration. `peers` gives addresses that override the ledger's, by post code.
    """

    post: str
    listen: str
    address: str
    database: str = ""
    peers: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    engine: EngineSettings = field(default_factory=EngineSettings)
    courier: CourierSettings = field(default_factory=CourierSettings)


def node_folder(home: Path) -> Path:
    """H/node."""
    return home / NODE_FOLDER


def load_config(folder: Path) -> NodeConfig:
    """Read `folder`/config.toml. Raises `Unavailable` when there is none, `Malformed` for a bad one."""
    path = folder / CONFIG_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise Unavailable(
            "no-config",
            f"cannot read {path}: {problem.strerror}",
            hint="is --home a post's folder? `dutabarta post keygen` makes one",
            path=path,
        ) from problem
    except UnicodeDecodeError as problem:
        raise Malformed("bad-config", f"{path} is not UTF-8", path=path) from problem
    return parse_config(text)


def parse_config(text: str) -> NodeConfig:
    """The configuration a TOML text states. Raises `Malformed` with the key's name."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise _bad(f"not TOML: {problem}") from problem
    table = dict(raw)
    limits = _take(Limits, _table(table.pop("limits", {}), "limits"), "limits.")
    peers = _table(table.pop("peers", {}), "peers")
    engine = _engine(_table(table.pop("engine", {}), "engine"))
    courier = _courier(_table(table.pop("courier", {}), "courier"))
    parts = {"limits": limits, "peers": peers, "engine": engine, "courier": courier}
    config = _take(NodeConfig, {**table, **parts}, "")
    engines = (*filter(None, [engine.listen]), *engine.peers.values())
    for address in (config.listen, config.address, *config.peers.values(), *engines):
        if not isinstance(address, str):
            raise _bad("an address must be text")
        split_address(address)
    return config


def format_config(config: NodeConfig) -> str:
    """The TOML text of `config`; `parse_config` gives the same configuration back."""
    plain = {"post": config.post, "listen": config.listen, "address": config.address}
    if config.database:
        plain["database"] = config.database
    lines = [f"{key} = {_quoted(value)}" for key, value in plain.items()]
    if config.peers:
        lines += ["", "[peers]", *(f"{code} = {_quoted(address)}" for code, address in sorted(config.peers.items()))]
    changed = [
        (f.name, getattr(config.limits, f.name))
        for f in dataclasses.fields(Limits)
        if getattr(config.limits, f.name) != f.default
    ]
    if changed:
        lines += ["", "[limits]", *(f"{name} = {value}" for name, value in changed)]
    return "\n".join([*lines, *_courier_lines(config.courier), *_engine_lines(config.engine)]) + "\n"


def _courier(table: dict[str, Any]) -> CourierSettings:
    relays = _table(table.pop("relays", {}), "courier.relays")
    settings = _take(CourierSettings, {**table, "relays": relays}, "courier.")
    if not all(is_code(code) for pair in relays.items() for code in pair):
        raise _bad("courier.relays names posts by their codes", hint='for example TYO = "SIN"')
    if settings.is_relay and relays:
        raise _bad("a relay names no relays itself", hint="it hands on directly, or through headquarters")
    return settings


def _courier_lines(courier: CourierSettings) -> list[str]:
    lines = [f"link_kbit = {courier.link_kbit}"] if courier.link_kbit else []
    lines += ["is_relay = true"] if courier.is_relay else []
    if lines:
        lines = ["", "[courier]", *lines]
    if courier.relays:
        lines += [
            "",
            "[courier.relays]",
            *(f"{code} = {_quoted(relay)}" for code, relay in sorted(courier.relays.items())),
        ]
    return lines


def _engine(table: dict[str, Any]) -> EngineSettings:
    peers = _table(table.pop("peers", {}), "engine.peers")
    settings = _take(EngineSettings, {**table, "peers": peers}, "engine.")
    if settings.profile not in PROFILES:
        raise _bad(f"there is no engine.profile {settings.profile!r}", hint=f"one of {', '.join(PROFILES)}")
    return settings


def _engine_lines(engine: EngineSettings) -> list[str]:
    profile = "" if engine.profile == LAN else engine.profile
    stated = {"listen": engine.listen, "program": engine.program, "profile": profile}
    lines = [f"{key} = {_quoted(value)}" for key, value in stated.items() if value]
    if lines:
        lines = ["", "[engine]", *lines]
    if engine.peers:
        peers = (f"{code} = {_quoted(address)}" for code, address in sorted(engine.peers.items()))
        lines += ["", "[engine.peers]", *peers]
    return lines


def save_config(folder: Path, config: NodeConfig) -> None:
    """Write `folder`/config.toml, making the folder (0700) where it is missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(format_config(config), encoding="utf-8")


def _take(cls: type[C], table: Mapping[str, Any], prefix: str) -> C:
    known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key, value in table.items():
        if key not in known:
            raise _bad(f"unknown key {prefix}{key}", hint=f"known keys: {', '.join(known)}")
        kind = str(known[key].type)
        if kind in _KINDS and not _KINDS[kind][0](value):
            raise _bad(f"{prefix}{key} must be {_KINDS[kind][1]}")
    missing = [
        name
        for name, f in known.items()
        if name not in table and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise _bad(f"missing key {prefix}{missing[0]}")
    return cls(**table)


_KINDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "str": (lambda value: isinstance(value, str), "text"),
    "int": (lambda value: _is_count(value), "a positive number"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
}


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _table(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad(f"[{name}] must be a table")
    return value


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _bad(text: str, hint: str = "") -> Malformed:
    return Malformed("bad-config", f"config.toml: {text}", hint=hint or "see docs/operator for the keys", what=text)
