"""An officer whose keys are in a token types what everybody types."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest

from cli import words
from cli.options import read_new_passphrase, read_passphrase
from support.commands import Commands, Said
from support.ministry import PASSPHRASE
from support.softhsm import SoftHsm
from terminal.folder import Folder

PIN = "4711-0815"


class Officer:
    """Asha of DEL, whose keys are in the token "asha"."""

    def __init__(self, dutabarta: Commands, softhsm: SoftHsm) -> None:
        self.dutabarta = dutabarta
        self.place = softhsm.new_token("asha", PIN)
        softhsm.look_again()
        self.pin_file = secret_file(dutabarta.folder / "pin", PIN)
        self.path = dutabarta.home("DEL") / "terminals" / "asha"

    def enrol(self, *more: str | Path) -> Said:
        powers = ("--role", "drafter,releaser", "--clearance", "SECRET")
        token = ("--token", f"{self.place.module}:asha", "--passphrase-file", self.pin_file)
        return self.dutabarta(
            "officer", "enrol", "asha", "--home", self.dutabarta.home("DEL"), *powers, *token, "--json", *more
        )

    def enrolled(self) -> Officer:
        supervisors = secret_file(self.dutabarta.folder / "supervisors", PASSPHRASE.decode())
        said = self.enrol("--supervisors-passphrase-file", supervisors)
        assert said.data["state"] == "enrolled", said.err
        return self

    def __call__(self, *arguments: str | Path, pin_file: Path | None = None, stdin: bytes = b"") -> Said:
        own = (*self.dutabarta.at("DEL", "asha"), "--passphrase-file", pin_file or self.pin_file, "--json")
        return self.dutabarta(*arguments[:2], *own, *arguments[2:], stdin=stdin)

    def send(self) -> Said:
        marking = ("--precedence", "ROUTINE", "--classification", "RESTRICTED", "--subject", "Trade")
        return self("cable", "send", "--to", "WAS", *marking, "-", stdin=b"Text.\n")


def secret_file(path: Path, secret: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(secret + "\n")
    return path


@pytest.fixture
def asha(dutabarta: Commands, softhsm: SoftHsm) -> Officer:
    return Officer(dutabarta, softhsm)


def test_enrol_says_what_cannot_be_copied_and_the_folder_names_the_token(asha: Officer) -> None:
    asha.enrolled()
    assert "cannot be copied" in asha.dutabarta.said[-1].err
    config = Folder(asha.path).load_config()
    assert config.token == asha.place


def test_cables_go_out_and_come_in(asha: Officer, dutabarta: Commands) -> None:
    asha.enrolled()
    sent = asha.send()
    assert sent.code == 0, sent.err
    read = dutabarta("cable", "read", sent.data["cable_id"], *dutabarta.at("WAS"), "--json")
    assert read.data["paragraphs"] == ["Text.\n"]
    back = dutabarta.send("WAS", "DEL")
    assert asha("cable", "read", back.data["cable_id"]).data["subject"] == "Trade"
    assert asha("cable", "ack", back.data["cable_id"]).code == 0


def test_without_the_supervisors_passphrase_the_request_waits_for_them(asha: Officer, dutabarta: Commands) -> None:
    said = asha.enrol()
    assert said.data["state"] == "awaiting approval"
    request = said.data["request"]
    states = [
        dutabarta("officer", "approve", request, *dutabarta.at(post), "--json").data["state"] for post in ("DEL", "DHA")
    ]
    assert states == ["awaiting approval", "entered"]
    assert asha.send().code == 0


def test_a_rotation_makes_the_new_key_in_the_token_and_destroys_the_old(asha: Officer, dutabarta: Commands) -> None:
    asha.enrolled()
    request = dutabarta.folder / "rotate.json"
    assert asha("officer", "rotate", "--out", request).data["state"] == "awaiting approval"
    assert dutabarta("officer", "approve", request, *dutabarta.at("DEL"), "--json").data["state"] == "entered"
    assert asha("officer", "rotate", "--out", request).data["state"] == "rotated"
    assert asha.send().code == 0
    assert key_pairs(asha) == 2


class Killed(BaseException):
    """What happens at a write point instead of SIGKILL: nothing after it is done."""


def test_a_rotation_that_is_killed_at_any_write_point_goes_on(
    asha: Officer, dutabarta: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    asha.enrolled()
    request = dutabarta.folder / "rotate.json"
    begun = until_it_ends(lambda: asha("officer", "rotate", "--out", request), monkeypatch)
    assert dutabarta("officer", "approve", request, *dutabarta.at("DEL"), "--json").data["state"] == "entered"
    adopted = until_it_ends(lambda: asha("officer", "rotate", "--out", request), monkeypatch)
    assert begun > 1 and adopted > 1
    assert asha.send().code == 0


def until_it_ends(act: Callable[[], Said], monkeypatch: pytest.MonkeyPatch) -> int:
    """Kill it at its first write of a file, at the second of what is then left, and so on. How often it was killed."""
    for point in range(1, 50):
        left = iter(range(1, point))

        def reach(left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Killed

        with monkeypatch.context() as patched, suppress(Killed):
            patched.setattr("terminal.files.reach", reach)
            assert act().code == 0
            return point - 1
    raise AssertionError("it never came to its end")


def test_a_terminal_destroyed_leaves_no_key_in_the_token(asha: Officer) -> None:
    asha.enrolled()
    assert key_pairs(asha)
    destroyed = asha("officer", "zeroize", "--yes")
    assert destroyed.code == 0, destroyed.err
    assert key_pairs(asha) == 0


def key_pairs(asha: Officer) -> int:
    import pkcs11

    with pkcs11.lib(asha.place.module).get_token(token_label="asha").open(user_pin=PIN) as session:
        return len(list(session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY})))


def test_a_wrong_pin_is_refused_by_name_and_warns(asha: Officer) -> None:
    asha.enrolled()
    wrong = secret_file(asha.dutabarta.folder / "wrong", "0000")
    said = asha("cable", "list", pin_file=wrong)
    assert said.code == 1 and "[wrong-token-pin]" in said.err and "locks itself" in said.err


def test_nobodys_passphrase_is_tried_as_a_pin(asha: Officer, dutabarta: Commands) -> None:
    """A few wrong PINs lock a token; `asha` comes before the supervisors by name."""
    import pkcs11

    asha.enrolled()
    assert dutabarta.enrol("DEL", "karim", "drafter", "SECRET").data["state"] == "enrolled"
    token = pkcs11.lib(asha.place.module).get_token(token_label="asha")
    assert not token.flags & pkcs11.TokenFlag.USER_PIN_COUNT_LOW


def test_another_pin_and_another_passphrase(asha: Officer, dutabarta: Commands) -> None:
    asha.enrolled()
    new = secret_file(dutabarta.folder / "new", "another secret")
    assert asha("terminal", "passphrase", "--new-passphrase-file", new).data["state"] == "changed"
    assert asha("cable", "list").code == 1
    assert asha("cable", "list", pin_file=new).code == 0
    plain = dutabarta.at("WAS")
    assert dutabarta("terminal", "passphrase", *plain, "--new-passphrase-file", new, "--json").code == 0
    assert dutabarta("cable", "list", *plain, "--json").code == 1
    assert dutabarta("cable", "list", *plain, "--json", "--passphrase-file", new).code == 0


def test_a_token_that_cannot_be_used_leaves_no_terminal(asha: Officer, softhsm: SoftHsm) -> None:
    asha.pin_file.write_text("0000\n")
    assert "[wrong-token-pin]" in asha.enrol().err
    assert not asha.path.exists()
    said = asha.enrol("--token", softhsm.module + ":nobody")
    assert said.code == 4 and "[token-missing]" in said.err
    assert not asha.path.exists()


def test_what_is_asked_for_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, object]] = []

    def prompt(question: str, *, confirmation_prompt: object, **_: object) -> str:
        asked.append((question, bool(confirmation_prompt)))
        return PIN

    monkeypatch.delenv("DUTABARTA_PASSPHRASE_FILE", raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "prompt", prompt)
    words.use("en")
    assert read_passphrase(None, confirm=True, token="asha") == PIN.encode()
    read_passphrase(None, confirm=True)
    read_new_passphrase(None, pin=True)
    assert asked == [("PIN of the token asha", False), ("Passphrase", True), ("New PIN", True)]
