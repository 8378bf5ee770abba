"""Trust policies of C2SP tlog-policy: whose signatures make a checkpoint good (docs/protocol/policy.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keys.public import PublicKey
from ledger.checkpoint import Checkpoint, LogKey, parse_checkpoint, verify_log_signature
from ledger.cosignature import CosignerKey, verify_cosignature
from ledger.note import NoteSignature, SignedNote
from ledger.quorum import NO_QUORUM, Group, Quorum
from protos.errors import Malformed, Refused, VerificationFailed

MAX_POLICY_BYTES = 256 * 1024
MAX_LOGS = MAX_WITNESSES = MAX_GROUPS = 64
MAX_PROOF_SIGNATURES = 16
"""What every reader of notes must accept (signed-note): a proof carries no more."""

_HINT = "Do not rely on this checkpoint; ask another post."
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint that a policy accepts, and when each known witness cosigned it (POSIX seconds by policy name)."""

    checkpoint: Checkpoint
    times: dict[str, int]


@dataclass(frozen=True, slots=True)
class Policy:
    """Known logs, known witnesses by policy name, and the quorum of these that it takes."""

    logs: tuple[LogKey, ...]
    witnesses: dict[str, CosignerKey]
    quorum: Quorum

    def verify(self, note: bytes) -> VerifiedCheckpoint:
        """Check a signed note. Raises `Malformed`, or `VerificationFailed` if the policy does not accept it.

        Signatures of unknown keys are ignored; one failing or repeated signature of a known key refuses the note.
        """
        opened = self._open(SignedNote.decode(note))
        return VerifiedCheckpoint(opened.checkpoint, {name: time for name, (_, time) in opened.witnesses.items()})

    def minimal(self, note: SignedNote) -> SignedNote:
        """The note with one log signature and just the cosignatures that the quorum needs, always the same ones.

        `note` may hold more signatures than an encoded note may. Raises as `verify`, and `Refused` if the quorum
        needs more than a proof can carry.
        """
        opened = self._open(note)
        chosen = self.quorum.fewest(opened.witnesses)
        log = next(opened.logs[key] for key in self.logs if key in opened.logs)
        signatures = (log, *(opened.witnesses[name][0] for name in self.witnesses if name in chosen))
        if len(signatures) > MAX_PROOF_SIGNATURES:
            raise _too_many(len(signatures))
        return SignedNote(note.text, signatures)

    def _open(self, note: SignedNote) -> _Opened:
        """Every known signature verified; a known log's and the quorum's among them."""
        checkpoint = parse_checkpoint(note.text)
        opened = _Opened(checkpoint, {}, {})
        logs = {(key.verifier.name, key.verifier.key_id): key for key in self.logs}
        cosigners = {(key.verifier.name, key.verifier.key_id): name for name, key in self.witnesses.items()}
        for signature in note.signatures:
            claim = signature.name, signature.key_id
            if claim in logs:
                self._take_log(opened, logs[claim], signature)
            elif claim in cosigners:
                self._take_cosignature(opened, cosigners[claim], signature)
        if not opened.logs:
            text = f"no log that the policy knows has signed for {checkpoint.origin}"
            raise VerificationFailed("unknown-log", text, hint=_HINT)
        if not self.quorum.is_met(opened.witnesses):
            text = f"the witnesses that have cosigned are no quorum: {_listed(opened.witnesses)}"
            raise VerificationFailed("no-quorum", text, hint=_HINT)
        return opened

    def _take_log(self, opened: _Opened, key: LogKey, signature: NoteSignature) -> None:
        if key in opened.logs:
            raise VerificationFailed("repeated-signature", f"the log {key.origin} has signed twice", hint=_HINT)
        verify_log_signature(key, opened.checkpoint, signature)
        opened.logs[key] = signature

    def _take_cosignature(self, opened: _Opened, name: str, signature: NoteSignature) -> None:
        if name in opened.witnesses:
            raise VerificationFailed("repeated-signature", f"the witness {name!a} has cosigned twice", hint=_HINT)
        time = verify_cosignature(self.witnesses[name], opened.checkpoint, signature)
        opened.witnesses[name] = signature, time


@dataclass(frozen=True, slots=True)
class _Opened:
    checkpoint: Checkpoint
    logs: dict[LogKey, NoteSignature]
    witnesses: dict[str, tuple[NoteSignature, int]]


def parse_policy(text: str | bytes) -> Policy:
    """Read a policy file. Raises `Malformed` with the line, and for a policy without a log or a quorum."""
    reader = _Reader()
    for number, line in enumerate(_policy_lines(text), start=1):
        fields = [one for one in line.replace("\t", " ").split(" ") if one]
        if fields and not fields[0].startswith("#"):
            try:
                reader.read(fields)
            except Malformed as problem:
                raise Malformed("bad-policy", f"policy line {number}: {problem.text}", line=number) from problem
    return reader.policy()


def build_policy(
    logs: Sequence[LogKey],
    validators: Mapping[str, CosignerKey],
    missions: Mapping[str, CosignerKey],
    mission_quorum: int,
) -> str:
    """The default policy of a network: floor(2n/3)+1 of n validators, and `mission_quorum` of at most 16 missions.

    Keys go by post code. Missions that are validators are left out; of more than 16 the first by code are named; of
    fewer than 6, half rounded up suffice. Raises `Refused` if a proof could not carry that many signatures.
    """
    others = sorted(set(missions) - set(validators))[:MAX_PROOF_SIGNATURES]
    needed = 2 * len(validators) // 3 + 1
    also = min(mission_quorum, len(others)) if len(others) >= 6 else (len(others) + 1) // 2
    if 1 + needed + also > MAX_PROOF_SIGNATURES:
        raise _too_many(1 + needed + also)
    lines = [f"log {key.vkey}" for key in logs]
    lines += [f"witness {code} {validators[code].vkey}" for code in sorted(validators)]
    lines += [f"witness {code} {missions[code].vkey}" for code in others]
    lines.append(f"group validators {needed} {' '.join(sorted(validators))}")
    if also:
        lines += [f"group missions {also} {' '.join(others)}", "group network all validators missions"]
    lines.append(f"quorum {'network' if also else 'validators'}")
    text = "\n".join(lines) + "\n"
    parse_policy(text)
    return text


class _Reader:
    """Takes the lines of a policy file in order; names can only be used after they were defined."""

    def __init__(self) -> None:
        self._logs: list[LogKey] = []
        self._witnesses: dict[str, CosignerKey] = {}
        self._groups: dict[str, Group] = {}
        self._quorum = ""
        self._keys: set[PublicKey] = set()
        self._claims: set[tuple[str, bytes]] = set()
        self._members: set[str] = set()

    def read(self, fields: list[str]) -> None:
        """Take one line that is neither empty nor a comment."""
        match fields:
            case ["log", vkey] | ["log", vkey, _]:
                self._log(LogKey.from_vkey(vkey))
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                self._witness(name, CosignerKey.from_vkey(vkey))
            case ["group", name, threshold, *members] if members:
                self._group(name, threshold, tuple(members))
            case ["quorum", name]:
                self._set_quorum(name)
            case _:
                raise _malformed(f"not a log, witness, group or quorum line: {fields[0][:20]!a}")

    def policy(self) -> Policy:
        """What the lines said. Raises `Malformed` if something is missing."""
        if not self._quorum:
            raise Malformed("bad-policy", "the policy has no quorum line")
        if not self._logs:
            raise Malformed("bad-policy", "the policy names no log")
        return Policy(tuple(self._logs), self._witnesses, Quorum(self._quorum, tuple(self._groups.values())))

    def _log(self, key: LogKey) -> None:
        self._once(key)
        self._logs.append(key)
        _limit(len(self._logs), MAX_LOGS, "logs")

    def _witness(self, name: str, key: CosignerKey) -> None:
        self._fresh(name)
        self._once(key)
        self._witnesses[name] = key
        _limit(len(self._witnesses), MAX_WITNESSES, "witnesses")

    def _group(self, name: str, threshold: str, members: tuple[str, ...]) -> None:
        self._fresh(name)
        for member in members:
            self._known(member)
            if member in self._members:
                raise _malformed(f"{member!a} is already a member of a group")
            self._members.add(member)
        self._groups[name] = Group(name, _threshold(threshold, len(members)), members)
        _limit(len(self._groups), MAX_GROUPS, "groups")

    def _set_quorum(self, name: str) -> None:
        if self._quorum:
            raise _malformed("a second quorum line")
        if name != NO_QUORUM:
            self._known(name)
        self._quorum = name

    def _fresh(self, name: str) -> None:
        if name == NO_QUORUM or name in self._witnesses or name in self._groups:
            raise _malformed(f"the name {name!a} is taken")

    def _known(self, name: str) -> None:
        if name not in self._witnesses and name not in self._groups:
            raise _malformed(f"the name {name!a} is not defined above")

    def _once(self, key: LogKey | CosignerKey) -> None:
        verifier = key.verifier
        claim = verifier.name, verifier.key_id
        if verifier.public_key in self._keys or claim in self._claims:
            raise _malformed(f"the key {verifier.name} stands twice")
        self._keys.add(verifier.public_key)
        self._claims.add(claim)


def _policy_lines(text: str | bytes) -> list[str]:
    # Octets above 0x7f are opaque (tlog-policy, Character set): surrogateescape keeps them apart, unread.
    data = text.encode(errors="surrogateescape") if isinstance(text, str) else text
    if len(data) > MAX_POLICY_BYTES:
        text = f"policy of {len(data)} bytes exceeds {MAX_POLICY_BYTES}"
        raise Malformed("too-large", text, size=len(data), limit=MAX_POLICY_BYTES)
    if _CONTROL.search(data):
        raise Malformed("bad-policy", "a policy has no control characters but tab and newline")
    lines = data.decode(errors="surrogateescape").split("\n")
    if lines.pop():
        raise Malformed("bad-policy", "the last line of a policy does not end in a newline")
    return lines


def _threshold(text: str, count: int) -> int:
    if text in ("any", "all"):
        return 1 if text == "any" else count
    if not (text.isascii() and text.isdigit() and len(text) <= 3) or text.startswith("0") or int(text) > count:
        raise _malformed(f"the threshold is any, all or a number from 1 to {count}")
    return int(text)


def _limit(count: int, most: int, what: str) -> None:
    if count > most:
        raise _malformed(f"more than {most} {what}")


def _listed(names: Mapping[str, object]) -> str:
    return " ".join(sorted(names)).encode(errors="backslashreplace").decode() or "nobody"


def _too_many(count: int) -> Refused:
    text = f"the quorum needs {count} signatures; a proof carries at most {MAX_PROOF_SIGNATURES}"
    return Refused("too-many-signatures", text, hint="Ask for fewer missions or validators.", count=count)


def _malformed(text: str) -> Malformed:
    return Malformed("bad-policy", text)
