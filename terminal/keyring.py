"""What a terminal's keystore holds, and the signers made from it (docs/protocol/terminal-folder.md)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace

import cbor2

from keys.prekey import Prekey
from keys.public import SUITE_DUAL, SUITE_ED25519
from keys.signing import Signer
from node.client import TlsIdentity, make_identity
from protos.errors import Malformed
from terminal.holder import IN_MEMORY, KeyHolder

VERSION = 1


@dataclass(frozen=True, slots=True)
class EpochSeed:
    """The 32-byte seed of one epoch prekey, the hash of its bundle, when it was made (POSIX seconds, own clock)."""

    epoch: int
    seed: bytes = field(repr=False)
    made_at: int
    bundle_hash: bytes

    @property
    def prekey(self) -> Prekey:
        return Prekey.from_seed(self.seed)


@dataclass(frozen=True, slots=True)
class Keyring:
    """Every secret of one officer's terminal. `tls_key` is PKCS #8 PEM, `certificate` DER of at most 600 bytes.

    `officer`, `terminal` and `next_officer` are what `holder` keeps of those keys: in memory the secrets themselves.
    """

    officer: bytes = field(repr=False)
    terminal: bytes = field(repr=False)
    tls_key: bytes = field(repr=False)
    certificate: bytes
    store_key: bytes = field(repr=False)
    prekeys: tuple[EpochSeed, ...] = ()
    next_officer: bytes = field(default=b"", repr=False)
    """The officer key to come, until the ledger names it."""
    holder: KeyHolder = field(default=IN_MEMORY, compare=False, repr=False)

    @classmethod
    def generate(cls, holder: KeyHolder = IN_MEMORY) -> Keyring:
        """New random officer, terminal, TLS and store keys; no prekey yet."""
        tls = make_identity()
        return cls(
            officer=holder.generate(SUITE_DUAL),
            terminal=holder.generate(SUITE_ED25519),
            tls_key=tls.key_pem,
            certificate=tls.certificate,
            store_key=secrets.token_bytes(32),
            holder=holder,
        )

    @property
    def officer_signer(self) -> Signer:
        return self.holder.signer(SUITE_DUAL, self.officer)

    @property
    def next_officer_signer(self) -> Signer:
        """Of the officer key to come; there must be one."""
        return self.holder.signer(SUITE_DUAL, self.next_officer)

    @property
    def terminal_signer(self) -> Signer:
        return self.holder.signer(SUITE_ED25519, self.terminal)

    @property
    def tls(self) -> TlsIdentity:
        return TlsIdentity(self.certificate, self.tls_key)

    @property
    def terminal_id(self) -> bytes:
        """The terminal key's id, 32 bytes."""
        return self.terminal_signer.public_key.key_id

    @property
    def prekeys_by_hash(self) -> dict[bytes, Prekey]:
        """Every prekey still held, by bundle hash, newest first."""
        return {one.bundle_hash: one.prekey for one in reversed(self.prekeys)}

    def with_prekey(self, new: EpochSeed) -> Keyring:
        """This keyring with `new` as its newest prekey.

        No seed goes, not even one whose entry the node called refused: whoever holds the entry may still enter it.
        """
        return replace(self, prekeys=(*self.prekeys, new))

    def close(self) -> None:
        """Give the keys' holder back: the signers sign no more."""
        self.holder.close()

    def encode(self) -> bytes:
        """Deterministic CBOR: the plaintext of the keystore file."""
        return cbor2.dumps(
            {
                "version": VERSION,
                "officer": self.officer,
                "terminal": self.terminal,
                "tls_key": self.tls_key,
                "certificate": self.certificate,
                "store_key": self.store_key,
                "next_officer": self.next_officer,
                "prekeys": [[one.epoch, one.seed, one.made_at, one.bundle_hash] for one in self.prekeys],
            },
            canonical=True,
        )

    @classmethod
    def decode(cls, data: bytes, holder: KeyHolder = IN_MEMORY) -> Keyring:
        """Raises `Malformed("keystore-content")` for anything but the encoding of a keyring."""
        try:
            fields = cbor2.loads(data)
            if fields.pop("version") != VERSION:
                raise ValueError("version")
            fields["prekeys"] = tuple(EpochSeed(*one) for one in fields["prekeys"])
            return cls(**fields, holder=holder)
        except (cbor2.CBORDecodeError, AttributeError, KeyError, TypeError, ValueError) as problem:
            raise Malformed(
                "keystore-content", "the keystore opens but holds something else", hint="restore it from a backup"
            ) from problem
