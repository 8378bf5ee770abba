"""`dutabarta demo`: headquarters and three missions on this machine, from founding to audit.

Every step is a command that an officer, an operator or an auditor would type; `cli/stage.py` runs them.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from cli import output
from cli.commands import command, option
from cli.exit import Exit
from cli.missions import find_missions
from cli.options import FOLDER, json_option
from cli.stage import Stage, open_stage
from cli.words import t
from protos.errors import DutabartaError, Refused, Unavailable

DEFAULT_POSTS = "DHA,DEL,WAS,LON"
ANCHOR_SECONDS = 30
DRAFTER, RELEASER = "karim", "rahima"
OFFICER = "officer"


@dataclass(slots=True)
class Report:
    """What the demonstration showed: the JSON answer of the contract, filled step by step."""

    posts: tuple[str, ...]
    cable_id: str = ""
    delivered_to: list[str] = field(default_factory=list)
    acknowledged_by: list[str] = field(default_factory=list)
    proof_verified: bool = False
    tamper_refused: bool = False
    audit: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Everything the demonstration promises did happen."""
        missions = sorted(self.posts[1:])
        reached = sorted(self.delivered_to) == missions == sorted(self.acknowledged_by)
        return reached and self.proof_verified and self.tamper_refused and bool(self.audit.get("ok"))


@command("demo")
@option("--posts", default=DEFAULT_POSTS, show_default=True)
@option("--keep", type=FOLDER)
@json_option
def demo(posts: str, keep: Path | None, as_json: bool) -> None:
    """Help stands in the string tables."""
    codes = tuple(code.strip().upper() for code in posts.split(",") if code.strip())
    if len(codes) < 2:
        raise click.UsageError(t("demo.too-few-posts"))
    find_missions(codes)
    began = time.monotonic()
    folder = keep or Path(tempfile.mkdtemp(prefix="dutabarta-demo-"))
    try:
        report = play(folder, codes)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    seconds = round(time.monotonic() - began, 1)
    output.emit(_answer(report, seconds), as_json, t(f"demo.{'done' if report.ok else 'not-done'}", seconds=seconds))
    if not report.ok:
        output.leave(Exit.REFUSED)


def play(folder: Path, codes: tuple[str, ...]) -> Report:
    """Run the whole story in `folder`, which must be empty or absent. Raises DutabartaError where a step fails."""
    if folder.exists() and any(folder.iterdir()):
        raise Refused("folder-not-empty", f"{folder} is not empty", hint="name a new folder", path=folder)
    folder.mkdir(parents=True, exist_ok=True)
    passphrase_file = folder / "passphrase"
    passphrase_file.touch(mode=0o600)
    passphrase_file.write_text("exercise only\n")
    report = Report(codes)
    with open_stage(folder / "posts", passphrase_file) as stage:
        _found(stage, codes)
        _enrol(stage, codes)
        _send_to_all(stage, report)
        _release_by_two(stage, codes)
        _answer_in_bengali(stage, codes)
        _prove(stage, report)
        _outage(stage, codes)
        _audit(stage, report)
    return report


def _found(stage: Stage, codes: tuple[str, ...]) -> None:
    output.say("demo.found", posts=", ".join(codes))
    plan = stage.folder.parent / "network.toml"
    plan.write_text(stage.must("network", "template", "--posts", ",".join(codes))["template"], "utf-8")
    network = stage.must("network", "init", str(plan), "--all-here", str(stage.folder))
    output.say("demo.founded", network_id=network["network_id"][:16], posts=len(codes))
    output.say("demo.start", posts=len(codes))
    stage.start(codes)
    output.say("demo.started")


def _enrol(stage: Stage, codes: tuple[str, ...]) -> None:
    output.say("demo.enrol")
    both = "drafter,releaser"
    cast = [(code, OFFICER, both, "TOP-SECRET") for code in codes[1:]]
    cast += [(codes[0], RELEASER, both, "TOP-SECRET"), (codes[0], DRAFTER, "drafter", "SECRET")]
    stage.together(lambda one: _enrol_one(stage, *one), cast)


def _enrol_one(stage: Stage, code: str, name: str, roles: str, clearance: str) -> None:
    place = ("--home", str(stage.home(code)))
    stage.must("officer", "enrol", name, *place, "--role", roles, "--clearance", clearance)
    output.say("demo.enrolled", name=name, post=code, roles=roles, clearance=clearance)


def _send_to_all(stage: Stage, report: Report) -> None:
    """A CONFIDENTIAL cable from headquarters, released by one officer, to every mission."""
    sender, *missions = report.posts
    cable = _sample("CONFIDENTIAL")
    sent = _send(stage, sender, RELEASER, missions, cable, "IMMEDIATE")
    report.cable_id = sent["cable_id"]
    output.say("demo.sent", post=sender, to=", ".join(missions), serial=sent["serial"], subject=cable["subject"])
    stage.together(lambda code: _read_and_acknowledge(stage, code, report.cable_id, cable["text"]), missions)
    for place in stage.must("cable", "track", report.cable_id, *_desk(stage, sender, RELEASER))["addressees"]:
        if place["delivered"]:
            report.delivered_to.append(place["post"])
        if place["acknowledged"]:
            report.acknowledged_by.append(place["post"])
    output.say("demo.acknowledged", posts=", ".join(report.acknowledged_by))


def _read_and_acknowledge(stage: Stage, code: str, cable_id: str, expected: str) -> None:
    text = _read(stage, code, cable_id)
    if "\n\n".join(text["paragraphs"]) != expected:
        raise DutabartaError("demo-failed", f"{code} read another text", command="cable read", said=code)
    output.say("demo.read", post=code, serial=text["serial"], start=text["paragraphs"][0][:60])
    stage.must("cable", "ack", cable_id, *_desk(stage, code))


def _release_by_two(stage: Stage, codes: tuple[str, ...]) -> None:
    """SECRET needs a drafter and another officer who releases."""
    sent = _send(stage, codes[0], DRAFTER, [codes[1]], _sample("SECRET"), "PRIORITY")
    output.say("demo.drafted", drafter=DRAFTER, state=sent["state"])
    stage.must("cable", "list", "--box", "drafts", *_desk(stage, codes[0], RELEASER))
    released = stage.must("cable", "release", sent["cable_id"], *_desk(stage, codes[0], RELEASER))
    text = _read(stage, codes[1], sent["cable_id"])
    output.say("demo.released", releaser=RELEASER, serial=released["serial"], post=codes[1], drafter=text["drafter"])


def _answer_in_bengali(stage: Stage, codes: tuple[str, ...]) -> None:
    cable = _sample("RESTRICTED")
    sent = _send(stage, codes[1], OFFICER, [codes[0]], cable, "ROUTINE")
    text = _read(stage, codes[0], sent["cable_id"], RELEASER)
    output.say("demo.bengali", post=codes[1], text="\n\n".join(text["paragraphs"])[:90])


def _prove(stage: Stage, report: Report) -> None:
    """One cable proved without any network; an altered copy and an altered proof are refused."""
    output.say("demo.prove")
    base = stage.folder.parent / "first-cable"
    _await_proof(stage, report, base)
    cable, proof = base.with_suffix(".cable"), base.with_suffix(".tlog-proof")
    policy = stage.home(report.posts[0]) / "terminals" / RELEASER / "policy"
    report.proof_verified = _verify(stage, cable, proof, policy) == Exit.DONE
    output.say("demo.proved" if report.proof_verified else "demo.not-proved", size=proof.stat().st_size)
    refused = [
        _verify(stage, _altered(cable, cable.stat().st_size // 2), proof, policy),
        _verify(stage, cable, _altered(proof, 200), policy),
    ]
    report.tamper_refused = refused == [Exit.VERIFICATION, Exit.VERIFICATION]
    output.say("demo.tamper-refused" if report.tamper_refused else "demo.tamper-accepted")


def _outage(stage: Stage, codes: tuple[str, ...]) -> None:
    """A mission's node dies; what is sent meanwhile waits and arrives when it is back."""
    gone = codes[-1]
    stage.kill(gone)
    output.say("demo.killed", post=gone)
    sent = _send(stage, codes[0], RELEASER, [gone], _sample("UNCLASSIFIED"), "IMMEDIATE")
    output.say("demo.waiting", post=gone, serial=sent["serial"])
    stage.start((gone,))
    text = _read(stage, gone, sent["cable_id"])
    output.say("demo.returned", post=gone, serial=text["serial"])


def _audit(stage: Stage, report: Report) -> None:
    output.say("demo.audit")
    log = stage.folder.parent / "ledger.log"
    stage.must("ledger", "export", "--home", str(stage.home(report.posts[0])), "--out", str(log))
    found = stage.must("audit", "replay", str(log))
    report.audit = {"entries": found["entries"], "root": found["root"], "ok": found["ok"]}
    output.say("demo.audited", entries=found["entries"], root=found["root"][:16])


def _send(
    stage: Stage, code: str, officer: str, to: list[str], cable: dict[str, Any], precedence: str
) -> dict[str, Any]:
    marking = ("--precedence", precedence, "--classification", cable["classification"], "--subject", cable["subject"])
    return stage.must(
        "cable", "send", "--to", ",".join(to), *marking, *_desk(stage, code, officer), "-", stdin=cable["text"]
    )


def _read(stage: Stage, code: str, cable_id: str, officer: str = OFFICER) -> dict[str, Any]:
    """Read a cable as soon as it is there."""
    deadline = time.monotonic() + ANCHOR_SECONDS
    while True:
        answer = stage.run("cable", "read", cable_id, *_desk(stage, code, officer))
        if answer.code == Exit.DONE:
            return answer.data
        if time.monotonic() > deadline:
            raise Unavailable("demo-not-arrived", f"{code}: {answer.talk.strip()}", post=code)
        time.sleep(0.3)


def _await_proof(stage: Stage, report: Report, base: Path) -> None:
    deadline = time.monotonic() + ANCHOR_SECONDS
    while True:
        answer = stage.run(
            "cable", "proof", report.cable_id, "--out", str(base), *_desk(stage, report.posts[0], RELEASER)
        )
        if answer.code == Exit.DONE:
            return
        if answer.code != Exit.UNAVAILABLE or time.monotonic() > deadline:
            raise Unavailable("demo-not-anchored", answer.talk.strip())
        time.sleep(1)


def _verify(stage: Stage, cable: Path, proof: Path, policy: Path) -> int:
    return stage.run("verify", str(cable), "--proof", str(proof), "--policy", str(policy)).code


def _altered(path: Path, place: int) -> Path:
    """A copy with one character at `place` changed to another of its kind."""
    data = bytearray(path.read_bytes())
    data[place] = ord("A") if data[place] != ord("A") else ord("B")
    copy = path.with_name(f"altered-{path.name}")
    copy.write_bytes(data)
    return copy


def _desk(stage: Stage, code: str, officer: str = OFFICER) -> tuple[str, ...]:
    return ("--home", str(stage.home(code)), "--officer", officer)


def _sample(classification: str) -> dict[str, Any]:
    """The cable of this marking among those shipped in cli/data/demo_cables.jsonl."""
    lines = files("cli").joinpath("data/demo_cables.jsonl").read_text("utf-8").splitlines()
    found: dict[str, Any] = next(one for line in lines if (one := json.loads(line))["classification"] == classification)
    return found


def _answer(report: Report, seconds: float) -> dict[str, object]:
    return {
        "ok": report.ok,
        "posts": list(report.posts),
        "cable_id": report.cable_id,
        "delivered_to": report.delivered_to,
        "acknowledged_by": report.acknowledged_by,
        "proof_verified": report.proof_verified,
        "tamper_refused": report.tamper_refused,
        "audit": report.audit,
        "seconds": seconds,
    }
