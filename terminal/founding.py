"""The first two supervisors of a post: their keys before the network exists, their terminals once it does."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from keys.possession import prove
from keys.purpose import Purpose
from ledger.bodies import Supervisor
from ledger.entry import sign_entry
from terminal.enrol import terminal_entry
from terminal.keyring import Keyring
from terminal.prekeys import make_prekey

OFFICER_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class FirstSupervisor:
    """A supervisor who stands in `post-admitted`."""

    name: str
    officer_id: bytes
    keyring: Keyring

    @classmethod
    def generate(cls, name: str) -> FirstSupervisor:
        """With a random id and new keys."""
        return cls(name, secrets.token_bytes(OFFICER_ID_BYTES), Keyring.generate())

    @property
    def public(self) -> Supervisor:
        """What the post's card says of him."""
        return Supervisor(self.officer_id, prove(self.keyring.officer_signer, "officer"))


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A supervisor with his first prekey, the entries for his terminal in order, and his bundle."""

    supervisor: FirstSupervisor
    leaves: tuple[bytes, ...]
    signed_bundle: bytes


def enrol_first(network_id: bytes, supervisor: FirstSupervisor, other: FirstSupervisor, at: int) -> Enrolled:
    """Enrol a first supervisor's terminal, approved by the other one. `at`: POSIX seconds by the own clock."""
    entry = terminal_entry(network_id, supervisor.officer_id, supervisor.keyring, 1)
    approval = sign_entry(entry.entry, other.keyring.officer_signer, network_id, Purpose.ENROLMENT)
    made = make_prekey(network_id, supervisor.keyring, 1, 1, at)
    ready = replace(supervisor, keyring=supervisor.keyring.with_prekey(made.seed))
    return Enrolled(ready, (entry.with_signature(approval).leaf(), made.leaf), made.signed_bundle)
