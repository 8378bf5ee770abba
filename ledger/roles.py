"""What an officer may do, and how high he is cleared. The numbers stand on the ledger and never change."""

from __future__ import annotations

from enum import IntEnum


class Role(IntEnum):
    """One act an officer is trusted with; the roster lists them in ascending order."""

    DRAFTER = 1
    RELEASER = 2
    SUPERVISOR = 3
    REGISTRAR = 4
    ARCHIVIST = 5
    AUDITOR = 6


class Clearance(IntEnum):
    """The highest classification that an officer may read."""

    UNCLASSIFIED = 1
    RESTRICTED = 2
    CONFIDENTIAL = 3
    SECRET = 4
    TOP_SECRET = 5


FIRST_SUPERVISOR_ROLES = (Role.DRAFTER, Role.RELEASER, Role.SUPERVISOR)
FIRST_SUPERVISOR_CLEARANCE = Clearance.TOP_SECRET
