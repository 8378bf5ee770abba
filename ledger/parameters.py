"""What a network may set for itself, and within which bounds."""

from __future__ import annotations

from ledger.bodies import Parameters
from protos.errors import Refused

RULES_VERSIONS = (1,)

MAX_ROOTS = 9
_DAY = 86_400

_BOUNDS = {
    "mission_quorum": (0, 6),
    "slot_seconds": (1, _DAY),
    "cosign_seconds": (1, _DAY),
    "satellite_cosign_seconds": (1, _DAY),
    "stale_seconds": (60, 365 * _DAY),
}

DEFAULT_PARAMETERS = Parameters(
    rules_version=1,
    root_threshold=3,
    mission_quorum=3,
    slot_seconds=600,
    filled_slots=True,
    cosign_seconds=30,
    satellite_cosign_seconds=600,
    stale_seconds=_DAY,
)
EXERCISE_PARAMETERS = Parameters(
    rules_version=1,
    root_threshold=3,
    mission_quorum=3,
    slot_seconds=5,
    filled_slots=False,
    cosign_seconds=1,
    satellite_cosign_seconds=1,
    stale_seconds=_DAY,
)

DEFAULT_ANSWER_SECONDS = (_DAY, 3 * 3600, 30 * 60, 10 * 60)
_ANSWER_BOUNDS = 60, 30 * _DAY


def answer_seconds(parameters: Parameters, precedence: int) -> int:
    """By when a cable of this precedence (1 ROUTINE to 4 FLASH) is to be DELIVERED and ACKNOWLEDGED."""
    return (parameters.answer_seconds or DEFAULT_ANSWER_SECONDS)[precedence - 1]


def check_parameters(parameters: Parameters, root_count: int) -> None:
    """Raises `Refused` "unknown-rules" or "bad-parameters"."""
    if parameters.rules_version not in RULES_VERSIONS:
        hint = "Upgrade the nodes first."
        raise Refused("unknown-rules", f"rules version {parameters.rules_version} is unknown", hint=hint)
    if not 1 <= parameters.root_threshold <= root_count:
        raise Refused("bad-parameters", f"{parameters.root_threshold} of {root_count} roots cannot approve anything")
    for name, (least, most) in _BOUNDS.items():
        if not least <= getattr(parameters, name) <= most:
            raise Refused("bad-parameters", f"{name} must be {least} to {most}", hint=f"Set {name} within its bounds.")
    least, most = _ANSWER_BOUNDS
    answers = parameters.answer_seconds
    if len(answers) not in (0, len(DEFAULT_ANSWER_SECONDS)) or not all(least <= one <= most for one in answers):
        hint = f"Give four durations of {least} to {most}, ROUTINE first, or none."
        raise Refused("bad-parameters", "answer_seconds has a duration for each precedence, or none", hint=hint)
