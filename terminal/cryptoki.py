"""PKCS #11 (Cryptoki 2.40 with the Edwards curves of 3.0) as far as a terminal needs it, its errors by our names.

Nothing but terminal/token.py imports this: it loads the library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, MechanismFlag, ObjectClass, TokenFlag, exceptions

from keys.public import ED25519_KEY_BYTES
from keys.wrapped import TAG_BYTES
from protos.errors import DutabartaError, Malformed, Refused, Unavailable
from terminal.holder import TokenPlace

T = TypeVar("T")

_ED25519_OID = bytes.fromhex("06032b6570")
"""id-Ed25519 (RFC 8410), DER: CKA_EC_PARAMS by object identifier (PKCS #11 3.0, section 2.3.5)."""
_HIDDEN = {Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
_GONE = (
    exceptions.DeviceRemoved,
    exceptions.TokenNotPresent,
    exceptions.SessionHandleInvalid,
    exceptions.SessionClosed,
    exceptions.ObjectHandleInvalid,
    exceptions.KeyHandleInvalid,
    exceptions.UserNotLoggedIn,
)
_WRONG_PIN = (exceptions.PinIncorrect, exceptions.PinInvalid, exceptions.PinLenRange)
_NOT_OPENED = (
    exceptions.GeneralError,
    exceptions.FunctionFailed,
    exceptions.EncryptedDataInvalid,
    exceptions.EncryptedDataLenRange,
)
"""What modules answer to a GCM tag that does not hold; SoftHSM 2.6 says GeneralError."""


def open_token(place: TokenPlace, pin: bytes) -> Token:
    """Log in as the user. A process logs in to a token once at a time.

    Raises "token-module", "token-missing", "ambiguous-token", "wrong-token-pin" and its kin, "token-busy",
    "token-failed".
    """
    found = _find(place)
    session = _log_in(found, _text(pin))
    return Token(TokenPlace(place.module, found.label), session)


class Token:
    """An open session of the logged-in user. Keys are named by their CKA_ID and found by their CKA_LABEL.

    Whatever the token does not do raises `Unavailable`: "token-missing" if it is gone, "token-key-missing" if it has
    no such key, "token-failed" with the Cryptoki name of the error otherwise.
    """

    def __init__(self, place: TokenPlace, session: pkcs11.Session) -> None:
        self.place = place
        self._session = session
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
        before, after = _text(old), _text(new)
        with self._named():
            try:
                self._session.set_pin(before, after)
            except exceptions.PinIncorrect as problem:
                raise _refused_pin(self._session.token) from problem
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
            if not isinstance(problem, _GONE):
                raise _failed(problem) from problem

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
        except _GONE as problem:
            raise _missing(self.place) from problem
        except exceptions.DeviceMemory as problem:
            raise Unavailable(
                "token-full", "the token has no room for another key", hint="use an empty token"
            ) from problem
        except exceptions.PKCS11Error as problem:
            raise _failed(problem) from problem


def _find(place: TokenPlace) -> pkcs11.Token:
    found: list[pkcs11.Token] = _asked(
        lambda: list(_module(place.module).get_tokens(token_flags=TokenFlag.TOKEN_INITIALIZED))
    )
    fitting = [one for one in found if not place.label or one.label == place.label]
    if not fitting:
        raise _missing(place)
    if len(fitting) > 1:
        labels = ", ".join(sorted(one.label for one in fitting))
        raise Refused(
            "ambiguous-token", f"there are several tokens: {labels}", hint="name one: MODULE:LABEL", labels=labels
        )
    (token,) = fitting
    return token


def _module(path: str) -> Any:
    """The loaded module. A path that is not absolute would be looked for where an attacker may have put one."""
    if not Path(path).is_absolute() or not Path(path).is_file():
        raise _no_module(path)
    try:
        return pkcs11.lib(path)
    except exceptions.PKCS11Error as problem:
        initialising = type(problem) is not exceptions.PKCS11Error
        raise (_failed(problem) if initialising else _no_module(path)) from problem


def _log_in(token: pkcs11.Token, pin: str) -> pkcs11.Session:
    if token.flags & TokenFlag.USER_PIN_LOCKED:
        raise _refused_pin(token)
    try:
        return token.open(rw=True, user_pin=pin)
    except _WRONG_PIN as problem:
        raise _refused_pin(token) from problem
    except exceptions.PinLocked as problem:
        raise _locked() from problem
    except exceptions.UserAlreadyLoggedIn as problem:
        raise Unavailable(
            "token-busy",
            "this program has this token open already",
            hint="close the other terminal first",
        ) from problem
    except _GONE as problem:
        raise _missing(TokenPlace("", token.label)) from problem
    except exceptions.PKCS11Error as problem:
        raise _failed(problem) from problem


def _refused_pin(token: pkcs11.Token) -> Refused:
    """By what the token says now: its flags change with every wrong PIN."""
    flags = _asked(lambda: token.slot.get_token().flags)
    if flags & TokenFlag.USER_PIN_LOCKED:
        return _locked()
    if flags & TokenFlag.USER_PIN_FINAL_TRY:
        return Refused(
            "token-pin-last-try",
            "the token refuses this PIN, and locks itself after one more wrong one",
            hint="do not guess: find the PIN, or ask who keeps the token's security officer PIN",
        )
    return Refused(
        "wrong-token-pin",
        "the token refuses this PIN",
        hint="type it again; mind the keyboard layout: after a few wrong PINs a token locks itself",
    )


def _locked() -> Refused:
    return Refused(
        "token-pin-locked",
        "the token has locked its PIN after too many wrong ones",
        hint="who keeps the token's security officer PIN can set a new one; without it the officer is enrolled anew",
    )


def _asked(question: Callable[[], T]) -> T:
    try:
        return question()
    except exceptions.PKCS11Error as problem:
        raise _failed(problem) from problem


def _missing(place: TokenPlace) -> Unavailable:
    label = place.label
    return Unavailable(
        "token-missing",
        f"the token {label} is not there" if label else "there is no token",
        hint="put it in, and give the command again",
        token=label,
    )


def _no_module(path: str) -> DutabartaError:
    return Unavailable(
        "token-module",
        f"{path} is no PKCS #11 module that loads",
        hint="give the absolute path of the module that came with the token",
        path=path,
    )


def _failed(problem: exceptions.PKCS11Error) -> Unavailable:
    name = type(problem).__name__
    return Unavailable(
        "token-failed", f"the token failed: {name}", hint="take it out and put it in again; ask its maker", name=name
    )


def _text(pin: bytes) -> str:
    try:
        return pin.decode()
    except UnicodeDecodeError as problem:
        raise Malformed("token-pin-malformed", "a token's PIN is UTF-8 text", hint="type it again") from problem


def _gcm(nonce: bytes, associated: bytes) -> dict[str, Any]:
    return {"mechanism": Mechanism.AES_GCM, "mechanism_param": GCMParams(nonce, associated, 8 * TAG_BYTES)}


def _raw_point(point: bytes) -> bytes:
    """32 bytes: CKA_EC_POINT is the bare point or its DER OCTET STRING, as the module's version of PKCS #11 has it."""
    octets = bytes([4, ED25519_KEY_BYTES])
    raw = point[2:] if len(point) == 2 + ED25519_KEY_BYTES and point.startswith(octets) else point
    if len(raw) != ED25519_KEY_BYTES:
        raise Unavailable("token-failed", "the token failed: EC_POINT", hint="ask its maker", name="EC_POINT")
    return raw
