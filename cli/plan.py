"""network.toml: what a network is to be, before it is founded."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cli.missions import Mission
from protos.errors import Malformed

SUPERVISORS = ("supervisor-1", "supervisor-2")
ROOTS = 5


@dataclass(frozen=True, slots=True)
class PlannedPost:
    """A post, its first two supervisors by name, and whether it hangs on a satellite."""

    code: str
    supervisors: tuple[str, ...]
    satellite: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """`founded_at` in POSIX seconds: it stands in the plan so that the same cards give the same bytes."""

    name: str
    founded_at: int
    headquarters: str
    validators: tuple[str, ...]
    posts: tuple[PlannedPost, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(post.code for post in self.posts)


def template(found: tuple[Mission, ...], founded_at: int) -> str:
    """The text of network.toml for these missions; the first headquarters among them is the only validator."""
    headquarters = next((one.code for one in found if one.is_headquarters), found[0].code)
    lines = [
        'name = "dutabarta"',
        f"founded_at = {founded_at}",
        f'headquarters = "{headquarters}"',
        f'validators = ["{headquarters}"]  # one, or 4 to 13 under the comet engine',
    ]
    for one in found:
        names = ", ".join(f'"{name}"' for name in SUPERVISORS)
        lines += ["", f"[posts.{one.code}]  # {one.city}", f"supervisors = [{names}]", "satellite = false"]
    return "\n".join(lines) + "\n"


def parse_plan(text: str) -> Plan:
    """Raises `Malformed("bad-plan")` with what is wrong."""
    try:
        raw = tomllib.loads(text)
        posts = tuple(_post(code, one) for code, one in raw.pop("posts").items())
        plan = Plan(posts=posts, **{key: _frozen(value) for key, value in raw.items()})
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError, ValueError) as problem:
        raise _bad(str(problem)) from problem
    if not isinstance(plan.founded_at, int) or not isinstance(plan.name, str) or not isinstance(plan.validators, tuple):
        raise _bad("name, founded_at or validators is not of its kind")
    if plan.headquarters not in plan.codes or not set(plan.validators) <= set(plan.codes):
        raise _bad("headquarters and validators must be among the posts")
    return plan


def _post(code: str, one: Mapping[str, Any]) -> PlannedPost:
    post = PlannedPost(code, tuple(one["supervisors"]), bool(one.get("satellite", False)))
    if len(set(post.supervisors)) != 2 or not all(isinstance(name, str) for name in post.supervisors):
        raise ValueError(f"{code} needs two different supervisors")
    if unknown := set(one) - {"supervisors", "satellite"}:
        raise ValueError(f"unknown key {sorted(unknown)[0]} at {code}")
    return post


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _bad(text: str) -> Malformed:
    return Malformed("bad-plan", f"network.toml: {text}", hint="begin with `dutabarta network template`", what=text)
