"""Two correspondents of another messenger: what it costs them to write to each other, and what they lose.

Every one of them keeps its books as a user would have to: the state after each message, and the message, are on the
disk before it counts as sent or read.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Coroutine
from pathlib import Path
from secrets import token_bytes
from time import perf_counter
from typing import Any, TypeVar

import vodozemac
from doubleratchet import DoubleRatchet, EncryptedMessage, Header
from doubleratchet.recommended import (
    HashFunction,
    aead_aes_hmac,
    diffie_hellman_ratchet_curve25519,
    kdf_hkdf,
    kdf_separate_hmacs,
)

HERE = Path(__file__).parent
T = TypeVar("T")


class Correspondence(ABC):
    """Two correspondents, 0 and 1, who have met. What `seal` and `open_` return is durable with the state behind it."""

    name: str

    def __init__(self, folder: Path, *, is_durable: bool = True) -> None:
        folder.mkdir()
        self.is_durable = is_durable
        self._journals = [(folder / str(who)).open("ab", buffering=0) for who in (0, 1)]
        self._backups: list[Any] = [None, None]

    @abstractmethod
    def seal(self, by: int, text: bytes) -> bytes: ...

    @abstractmethod
    def open_(self, by: int, sealed: bytes) -> bytes | None:
        """The text; None if it cannot be read, now."""

    def messages(self, count: int, text: bytes) -> float:
        """Seconds for this many messages, in turn in both directions."""
        start = perf_counter()
        for turn in range(count):
            assert self.open_(1 - turn % 2, self.seal(turn % 2, text)) == text
        return perf_counter() - start

    def keep(self, by: int, state: bytes, message: bytes) -> None:
        """A record of the state and the message, and a sync of the disk; nothing for who need not be durable."""
        if not self.is_durable:
            return
        journal = self._journals[by]
        journal.write(state + message)
        os.fdatasync(journal.fileno())

    def close(self) -> None:
        for journal in self._journals:
            journal.close()


class Peer(Correspondence):
    """Another messenger, whose state on the disk can be put back from a backup."""

    @abstractmethod
    def backup(self, by: int) -> None: ...

    @abstractmethod
    def restore(self, by: int) -> None: ...


# --- DoubleRatchet -----------------------------------------------------------------------------------------------


class _RootKdf(kdf_hkdf.KDF):
    @staticmethod
    def _get_hash_function() -> HashFunction:
        return HashFunction.SHA_256

    @staticmethod
    def _get_info() -> bytes:
        return b"root"


class _MessageKdf(kdf_separate_hmacs.KDF):
    @staticmethod
    def _get_hash_function() -> HashFunction:
        return HashFunction.SHA_256


class _Aead(aead_aes_hmac.AEAD):
    @staticmethod
    def _get_hash_function() -> HashFunction:
        return HashFunction.SHA_256

    @staticmethod
    def _get_info() -> bytes:
        return b"message"


class _Ratchet(DoubleRatchet):
    @staticmethod
    def _build_associated_data(associated_data: bytes, header: Header) -> bytes:
        return associated_data + _encode_header(header)


def _encode_header(header: Header) -> bytes:
    numbers = header.previous_sending_chain_length.to_bytes(4) + header.sending_chain_length.to_bytes(4)
    return header.ratchet_pub + numbers


def _decode(sealed: bytes) -> EncryptedMessage:
    header = Header(sealed[:32], int.from_bytes(sealed[32:36]), int.from_bytes(sealed[36:40]))
    return EncryptedMessage(header=header, ciphertext=sealed[40:])


class Ratchets(Peer):
    """The DoubleRatchet package, as it recommends itself; up to 1,000 skipped message keys."""

    name = "DoubleRatchet 1.3"
    _settings: dict[str, Any] = {  # noqa: RUF012
        "diffie_hellman_ratchet_class": diffie_hellman_ratchet_curve25519.DiffieHellmanRatchet,
        "root_chain_kdf": _RootKdf,
        "message_chain_kdf": _MessageKdf,
        "message_chain_constant": b"\x01\x02",
        "dos_protection_threshold": 1000,
        "max_num_skipped_message_keys": 1000,
        "aead": _Aead,
    }

    def __init__(self, folder: Path, *, is_durable: bool = True) -> None:
        super().__init__(folder, is_durable=is_durable)
        self._loop = asyncio.new_event_loop()
        self._both: list[DoubleRatchet] = list(self._run(self._meet()))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    async def _meet(self) -> tuple[DoubleRatchet, DoubleRatchet]:
        shared, private = token_bytes(32), token_bytes(32)
        public = diffie_hellman_ratchet_curve25519.DiffieHellmanRatchet._derive_pub(private)
        first, hello = await _Ratchet.encrypt_initial_message(
            **self._settings, shared_secret=shared, recipient_ratchet_pub=public, message=b"hello", associated_data=b""
        )
        second, _ = await _Ratchet.decrypt_initial_message(
            **self._settings, shared_secret=shared, own_ratchet_priv=private, message=hello, associated_data=b""
        )
        return first, second

    def _state(self, by: int) -> bytes:
        return self._both[by].model.model_dump_json().encode()

    def seal(self, by: int, text: bytes) -> bytes:
        message = self._run(self._both[by].encrypt_message(text, b""))
        sealed = _encode_header(message.header) + message.ciphertext
        self.keep(by, self._state(by), sealed)
        return sealed

    def open_(self, by: int, sealed: bytes) -> bytes | None:
        try:
            text = self._run(self._both[by].decrypt_message(_decode(sealed), b""))
        except Exception:  # whatever it raises, the message is not read
            return None
        self.keep(by, self._state(by), text)
        return text

    def backup(self, by: int) -> None:
        self._backups[by] = self._both[by].json

    def restore(self, by: int) -> None:
        self._both[by] = _Ratchet.from_json(self._backups[by], **self._settings)

    def close(self) -> None:
        super().close()
        self._loop.close()


# --- vodozemac ---------------------------------------------------------------------------------------------------

_PICKLE_KEY = bytes(32)


class Olm(Peer):
    """Olm sessions of vodozemac."""

    name = "vodozemac 0.10"

    def __init__(self, folder: Path, *, is_durable: bool = True) -> None:
        super().__init__(folder, is_durable=is_durable)
        ours, theirs = vodozemac.Account(), vodozemac.Account()
        theirs.generate_one_time_keys(1)
        (once,) = theirs.one_time_keys.values()
        first = ours.create_outbound_session(theirs.curve25519_key, once)
        hello = first.encrypt(b"hello").to_pre_key()
        assert hello is not None
        second, _ = theirs.create_inbound_session(ours.curve25519_key, hello)
        self._both = [first, second]

    def seal(self, by: int, text: bytes) -> bytes:
        kind, message = self._both[by].encrypt(text).to_parts()
        sealed = bytes([kind]) + message
        self.keep(by, self._both[by].pickle(_PICKLE_KEY).encode(), sealed)
        return sealed

    def open_(self, by: int, sealed: bytes) -> bytes | None:
        try:
            text = self._both[by].decrypt(vodozemac.AnyOlmMessage.from_parts(sealed[0], sealed[1:]))
        except ValueError:
            return None
        self.keep(by, self._both[by].pickle(_PICKLE_KEY).encode(), text)
        return text

    def backup(self, by: int) -> None:
        self._backups[by] = self._both[by].pickle(_PICKLE_KEY)

    def restore(self, by: int) -> None:
        self._both[by] = vodozemac.Session.from_pickle(self._backups[by], _PICKLE_KEY)


# --- libsignal ---------------------------------------------------------------------------------------------------


class Libsignal(Peer):
    """@signalapp/libsignal-client in a Node.js process, which times its own loops."""

    name = "libsignal-client 0.103"

    def __init__(self, folder: Path, *, is_durable: bool = True) -> None:
        super().__init__(folder, is_durable=is_durable)
        journals = [str(folder / str(who)) for who in (0, 1)]
        command = ["node", "correspondence.mjs", *journals]
        self._node = subprocess.Popen(
            command, cwd=HERE / "libsignal", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def _ask(self, act: str, **asked: object) -> dict[str, Any]:
        assert self._node.stdin and self._node.stdout
        self._node.stdin.write(json.dumps({"do": act, **asked}) + "\n")
        self._node.stdin.flush()
        answer: dict[str, Any] = json.loads(self._node.stdout.readline())
        return answer

    def seal(self, by: int, text: bytes) -> bytes:
        return b64decode(self._ask("seal", by=by, text=b64encode(text).decode())["sealed"])

    def open_(self, by: int, sealed: bytes) -> bytes | None:
        answer = self._ask("open", by=by, sealed=b64encode(sealed).decode())
        return b64decode(answer["text"]) if "text" in answer else None

    def backup(self, by: int) -> None:
        self._ask("backup", by=by)

    def restore(self, by: int) -> None:
        self._ask("restore", by=by)

    def messages(self, count: int, text: bytes) -> float:
        answer = self._ask("messages", count=count, text=b64encode(text).decode(), durable=self.is_durable)
        seconds: float = answer["seconds"]
        return seconds

    def close(self) -> None:
        super().close()
        self._node.communicate(timeout=30)
