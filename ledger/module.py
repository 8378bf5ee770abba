"""What a kind of entry is to the machine: a Module says who must sign it and what it changes.

The machine decodes the payload, asks `check` for the authority that the entry needs, compares it with the
signatures, verifies them last, and only then calls `apply`. So a Module holds rules and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from keys.possession import ProvenKey
from keys.public import PublicKey
from keys.purpose import Purpose
from ledger.state import State
from ledger.wire import Entry
from protos.codec import Codec


class Anchor(NamedTuple):
    """Where the log stood when the present block began: size, log root, state root."""

    size: int
    root: bytes
    state_root: bytes


@dataclass(slots=True)
class Context:  # made for every entry of a replay: frozen would cost as much as the rules themselves
    """One entry in its place; nobody changes it. `signers` are the key ids as listed.

    `index` is the log index that `leaf` gets.
    `time` is the block time (POSIX seconds), `block` the number of the block that it stands in (founding is 0).
    `start` is None where only governance is known: in a trust file.
    """

    state: State
    entry: Entry
    body: Any
    signers: tuple[bytes, ...]
    leaf: bytes
    index: int
    time: int
    block: int
    start: Anchor | None


class Signatory(NamedTuple):
    """A key that must have signed the entry, for this purpose."""

    key: PublicKey
    purpose: Purpose


class Entering(NamedTuple):
    """A key that the entry brings: new to the ledger, of this suite, proved for `role`, then owned by `owner`."""

    proven: ProvenKey
    role: str
    suite: int
    owner: str


class Authority(NamedTuple):
    """What an entry needs: exactly these signatures, the author's first and the others by key id; these new keys.

    `author` None: all signatures by key id, and the module itself answers for the sequence number (governance).
    """

    author: Signatory | None
    others: tuple[Signatory, ...] = ()
    entering: tuple[Entering, ...] = ()


class Module(Protocol):
    """The rules of some entry kinds. Both methods are pure: no clock, no randomness, no order of a set."""

    @property
    def name(self) -> str:
        """Begins the state keys that are the Module's own: `<name>/...`."""

    @property
    def kinds(self) -> Mapping[str, type[Any]]:
        """Each entry kind and the dataclass of its payload."""

    @property
    def codec(self) -> Codec:
        """Decodes those payloads."""

    def check(self, context: Context) -> Authority:
        """Who must have signed. Raises `Refused` or `Malformed`; changes nothing; verifies no signature."""

    def apply(self, context: Context) -> None:
        """Change `context.state`. Called only after everything was verified; never raises."""
