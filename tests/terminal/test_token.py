"""What only a token can do, and what can only happen to a token."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from nacl.bindings import crypto_sign_open

from keys.public import SUITE_DUAL, SUITE_ED25519, SUITE_MLDSA44
from keys.purpose import Purpose
from protos.errors import DutabartaError, Refused
from support.softhsm import SoftHsm
from terminal.folder import Config, Folder
from terminal.holder import TokenPlace, new_keys
from terminal.keyring import Keyring

CONFIG = Config("ab" * 32, "DHA", "cd" * 16, "রহিমা", "127.0.0.1:7000", "ef" * 32, True)
PIN = b"4711-0815"


def make(path: Path, place: TokenPlace, config: Config = CONFIG) -> Folder:
    with new_keys(place, PIN, config.context) as keys:
        own = replace(config, token_module=place.module, token_label=keys.place.label)
        return Folder.create(path, own, Keyring.generate(keys), PIN)


@pytest.fixture
def place(softhsm: SoftHsm) -> TokenPlace:
    found = softhsm.new_token("asha", PIN.decode())
    softhsm.look_again()
    return found


@pytest.fixture
def folder(place: TokenPlace, tmp_path: Path) -> Folder:
    return make(tmp_path / "T", place)


def refusal(folder: Folder, pin: bytes = PIN) -> str:
    with pytest.raises(DutabartaError) as caught:
        folder.load_keyring(pin).close()
    assert caught.value.hint
    return caught.value.code


def objects(place: TokenPlace) -> list[dict[str, object]]:
    """Every object of the token: class, and what may be done with it."""
    import pkcs11
    from pkcs11 import Attribute

    with pkcs11.lib(place.module).get_token(token_label=place.label).open(user_pin=PIN.decode()) as session:
        return [
            {"class": one[Attribute.CLASS].name, "label": one[Attribute.LABEL], **_powers(one)}
            for one in session.get_objects()
        ]


def _powers(one: object) -> dict[str, object]:
    from pkcs11 import Attribute, ObjectClass

    if one[Attribute.CLASS] == ObjectClass.PUBLIC_KEY:  # type: ignore[index]
        return {}
    names = ("PRIVATE", "SENSITIVE", "EXTRACTABLE", "NEVER_EXTRACTABLE", "ALWAYS_SENSITIVE", "LOCAL")
    return {name: one[Attribute[name]] for name in names}  # type: ignore[index]


# Keys


def test_keys_are_made_in_the_token_and_cannot_be_read_out_of_it(folder: Folder, place: TokenPlace) -> None:
    found = objects(place)
    assert sorted(str(one["class"]) for one in found) == ["PRIVATE_KEY"] * 2 + ["PUBLIC_KEY"] * 2 + ["SECRET_KEY"]
    for one in found:
        if one["class"] != "PUBLIC_KEY":
            assert one["PRIVATE"] and one["SENSITIVE"] and one["ALWAYS_SENSITIVE"] and one["LOCAL"]
            assert not one["EXTRACTABLE"] and one["NEVER_EXTRACTABLE"]


@pytest.mark.parametrize("size", [0, 1, 63, 64, 157, 4096, 70_000])
def test_it_signs_pure_ed25519_over_the_very_bytes(place: TokenPlace, size: int) -> None:
    message = bytes(size)
    with new_keys(place, PIN, CONFIG.context) as keys:
        kept = keys.generate(SUITE_ED25519)
        signature = keys._token.sign(kept[:16], message)
        assert crypto_sign_open(signature + message, kept[16:48]) == message


def test_the_folder_alone_is_of_no_use(folder: Folder, softhsm: SoftHsm) -> None:
    softhsm.new_token("other", PIN.decode())
    softhsm.look_again()
    folder.save_config(replace(folder.load_config(), token_label="other"))
    assert refusal(folder) == "token-key-missing"


def test_a_keystore_in_another_officers_folder_does_not_open(place: TokenPlace, tmp_path: Path) -> None:
    one, other = make(tmp_path / "A", place), make(tmp_path / "B", place, replace(CONFIG, officer_id="ee" * 16))
    other.save_file("keystore", (one.path / "keystore").read_bytes())
    assert refusal(other) == "keystore-context"
    one.load_keyring(PIN).close()


def test_a_keystore_of_another_network_does_not_open(folder: Folder) -> None:
    folder.save_config(replace(folder.load_config(), network_id="00" * 32))
    assert refusal(folder) == "keystore-context"


def test_a_configuration_that_names_no_token_is_refused(folder: Folder) -> None:
    folder.save_config(replace(folder.load_config(), token_module="", token_label=""))
    assert refusal(folder) == "config-malformed"


def test_a_failed_beginning_leaves_nothing_in_the_token(place: TokenPlace) -> None:
    with pytest.raises(OSError, match="disk"), new_keys(place, PIN, CONFIG.context) as keys:
        keys.generate(SUITE_DUAL)
        raise OSError("disk")
    assert objects(place) == []


def test_destroying_one_terminal_leaves_the_other(place: TokenPlace, tmp_path: Path) -> None:
    one, other = make(tmp_path / "A", place), make(tmp_path / "B", place)
    with closing(one.load_keyring(PIN)) as keyring:
        keyring.holder.destroy_all()
    assert refusal(one) == "token-key-missing"
    other.load_keyring(PIN).close()
    assert len(objects(place)) == 5


def test_a_destroyed_key_signs_no_more(folder: Folder, place: TokenPlace) -> None:
    with closing(folder.load_keyring(PIN)) as keyring:
        signer = keyring.officer_signer
        signer.sign(Purpose.RELEASE, bytes(32), b"p")
        keyring.holder.destroy(keyring.officer)
        with pytest.raises(DutabartaError) as caught:
            signer.sign(Purpose.RELEASE, bytes(32), b"p")
        assert caught.value.code == "token-key-missing"
    assert len(objects(place)) == 3


def test_a_suite_without_an_ed25519_half_is_refused(place: TokenPlace) -> None:
    with new_keys(place, PIN, CONFIG.context) as keys, pytest.raises(DutabartaError) as caught:
        keys.generate(SUITE_MLDSA44)
    assert caught.value.code == "unknown-suite"


# The PIN


def test_a_pin_that_is_no_text_costs_no_try(folder: Folder) -> None:
    assert refusal(folder, b"\xff\xff\xff\xff") == "token-pin-malformed"


@pytest.mark.parametrize("new", [b"", b"1", b"9" * 300])
def test_a_pin_that_the_token_does_not_take_changes_nothing(folder: Folder, new: bytes) -> None:
    with pytest.raises(Refused) as caught:
        folder.change_passphrase(PIN, new)
    assert caught.value.code == "token-pin-unfit"
    folder.load_keyring(PIN).close()


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (0, "wrong-token-pin"),
        (0x10000, "wrong-token-pin"),
        (0x30000, "token-pin-last-try"),
        (0x70000, "token-pin-locked"),
    ],
)
def test_a_refused_pin_says_how_near_the_token_is_to_locking(flags: int, code: str) -> None:
    """CKF_USER_PIN_COUNT_LOW, _FINAL_TRY, _LOCKED (PKCS #11 3.0, section 3.2); SoftHSM never locks."""
    pytest.importorskip("pkcs11")
    from terminal.tokenlogin import refused_pin

    token = SimpleNamespace(slot=SimpleNamespace(get_token=lambda: SimpleNamespace(flags=flags)))
    problem = refused_pin(token)  # type: ignore[arg-type]
    assert problem.code == code and problem.hint


# Tokens that are not there


def test_a_module_that_does_not_start_is_named(folder: Folder, softhsm: SoftHsm) -> None:
    import pkcs11

    pkcs11.unload(softhsm.module)
    softhsm.tokens.rename(softhsm.tokens.with_name("elsewhere"))
    assert refusal(folder) == "token-failed"


def test_a_module_that_is_none_is_named(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no module")
    for module in (str(tmp_path / "text"), str(tmp_path / "absent"), "libsofthsm2.so", str(tmp_path)):
        folder.save_config(replace(folder.load_config(), token_module=module))
        assert refusal(folder) == "token-module"


def test_a_token_that_is_not_there_is_named(folder: Folder, softhsm: SoftHsm) -> None:
    softhsm.pull_out()
    softhsm.look_again()
    assert refusal(folder) == "token-missing"
    softhsm.put_in()
    softhsm.look_again()
    folder.load_keyring(PIN).close()


def test_a_token_taken_out_in_the_middle_is_named_and_harms_nothing(folder: Folder, softhsm: SoftHsm) -> None:
    before = (folder.path / "keystore").read_bytes()
    with closing(folder.load_keyring(PIN)) as keyring:
        signer = keyring.terminal_signer
        signer.sign(Purpose.RECEIPT, bytes(32), b"p")
        softhsm.pull_out()
        for act in (
            lambda: signer.sign(Purpose.RECEIPT, bytes(32), b"p"),
            lambda: folder.save_keyring(keyring, PIN, CONFIG.cost),
            lambda: keyring.holder.generate(SUITE_DUAL),
        ):
            with pytest.raises(DutabartaError) as caught:
                act()
            assert caught.value.code in {"token-missing", "token-failed"}
    assert (folder.path / "keystore").read_bytes() == before
    softhsm.put_in()
    softhsm.look_again()
    folder.load_keyring(PIN).close()


def test_a_closed_token_signs_no_more(folder: Folder) -> None:
    keyring = folder.load_keyring(PIN)
    signer = keyring.terminal_signer
    keyring.close()
    with pytest.raises(DutabartaError) as caught:
        signer.sign(Purpose.RECEIPT, bytes(32), b"p")
    assert caught.value.code == "token-missing"


def test_a_program_opens_a_token_once_at_a_time(folder: Folder) -> None:
    """A second login would not check the PIN: Cryptoki logs a whole program in."""
    with closing(folder.load_keyring(PIN)):
        assert refusal(folder, b"another PIN") == "token-busy"
    folder.load_keyring(PIN).close()


def test_the_only_token_needs_no_label_and_of_several_one_must_be_named(softhsm: SoftHsm, tmp_path: Path) -> None:
    softhsm.new_token("asha", PIN.decode())
    softhsm.look_again()
    folder = make(tmp_path / "A", TokenPlace(softhsm.module))
    assert folder.load_config().token_label == "asha"
    softhsm.new_token("karim", PIN.decode())
    softhsm.look_again()
    with pytest.raises(Refused) as caught:
        make(tmp_path / "B", TokenPlace(softhsm.module))
    assert caught.value.code == "ambiguous-token" and "karim" in caught.value.text
    folder.load_keyring(PIN).close()


# The library


def test_without_the_library_the_product_works_and_a_token_is_refused_by_name(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    for name in ("terminal.tokens", "terminal.cryptoki", "terminal.tokenlogin"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert refusal(folder) == "token-library"
    plain = Folder.create(tmp_path / "plain", CONFIG, Keyring.generate(), PIN)
    plain.load_keyring(PIN).close()


def test_who_has_no_token_loads_nothing_of_it() -> None:
    code = (
        "import sys, terminal.terminal, cli.officer, cli.enrolment, cli.terminal\n"
        "sys.exit(any(name.split('.')[0] in ('pkcs11', 'asn1crypto') for name in sys.modules))"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
