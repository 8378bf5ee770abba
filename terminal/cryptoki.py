"""PKCS #11 (Cryptoki 2.40 with the Edwards curves of 3.0) as far as a terminal needs it.

Nothing but terminal/tokens.py imports this and terminal/tokenlogin.py: they load the library.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, MechanismFlag, ObjectClass, exceptions

from keys.public import ED25519_KEY_BYTES
from keys.wrapped import TAG_BYTES
from protos.errors import Refused, Unavailable
from terminal.holder import TokenPlace
from terminal.tokenlogin import GONE, failed, log_in, missing, pin_text, refused_pin

_ED25519_OID = bytes.fromhex("06032b6570")
"""id-Ed25519 (RFC 8410), DER: CKA_EC_PARAMS by object identifier (PKCS #11 3.0, section 2.3.5)."""
_HIDDEN = {Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
_NOT_OPENED = (
    exceptions.GeneralError,
    exceptions.FunctionFailed,
    exceptions.EncryptedDataInvalid,
    exceptions.EncryptedDataLenRange,
)
"""What modules answer to a GCM tag that does not hold; SoftHSM 2.6 says GeneralError."""


class Token:
    """An open session of the logged-in user. Keys are named by their CKA_ID and found by their CKA_LABEL.

    Whatever the token does not do raises `Unavailable`: "token-missing" if it is gone, "token-key-missing" if it has
    no such key, "token-failed" with the Cryptoki name of the error otherwise.
    """

    def __init__(self, place: TokenPlace, pin: bytes) -> None:
        """Log in. Raises as `log_in`."""
        self._session = log_in(place, pin)
        self.place = TokenPlace(place.module, self._session.token.label)
        self._found: dict[tuple[ObjectClass, bytes], Any] = {}

    def make_aes(self, key_id: bytes, label: str) -> None:
        """A new AES-256 key that only encrypts and decrypts."""
        with self._named():
            self._session.generate_key(
                KeyType.AES,
                256,
                id=key_id,
                label=label,
                store=True,
                capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
                template=_HIDDEN,
            )

    def make_ed25519(self, key_id: bytes, label: str) -> bytes:
        """A new Ed25519 key; its public key, 32 bytes."""
        with self._named():
            curve = {Attribute.EC_PARAMS: _ED25519_OID}
            parameters = self._session.create_domain_parameters(KeyType.EC_EDWARDS, curve, local=True)
            public, _ = parameters.generate_keypair(
                mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                id=key_id,
                label=label,
                store=True,
                capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
                private_template=_HIDDEN,
            )
            point: bytes = public[Attribute.EC_POINT]
        return _raw_point(point)

    def sign(self, key_id: bytes, message: bytes) -> bytes:
        """CKM_EDDSA without parameters: pure Ed25519 (PKCS #11 3.0, section 2.3.14)."""
        with self._named():
            key = self._key(ObjectClass.PRIVATE_KEY, key_id)
            return bytes(key.sign(message, mechanism=Mechanism.EDDSA))

    def encrypt(self, key_id: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """AES-GCM: ciphertext || tag."""
        with self._named():
            return bytes(self._key(ObjectClass.SECRET_KEY, key_id).encrypt(plaintext, **_gcm(nonce, associated)))

    def decrypt(self, key_id: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """Raises `Refused` ("keystore-context") if the tag does not hold."""
        with self._named():
            key = self._key(ObjectClass.SECRET_KEY, key_id)
            try:
                return bytes(key.decrypt(ciphertext, **_gcm(nonce, associated)))
            except _NOT_OPENED as problem:
                raise Refused(
                    "keystore-context",
                    "the token's key does not open this keystore: it is another terminal's, or was changed",
                    hint="restore the terminal's folder from its backup copy",
                ) from problem

    def change_pin(self, old: bytes, new: bytes) -> None:
        """Raises "wrong-token-pin" and its kin; `Refused` ("token-pin-unfit") if the token does not take `new`."""
        before, after = pin_text(old), pin_text(new)
        with self._named():
            try:
                self._session.set_pin(before, after)
            except exceptions.PinIncorrect as problem:
                raise refused_pin(self._session.token) from problem
            except (exceptions.PinInvalid, exceptions.PinLenRange, exceptions.PinTooWeak) as problem:
                raise Refused(
                    "token-pin-unfit", "the token does not take this PIN", hint="its maker says how long a PIN may be"
                ) from problem

    def destroy_key(self, key_id: bytes) -> None:
        """Destroy the key, both halves; one that is not there is destroyed already."""
        self._destroy({Attribute.ID: key_id})

    def destroy_labelled(self, label: str) -> None:
        """Destroy every object of this label."""
        self._destroy({Attribute.LABEL: label})

    def close(self) -> None:
        """Log out and close. A token that is gone is closed already."""
        self._found.clear()
        try:
            self._session.close()
        except exceptions.PKCS11Error as problem:
            if not isinstance(problem, GONE):
                raise failed(problem) from problem

    def _destroy(self, which: dict[Attribute, Any]) -> None:
        self._found.clear()
        with self._named():
            for one in self._search(which):
                one.destroy()

    def _key(self, kind: ObjectClass, key_id: bytes) -> Any:
        if (kind, key_id) not in self._found:
            found = self._search({Attribute.CLASS: kind, Attribute.ID: key_id})
            if len(found) != 1:
                raise Unavailable(
                    "token-key-missing",
                    f"the token {self.place.label} does not hold this terminal's key",
                    hint="put in the token that the terminal was made with; a key that it lost comes back from nowhere",
                    token=self.place.label,
                )
            self._found[kind, key_id] = found[0]
        return self._found[kind, key_id]

    def _search(self, which: dict[Attribute, Any]) -> list[Any]:
        """A search in a dead session would make the library complain on stderr: something else is asked first."""
        with suppress(exceptions.RandomNoRNG, exceptions.FunctionNotSupported):
            self._session.generate_random(64)
        return list(self._session.get_objects(which))

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except GONE as problem:
            raise missing(self.place) from problem
        except exceptions.DeviceMemory as problem:
            raise Unavailable(
                "token-full", "the token has no room for another key", hint="use an empty token"
            ) from problem
        except exceptions.PKCS11Error as problem:
            raise failed(problem) from problem


def _gcm(nonce: bytes, associated: bytes) -> dict[str, Any]:
    return {"mechanism": Mechanism.AES_GCM, "mechanism_param": GCMParams(nonce, associated, 8 * TAG_BYTES)}


def _raw_point(point: bytes) -> bytes:
    """32 bytes: CKA_EC_POINT is the bare point or its DER OCTET STRING, as the module's version of PKCS #11 has it."""
    octets = bytes([4, ED25519_KEY_BYTES])
    raw = point[2:] if len(point) == 2 + ED25519_KEY_BYTES and point.startswith(octets) else point
    if len(raw) != ED25519_KEY_BYTES:
        raise Unavailable("token-failed", "the token failed: EC_POINT", hint="ask its maker", name="EC_POINT")
    return raw
