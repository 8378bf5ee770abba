"""One suite for every holder of keys: what a terminal may rely on, whether its keys are in a file or in a token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest

from keys.public import SUITE_DUAL, SUITE_ED25519
from keys.purpose import SUITE_OF, Purpose
from keys.signing import DirectVerifier, Signer
from protos.errors import DutabartaError, Refused
from support.softhsm import SoftHsm
from terminal.folder import Config, Folder
from terminal.holder import IN_MEMORY, KeyHolder, TokenPlace, new_keys
from terminal.keyring import EpochSeed, Keyring

NETWORK = b"N" * 32
CONFIG = Config(NETWORK.hex(), "DHA", "cd" * 16, "রহিমা", "127.0.0.1:7000", "ef" * 32, True)
SECRET, OTHER = b"4711-0815", b"0815-4711"
DAMAGED = {"not-a-keystore", "keystore-damaged"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to keep keys. `wrong`: the code of a wrong passphrase or PIN; `forged`: codes of a forged file."""

    wrong: str
    forged: frozenset[str]
    token: TokenPlace | None = None

    def make(self, path: Path) -> Folder:
        """A new terminal's folder, its keyring with one prekey."""
        config = CONFIG
        with self._holder(config) as holder:
            if self.token:
                config = replace(config, token_module=self.token.module, token_label=self.token.label)
            keyring = Keyring.generate(holder).with_prekey(EpochSeed(1, b"s" * 32, 5, b"h" * 32))
            return Folder.create(path, config, keyring, SECRET)

    @contextmanager
    def _holder(self, config: Config) -> Iterator[KeyHolder]:
        if self.token is None:
            yield IN_MEMORY
            return
        with new_keys(self.token, SECRET, config.context) as keys:
            yield keys


@pytest.fixture(params=["file", "token"])
def kind(request: pytest.FixtureRequest) -> Kind:
    if request.param == "file":
        forged = frozenset({"not-a-keystore", "keystore-version", "keystore-cost", "wrong-passphrase"})
        return Kind("wrong-passphrase", forged)
    softhsm: SoftHsm = request.getfixturevalue("softhsm")
    place = softhsm.new_token("asha", SECRET.decode())
    softhsm.look_again()
    forged = frozenset({"not-a-keystore", "keystore-version", "keystore-context", "token-key-missing"})
    return Kind("wrong-token-pin", forged, place)


@pytest.fixture
def folder(kind: Kind, tmp_path: Path) -> Folder:
    return kind.make(tmp_path / "T")


@pytest.fixture
def keyring(folder: Folder) -> Iterator[Keyring]:
    with closing(folder.load_keyring(SECRET)) as found:
        yield found


def refusal(folder: Folder, secret: bytes = SECRET) -> str:
    with pytest.raises(DutabartaError) as caught:
        folder.load_keyring(secret).close()
    return caught.value.code


def verify(signer: Signer, purpose: Purpose, payload: bytes, signature: bytes) -> None:
    DirectVerifier().verify(signer.public_key, purpose, NETWORK, payload, signature)


# Signers


@pytest.mark.parametrize("payload", [b"", b"x", b"p" * 100_000], ids=["empty", "short", "long"])
def test_signatures_hold_for_every_purpose_of_the_suite_and_for_no_other(keyring: Keyring, payload: bytes) -> None:
    for signer in (keyring.officer_signer, keyring.terminal_signer):
        for purpose in Purpose:
            if SUITE_OF.get(purpose, signer.public_key.suite) == signer.public_key.suite:
                verify(signer, purpose, payload, signer.sign(purpose, NETWORK, payload))
            else:
                with pytest.raises(Refused) as caught:
                    signer.sign(purpose, NETWORK, payload)
                assert caught.value.code == "wrong-suite"


def test_a_signature_says_nothing_about_another_payload_network_or_purpose(keyring: Keyring) -> None:
    signer = keyring.terminal_signer
    signature = signer.sign(Purpose.RECEIPT, NETWORK, b"payload")
    verifier = DirectVerifier()
    for purpose, network, payload in [
        (Purpose.RECEIPT, NETWORK, b"other"),
        (Purpose.RECEIPT, bytes(32), b"payload"),
        (Purpose.NAK, NETWORK, b"payload"),
    ]:
        with pytest.raises(DutabartaError) as caught:
            verifier.verify(signer.public_key, purpose, network, payload, signature)
        assert caught.value.code == "bad-signature"


def test_every_key_is_another(keyring: Keyring) -> None:
    made = [keyring.holder.generate(suite) for suite in (SUITE_DUAL, SUITE_ED25519) * 3]
    signers = [
        keyring.holder.signer(suite, one) for suite, one in zip((SUITE_DUAL, SUITE_ED25519) * 3, made, strict=True)
    ]
    ids = {one.public_key.key_id for one in (*signers, keyring.officer_signer, keyring.terminal_signer)}
    assert len(ids) == 8


@pytest.mark.parametrize("size", [0, 31, 32, 47, 63, 65, 79, 81])
def test_what_no_holder_has_made_is_refused(keyring: Keyring, size: int) -> None:
    for suite in (SUITE_DUAL, SUITE_ED25519):
        if size == 32 and suite == SUITE_ED25519:
            continue  # in memory, any 32 bytes are an Ed25519 seed
        with pytest.raises(DutabartaError) as caught:
            keyring.holder.signer(suite, bytes(size))
        assert caught.value.code == "secret-length"


def test_a_representation_shows_no_secret(keyring: Keyring) -> None:
    shown = f"{keyring!r} {keyring.officer_signer!r} {keyring.terminal_signer!r} {keyring.holder!r}"
    for secret in (keyring.officer, keyring.terminal, keyring.store_key, b"s" * 32, SECRET):
        assert repr(secret) not in shown and secret.hex() not in shown


# Keystores


def test_what_is_saved_is_loaded_and_signs_as_before(folder: Folder, tmp_path: Path) -> None:
    loaded = []
    for _ in range(2):
        with closing(folder.load_keyring(SECRET)) as keyring:
            signer = keyring.officer_signer
            verify(signer, Purpose.RELEASE, b"p", signer.sign(Purpose.RELEASE, NETWORK, b"p"))
            loaded.append((keyring, signer.public_key, keyring.terminal_id))
            folder.save_keyring(keyring, SECRET, CONFIG.cost)
    assert loaded[0] == loaded[1]


def test_the_file_shows_no_secret(folder: Folder, keyring: Keyring) -> None:
    data = (folder.path / "keystore").read_bytes()
    seeds = (keyring.officer[-32:], keyring.terminal, keyring.store_key, b"s" * 32, keyring.tls_key[60:100])
    assert not [one for one in seeds if one in data]


def test_sealing_again_shows_nothing_of_what_changed(folder: Folder, keyring: Keyring) -> None:
    before = (folder.path / "keystore").read_bytes()
    folder.save_keyring(keyring, SECRET, CONFIG.cost)
    after = (folder.path / "keystore").read_bytes()
    assert len(before) == len(after)
    assert sum(one == other for one, other in zip(before[100:], after[100:], strict=True)) < len(before) // 20


@pytest.mark.parametrize("wrong", [OTHER, b"x", SECRET + b" ", SECRET[:-1]])
def test_a_wrong_passphrase_or_pin_is_named(folder: Folder, kind: Kind, wrong: bytes) -> None:
    with pytest.raises(Refused) as caught:
        folder.load_keyring(wrong)
    assert caught.value.code == kind.wrong and caught.value.hint
    folder.load_keyring(SECRET).close()


def test_every_flipped_bit_is_refused_by_name(folder: Folder) -> None:
    path = folder.path / "keystore"
    data = path.read_bytes()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert refusal(folder) in DAMAGED
    path.write_bytes(data)
    folder.load_keyring(SECRET).close()


def test_every_flipped_byte_under_a_new_checksum_is_refused_by_name(folder: Folder, kind: Kind) -> None:
    path = folder.path / "keystore"
    data = path.read_bytes()
    for at in range(len(data) - 32):
        body = bytearray(data[:-32])
        body[at] ^= 1
        path.write_bytes(bytes(body) + sha256(body).digest())
        assert refusal(folder) in kind.forged
    path.write_bytes(data)
    folder.load_keyring(SECRET).close()


def test_every_truncation_is_refused_by_name(folder: Folder) -> None:
    path = folder.path / "keystore"
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert refusal(folder) in DAMAGED


def test_a_changed_passphrase_or_pin_opens_and_the_old_one_does_not(folder: Folder, kind: Kind) -> None:
    with closing(folder.load_keyring(SECRET)) as before:
        terminal_id = before.terminal_id
    folder.change_passphrase(SECRET, OTHER)
    assert refusal(folder, SECRET) == kind.wrong
    with closing(folder.load_keyring(OTHER)) as after:
        assert after.terminal_id == terminal_id


def test_changing_it_takes_the_old_one(folder: Folder, kind: Kind) -> None:
    with pytest.raises(Refused) as caught:
        folder.change_passphrase(OTHER, b"1234-5678")
    assert caught.value.code == kind.wrong
    folder.load_keyring(SECRET).close()


def test_a_key_that_is_destroyed_takes_no_other_with_it(folder: Folder, keyring: Keyring) -> None:
    successor = keyring.holder.generate(SUITE_DUAL)
    keyring.holder.destroy(keyring.officer)
    keyring.holder.destroy(keyring.officer)
    rotated = replace(keyring, officer=successor)
    folder.save_keyring(rotated, SECRET, CONFIG.cost)
    for signer, purpose in ((rotated.officer_signer, Purpose.RELEASE), (rotated.terminal_signer, Purpose.RECEIPT)):
        verify(signer, purpose, b"p", signer.sign(purpose, NETWORK, b"p"))
