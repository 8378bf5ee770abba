"""Signature checks shared by the event loop and the thread that applies blocks."""

from __future__ import annotations

from threading import Lock

from keys.public import PublicKey
from keys.purpose import Purpose
from keys.signing import Verifier


class SharedVerifier:
    """One check at a time, so that a remembering verifier can serve two threads."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._lock = Lock()

    def verify(self, key: PublicKey, purpose: Purpose, network_id: bytes, payload: bytes, signature: bytes) -> None:
        """As the verifier behind it."""
        with self._lock:
            self._verifier.verify(key, purpose, network_id, payload, signature)
