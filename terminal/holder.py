"""Where the keys of a terminal live: in this process's memory, or in a token that never gives them away.

A keyring keeps of each key what its holder made of it, and asks the holder for the signer. What a token needs is loaded
by those who use one (terminal/tokens.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from keys.keystore import Cost, seal_keystore
from keys.signing import Signer, SoftwareSigner
from protos.errors import Unavailable

if TYPE_CHECKING:
    from terminal.tokens import TokenKeys


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """Which token: the absolute path of its PKCS #11 module, and its label (empty: the only token there is)."""

    module: str
    label: str = ""


class KeyHolder(Protocol):
    """Makes keys, signs with them, and seals the keyring's bytes for the disk."""

    def generate(self, suite: int) -> bytes:
        """A new key: what a keyring keeps of it, from which `signer` makes its signer."""

    def signer(self, suite: int, kept: bytes) -> Signer:
        """Raises `Malformed` if `kept` is not what `generate` made for this suite."""

    def seal(self, content: bytes, passphrase: bytes, cost: Cost) -> bytes:
        """The keystore file's bytes."""

    def change_pin(self, old: bytes, new: bytes) -> None:
        """Change what opens the holder itself. Raises `Refused`; then nothing has changed."""

    def destroy(self, kept: bytes) -> None:
        """Destroy what the holder has of one key."""

    def destroy_all(self) -> None:
        """Destroy everything the holder has of this terminal: what it sealed opens no more."""

    def close(self) -> None:
        """Give the holder back. Its signers sign no more."""


class InMemory:
    """Keeps nothing: the keyring has the secrets, the file is sealed under the passphrase alone."""

    def generate(self, suite: int) -> bytes:
        return SoftwareSigner.generate(suite).secret

    def signer(self, suite: int, kept: bytes) -> Signer:
        return SoftwareSigner.from_secret(suite, kept)

    def seal(self, content: bytes, passphrase: bytes, cost: Cost) -> bytes:
        return seal_keystore(content, passphrase, cost)

    def change_pin(self, old: bytes, new: bytes) -> None:
        """Nothing: the passphrase is the file's."""

    def destroy(self, kept: bytes) -> None:
        """Nothing: the keyring has it all."""

    def destroy_all(self) -> None:
        """Nothing: the keyring has it all."""

    def close(self) -> None:
        """Nothing is open."""


IN_MEMORY = InMemory()


@contextmanager
def new_keys(place: TokenPlace, pin: bytes, context: bytes) -> Iterator[TokenKeys]:
    """A token's keys for a new terminal; what was made in the token is destroyed again if the block fails.

    `context`: whose terminal it is, bound into what the token seals. Raises as `open_keys`, and "token-full".
    """
    with closing(_tokens().create(place, pin, context)) as keys:
        try:
            yield keys
        except BaseException:
            keys.destroy_all()
            raise


def open_keys(place: TokenPlace, pin: bytes, data: bytes, context: bytes) -> tuple[TokenKeys, bytes]:
    """The token's keys for the terminal whose wrapped keystore `data` is, and what the keystore holds.

    Raises the wrapped keystore's errors, "wrong-token-pin", "token-pin-last-try", "token-pin-locked", "token-missing",
    "ambiguous-token", "token-busy", "token-module", "token-library", "token-key-missing", "token-failed".
    """
    keys = _tokens().existing(place, pin, data, context)
    try:
        return keys, keys.open(data)
    except BaseException:
        keys.close()
        raise


def _tokens() -> type[TokenKeys]:
    try:
        from terminal.tokens import TokenKeys
    except ModuleNotFoundError as problem:
        raise Unavailable(
            "token-library",
            f"the library for tokens is not installed ({problem.name})",
            hint="install Dutabarta with the extra `token` (requirements/token.lock)",
        ) from problem
    return TokenKeys
