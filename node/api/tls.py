"""Self-signed, pinned TLS: there is no authority among nodes, the ledger holds the certificates themselves.

A certificate is ECDSA P-256 (grpcio refuses Ed25519), without practical expiry, at most 600 bytes of DER, and names
itself by the hash of its key, so that no two in one trust list share a subject.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import cast

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID

from protos.errors import Malformed, Unavailable, VerificationFailed

MAX_CERTIFICATE_BYTES = 600
PIN_BYTES = 32
KEY_EXCHANGE = b"X25519MLKEM768"
_NAME_SUFFIX = ".dutabarta"
_NOT_BEFORE = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_NOT_AFTER = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)  # RFC 5280 §4.1.2.5: no expiry
_FETCH_SECONDS = 10.0
_GRACE_SECONDS = 0.2  # a handshake takes its reference within microseconds
# Without keyCertSign (RFC 5280 §4.2.1.3) no pinned certificate can vouch for another one.
_SIGNS_HANDSHAKES_ONLY = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)

_UNREADABLE = (
    ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound, x509.DuplicateExtension, x509.InvalidVersion,
    x509.UnsupportedGeneralNameType, x509.AttributeNotFound,
)  # fmt: skip
"""Whatever the library says of bytes that anybody may have put on the ledger."""


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """A certificate (DER) and its private key (PKCS #8 PEM)."""

    certificate: bytes
    key_pem: bytes = field(repr=False)

    @property
    def pin(self) -> bytes:
        """SHA-256 of the certificate, 32 bytes: what a person compares."""
        return pin_of(self.certificate)

    @property
    def is_pair(self) -> bool:
        """Whether the private key is that of the certificate, in the very bytes that `make_identity` gives it."""
        try:
            key = serialization.load_pem_private_key(self.key_pem, None)
            certified = x509.load_der_x509_certificate(self.certificate).public_key()
        except _UNREADABLE:
            return False
        return key.public_key() == certified and _pem(key) == self.key_pem


def make_identity() -> TlsIdentity:
    """A new P-256 key and its self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name_of(key.public_key())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), int.from_bytes(os.urandom(8)) | 1)
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGNS_HANDSHAKES_ONLY, critical=True)
        .sign(key, hashes.SHA256())
    )
    return TlsIdentity(certificate.public_bytes(serialization.Encoding.DER), _pem(key))


def _pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def pin_of(certificate: bytes) -> bytes:
    """SHA-256 of a DER certificate, 32 bytes."""
    return hashlib.sha256(certificate).digest()


def check_certificate(certificate: bytes) -> None:
    """Refuse what this network would not put on its ledger. Raises `Malformed`."""
    if len(certificate) > MAX_CERTIFICATE_BYTES:
        size = len(certificate)
        raise Malformed("bad-certificate", f"a certificate of {size} bytes exceeds {MAX_CERTIFICATE_BYTES}", size=size)
    server_name(certificate)


def server_name(certificate: bytes) -> str:
    """The name a client expects in the handshake, computed from the certificate's own key. Raises `Malformed`."""
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        key = parsed.public_key()
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        listed = names.get_values_for_type(x509.DNSName)
    except _UNREADABLE as problem:
        raise Malformed("bad-certificate", "not a certificate of this network") from problem
    if not isinstance(key, ec.EllipticCurvePublicKey) or listed != [_name_of(key)]:
        raise Malformed("bad-certificate", "the certificate does not name its own key")
    return listed[0]


def pem_of(certificate: bytes) -> bytes:
    """PEM of a DER certificate, as gRPC wants it."""
    return ssl.DER_cert_to_PEM_cert(certificate).encode()


def der_of(pem: bytes) -> bytes:
    """DER of a PEM certificate, as gRPC reports it."""
    return ssl.PEM_cert_to_DER_cert(pem.decode())


class _Trust:
    """The roots of one listening port, given to gRPC only when they have changed.

    gRPC's core asks under a lock, but starts the handshake outside it, and frees the roots it replaces although another
    thread may be starting one with them (grpc/grpc#36693, a crash). While it waits here, none can pass the lock, and
    those that have passed get the time they need to take their reference.
    """

    def __init__(self, identity: TlsIdentity, live: Callable[[], Iterable[bytes]]) -> None:
        self._pair = (identity.key_pem, pem_of(identity.certificate))
        self._live = live
        self._given = self._roots()

    def first(self) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([self._pair], self._given)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """The configuration for the next handshakes; None: as before."""
        roots = self._roots()
        if roots == self._given:
            return None
        time.sleep(_GRACE_SECONDS)
        self._given = roots
        return grpc.ssl_server_certificate_configuration([self._pair], roots)

    def _roots(self) -> bytes:
        # An empty root list would mean "the system's roots": with nobody on the ledger yet, trust only oneself.
        return b"".join(sorted(pem_of(certificate) for certificate in self._live())) or self._pair[1]


def server_credentials(identity: TlsIdentity, live: Callable[[], Iterable[bytes]]) -> grpc.ServerCredentials:
    """Credentials of one listening port that accept exactly what `live` returns (DER), asked at every handshake.

    `live` is called from gRPC's own threads and must be safe there.
    """
    trust = _Trust(identity, live)
    changed = cast(
        Callable[[], grpc.ServerCertificateConfiguration], trust.changed
    )  # gRPC takes None, its types do not
    return grpc.dynamic_ssl_server_credentials(trust.first(), changed, require_client_authentication=True)


def channel_credentials(identity: TlsIdentity, server_certificate: bytes) -> grpc.ChannelCredentials:
    """Client credentials that accept only `server_certificate` (DER)."""
    return grpc.ssl_channel_credentials(pem_of(server_certificate), identity.key_pem, pem_of(identity.certificate))


def channel_options(server_certificate: bytes) -> list[tuple[str, str | int]]:
    """Channel options that go with `channel_credentials`: the pinned name instead of the address."""
    return [("grpc.ssl_target_name_override", server_name(server_certificate))]


def fetch_certificate(address: str, pin: bytes) -> bytes:
    """The certificate (DER) a node shows at `host:port`, if its SHA-256 is `pin`.

    Raises `Unavailable` when nobody answers, `VerificationFailed` when another certificate is shown.
    """
    host, port = split_address(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the pin is compared below, before the certificate is used
    try:
        with (
            socket.create_connection((host, port), timeout=_FETCH_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            certificate = secured.getpeercert(binary_form=True)
    except OSError as problem:
        raise Unavailable(
            "unreachable",
            f"no node answers at {address}",
            hint="check the address and that the node runs",
            address=address,
        ) from problem
    if certificate is None or pin_of(certificate) != pin:
        raise VerificationFailed(
            "wrong-pin",
            f"the node at {address} shows another certificate than the pin",
            hint="compare the pin with the node's operator by telephone; do not go on",
            address=address,
        )
    return certificate


def split_address(address: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` as (host, port). Raises `Malformed`."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise Malformed(
            "bad-address", f"{address!r} is not host:port", hint="write it like 127.0.0.1:7400", address=address
        )
    return host.strip("[]"), int(port)


def _name_of(key: ec.EllipticCurvePublicKey) -> str:
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()[:32] + _NAME_SUFFIX
