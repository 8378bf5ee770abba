from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterable

import grpc
import pytest
from cryptography import x509
from grpc import aio
from hypothesis import given
from hypothesis import strategies as st

from node.api import tls
from node.api.tls import TlsIdentity, channel_credentials, channel_options, make_identity
from protos.errors import Malformed, Unavailable, VerificationFailed
from support.processes import ROOT, plain
from support.relay import KEY_SHARE, SUPPORTED_VERSIONS, TLS_1_3, X25519MLKEM768, Relay, server_hello


class Echo(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers every call with the caller's certificate, as the server saw it."""

    def service(self, _details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def answer(_request: bytes, context: aio.ServicerContext[bytes, bytes]) -> bytes:
            return tls.der_of(next(iter(context.auth_context()["x509_pem_cert"])))

        return grpc.unary_unary_rpc_method_handler(answer)


async def serve(identity: TlsIdentity, live: Callable[[], Iterable[bytes]]) -> tuple[aio.Server, int]:
    server = aio.server()
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_secure_port("127.0.0.1:0", tls.server_credentials(identity, live))
    await server.start()
    return server, port


async def call(port: int, server_certificate: bytes, identity: TlsIdentity) -> bytes | grpc.StatusCode:
    credentials = channel_credentials(identity, server_certificate)
    options = channel_options(server_certificate)
    async with aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
        try:
            answer: bytes = await channel.unary_unary("/any/method")(b"", timeout=5)
        except aio.AioRpcError as problem:
            return problem.code()
        return answer


PATHS = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
SERVER, OTHER, KNOWN, STRANGER = (make_identity() for _ in range(4))


def test_a_certificate_is_small_names_its_key_and_never_expires() -> None:
    parsed = x509.load_der_x509_certificate(KNOWN.certificate)
    assert len(KNOWN.certificate) <= tls.MAX_CERTIFICATE_BYTES
    assert parsed.not_valid_after_utc.year == 9999
    assert tls.server_name(KNOWN.certificate) != tls.server_name(STRANGER.certificate)
    tls.check_certificate(KNOWN.certificate)


@given(st.binary(max_size=700))
def test_other_bytes_are_no_certificate(data: bytes) -> None:
    with pytest.raises(Malformed):
        tls.check_certificate(data)


def test_a_certificate_with_any_bit_flipped_has_a_name_or_is_refused_by_name() -> None:
    """Anybody admitted may put bytes on the ledger as his certificate: no library's error comes through."""
    whole = make_identity().certificate
    for place in range(8 * len(whole)):
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        try:
            assert tls.server_name(bytes(data))
        except Malformed as problem:
            assert problem.code == "bad-certificate"


def test_a_certificate_that_names_another_key_is_refused() -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    victim = x509.load_der_x509_certificate(KNOWN.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    forged = (
        x509.CertificateBuilder(victim.subject, victim.subject, key.public_key(), 1)
        .not_valid_before(victim.not_valid_before_utc)
        .not_valid_after(victim.not_valid_after_utc)
        .add_extension(victim.extensions.get_extension_for_class(x509.SubjectAlternativeName).value, critical=False)
        .sign(key, hashes.SHA256())
    )
    with pytest.raises(Malformed, match="own key"):
        tls.check_certificate(forged.public_bytes(tls.serialization.Encoding.DER))


def test_pinned_both_ways_the_call_goes_through_and_a_stranger_is_refused() -> None:
    async def run() -> None:
        server, port = await serve(SERVER, lambda: [KNOWN.certificate])
        assert await call(port, SERVER.certificate, KNOWN) == KNOWN.certificate
        assert await call(port, SERVER.certificate, STRANGER) is grpc.StatusCode.UNAVAILABLE
        assert await call(port, OTHER.certificate, KNOWN) is grpc.StatusCode.UNAVAILABLE
        await server.stop(None)

    asyncio.run(run())


def test_a_pinned_certificate_cannot_vouch_for_another_one() -> None:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    issuer = x509.load_der_x509_certificate(KNOWN.certificate)
    issuer_key = serialization.load_pem_private_key(KNOWN.key_pem, None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    issued = (
        x509.CertificateBuilder(issuer.subject, x509.Name([]), key.public_key(), 1)
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_after_utc)
        .sign(issuer_key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    child = TlsIdentity(issued.public_bytes(serialization.Encoding.DER), pem)

    async def run() -> None:
        server, port = await serve(SERVER, lambda: [KNOWN.certificate])
        assert await call(port, SERVER.certificate, child) is grpc.StatusCode.UNAVAILABLE
        await server.stop(None)

    asyncio.run(run())


def test_the_live_certificates_are_asked_for_at_every_handshake() -> None:
    async def run() -> None:
        live = [KNOWN.certificate]
        server, port = await serve(SERVER, lambda: live)
        live[:] = [OTHER.certificate]
        assert await call(port, SERVER.certificate, KNOWN) is grpc.StatusCode.UNAVAILABLE
        assert await call(port, SERVER.certificate, OTHER) == OTHER.certificate
        await server.stop(None)

    asyncio.run(run())


def test_grpc_gets_new_roots_only_after_a_change_and_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(tls.time, "sleep", pauses.append)
    live = [KNOWN.certificate, OTHER.certificate]
    trust = tls._Trust(SERVER, lambda: live)
    live.reverse()
    assert trust.changed() is None
    live.pop()
    assert trust.changed() is not None
    assert trust.changed() is None
    assert pauses == [tls._GRACE_SECONDS]


def test_connections_opened_all_at_once_do_not_crash_the_listener() -> None:
    """In a process of its own: a listener that replaces its roots at each handshake dies here of SIGSEGV."""
    storm = subprocess.run([sys.executable, __file__], cwd=ROOT, env=plain({"PYTHONPATH": PATHS}), check=False)
    assert storm.returncode == 0


async def storm() -> None:
    server, port = await serve(SERVER, lambda: [KNOWN.certificate])

    async def knock() -> None:
        for _ in range(500):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()

    await asyncio.gather(*(knock() for _ in range(16)))
    assert await call(port, SERVER.certificate, KNOWN) == KNOWN.certificate
    await server.stop(None)


def test_with_nobody_live_nobody_gets_in() -> None:
    async def run() -> None:
        server, port = await serve(SERVER, list)
        assert await call(port, SERVER.certificate, KNOWN) is grpc.StatusCode.UNAVAILABLE
        await server.stop(None)

    asyncio.run(run())


def test_the_handshake_is_tls_1_3_with_the_post_quantum_hybrid() -> None:
    async def run() -> dict[int, bytes]:
        server, port = await serve(SERVER, lambda: [KNOWN.certificate])
        async with Relay(port) as relay:
            assert await call(relay.port, SERVER.certificate, KNOWN) == KNOWN.certificate
            await server.stop(None)
            return server_hello(bytes(relay.received))

    hello = asyncio.run(run())
    assert int.from_bytes(hello[SUPPORTED_VERSIONS]) == TLS_1_3
    assert int.from_bytes(hello[KEY_SHARE][:2]) == X25519MLKEM768


def test_a_first_contact_takes_only_the_certificate_of_the_pin() -> None:
    async def run() -> None:
        server, port = await serve(SERVER, lambda: [KNOWN.certificate])
        address = f"127.0.0.1:{port}"
        assert await asyncio.to_thread(tls.fetch_certificate, address, SERVER.pin) == SERVER.certificate
        with pytest.raises(VerificationFailed) as caught:
            await asyncio.to_thread(tls.fetch_certificate, address, OTHER.pin)
        assert caught.value.code == "wrong-pin"
        await server.stop(None)
        with pytest.raises(Unavailable) as gone:
            await asyncio.to_thread(tls.fetch_certificate, address, SERVER.pin)
        assert gone.value.code == "unreachable"

    asyncio.run(run())


if __name__ == "__main__":
    asyncio.run(storm())
