"""The shipped list of headquarters and missions (cli/data/missions.csv)."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from protos.errors import Refused

LIST = Path(__file__).parent / "data" / "missions.csv"


@dataclass(frozen=True, slots=True)
class Mission:
    """One row: a post as the public knows it. `code` is three Latin capitals; `status` says how sure the row is."""

    code: str
    city: str
    country: str
    iso2: str
    kind: str
    name_en: str
    name_bn: str
    city_bn: str
    time_zone: str
    parent_code: str
    status: str

    @property
    def is_headquarters(self) -> bool:
        """True for the ministry itself."""
        return self.kind == "headquarters"


@cache
def missions() -> dict[str, Mission]:
    """All rows by code, headquarters first."""
    with LIST.open(encoding="utf-8", newline="") as file:
        return {row["code"]: Mission(**row) for row in csv.DictReader(file)}


def find_missions(codes: Iterable[str]) -> tuple[Mission, ...]:
    """The missions of `codes`, in their order. Raises Refused for a code the list does not hold, or one named twice."""
    known, found = missions(), []
    for code in codes:
        if code not in known:
            raise Refused(
                "unknown-mission",
                f"{code} is not in the mission list",
                hint="codes are three capitals, as in DHA,DEL,WAS",
                post=code,
            )
        if known[code] in found:
            raise Refused("mission-twice", f"{code} is named twice", hint="name each post once", post=code)
        found.append(known[code])
    return tuple(found)
