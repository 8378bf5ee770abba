"""A node's secret keys: 0600 files in H/node/keys (docs/known-weaknesses.md says what that means).

entry.key (Ed25519), cosigner.key (ML-DSA-44), log.key (Ed25519, used by validators), consensus.key (Ed25519, used by a
validator's engine; a post without one cannot be a validator under comet), tls.key and tls.crt. A key file is one line:
`dutabarta-key <suite> <secret in hex>`; tls.key is PKCS #8 PEM, tls.crt is PEM.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from keys.possession import ProvenKey, prove
from keys.public import SUITE_ED25519, SUITE_MLDSA44
from keys.signing import SoftwareSigner
from node.api.tls import TlsIdentity, der_of, make_identity, pem_of, server_name
from protos.errors import DutabartaError, Malformed, Refused, Unavailable

_SUITES = {"entry": SUITE_ED25519, "cosigner": SUITE_MLDSA44, "log": SUITE_ED25519, "consensus": SUITE_ED25519}
_OPTIONAL = frozenset({"consensus"})
_MARK = "dutabarta-key"


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """The signers of one node."""

    entry: SoftwareSigner
    cosigner: SoftwareSigner
    log: SoftwareSigner
    tls: TlsIdentity
    consensus: SoftwareSigner | None = None

    def proven(self, role: str) -> ProvenKey:
        """The public key of `role` (entry, cosigner or log) with its proof of possession, for the post's card."""
        signer: SoftwareSigner = {"entry": self.entry, "cosigner": self.cosigner, "log": self.log}[role]
        return prove(signer, role)

    def proven_consensus(self) -> ProvenKey | None:
        """The consensus key with its proof of possession, if there is one."""
        return None if self.consensus is None else prove(self.consensus, "consensus")


def create_node_keys(folder: Path) -> NodeKeys:
    """Make and save new random keys in `folder` (0700). Raises `Refused` if there are keys already."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Refused("keys-exist", f"{folder} already holds keys", hint="a post makes its keys once", path=folder)
    signers = {name: SoftwareSigner.generate(suite) for name, suite in _SUITES.items()}
    for name, signer in signers.items():
        _write_secret(_key_file(folder, name), _line(_SUITES[name], signer.secret))
    tls = make_identity()
    _write_secret(folder / "tls.key", tls.key_pem)
    _write_secret(folder / "tls.crt", pem_of(tls.certificate))
    return NodeKeys(**signers, tls=tls)


def load_node_keys(folder: Path) -> NodeKeys:
    """The keys in `folder`. Raises `Unavailable` when one is missing, `Malformed` when one cannot be read."""
    signers = {
        name: _load_signer(_key_file(folder, name), suite)
        for name, suite in _SUITES.items()
        if name not in _OPTIONAL or _key_file(folder, name).exists()
    }
    certificate, key = _read(folder / "tls.crt"), _read(folder / "tls.key")
    try:
        tls = TlsIdentity(der_of(certificate), key)
        server_name(tls.certificate)
    except (ValueError, DutabartaError) as problem:
        raise _bad(folder / "tls.crt") from problem
    if pem_of(tls.certificate) != certificate:
        raise _bad(folder / "tls.crt")
    if not tls.is_pair:
        raise _bad(folder / "tls.key")
    return NodeKeys(**signers, tls=tls)


def _key_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.key"


def _line(suite: int, secret: bytes) -> bytes:
    """The one content of a key file: a flipped bit, though it means the same to a lenient reader, is damage."""
    return f"{_MARK} {suite} {secret.hex()}\n".encode()


def _load_signer(path: Path, suite: int) -> SoftwareSigner:
    data = _read(path)
    try:
        secret = bytes.fromhex(data.decode("ascii").split()[-1])
        signer = SoftwareSigner.from_secret(suite, secret)
    except (ValueError, IndexError, DutabartaError) as problem:
        raise _bad(path) from problem
    if data != _line(suite, secret):
        raise _bad(path)
    return signer


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise Unavailable(
            "no-node-keys",
            f"cannot read {path}: {problem.strerror}",
            hint="`dutabarta post keygen` makes a post's keys",
            path=path,
        ) from problem


def _write_secret(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _bad(path: Path) -> Malformed:
    return Malformed(
        "bad-node-key", f"{path} is not a key file of this version", hint="restore it from the backup", path=path
    )
