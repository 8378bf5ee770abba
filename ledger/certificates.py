"""The rules for a certificate on the ledger: its size, and that nobody else has it.

Nothing here reads X.509: parsers differ between versions, and all nodes must agree on every byte string.
"""

from __future__ import annotations

from hashlib import sha256

from ledger.state import State
from protos.errors import Refused

MAX_CERTIFICATE_BYTES = 600


def check_certificate(state: State, certificate: bytes) -> None:
    """Raises `Refused` "bad-certificate" (not 1 to 600 bytes) or "known-certificate" (on the ledger before)."""
    if not 1 <= len(certificate) <= MAX_CERTIFICATE_BYTES:
        raise Refused("bad-certificate", f"a certificate has 1 to {MAX_CERTIFICATE_BYTES} bytes")
    if state.certificate_owner(sha256(certificate).digest()) is not None:
        raise Refused("known-certificate", "this certificate is on the ledger already", hint="Make a new one.")


def enter_certificate(state: State, certificate: bytes, owner: str) -> None:
    """Note for ever that the certificate is on the ledger."""
    state.enter_certificate(sha256(certificate).digest(), owner)
