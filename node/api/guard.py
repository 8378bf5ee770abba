"""The interceptor before every call: who calls, may they, how often, how long."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
from grpc import aio

from node.api import errors
from node.api.door import Caller, Door, Role
from node.api.limits import Bucket, Limits
from node.api.tls import KEY_EXCHANGE, der_of
from protos.errors import DutabartaError, Malformed, Refused, Unavailable

_log = logging.getLogger(__name__)
_CALLER: ContextVar[Caller] = ContextVar("caller")

_PEER = "/dutabarta.node.v1.Peer/"
_DESK = "/dutabarta.node.v1.Desk/"
_OPERATOR_MAY = frozenset(
    _DESK + name
    for name in (
        "GetStatus",
        "SubmitEntry",
        "GetEntryResult",
        "GetCheckpoint",
        "GetState",
        "GetConsistency",
        "GetTrustFile",
    )
)

Context = aio.ServicerContext[Any, Any]
Handler = Callable[[Any, Context], Any]


def current_caller() -> Caller:
    """The caller of the running handler."""
    return _CALLER.get()


def is_allowed(caller: Caller, method: str) -> bool:
    """Whether this kind of caller may use `method` at all."""
    match caller.role:
        case Role.POST:
            return method.startswith(_PEER)
        case Role.TERMINAL:
            return method.startswith(_DESK)
        case Role.OPERATOR:
            return method in _OPERATOR_MAY


@dataclass(slots=True)
class _Use:
    """What one certificate uses now."""

    bucket: Bucket
    running: int = 0


@dataclass(eq=False, slots=True)
class _Call:
    certificate: bytes
    context: Context
    task: asyncio.Task[Any]


@dataclass
class Guard(aio.ServerInterceptor):
    """Re-checks the peer certificate against the current state on every call and closes the calls of retired peers."""

    door: Door
    limits: Limits
    clock: Callable[[], float] = time.monotonic
    refused: Counter[str] = field(default_factory=Counter)
    _uses: dict[bytes, _Use] = field(default_factory=dict)
    _calls: set[_Call] = field(default_factory=set)
    _evictions: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.door.on_change(self._evict_retired)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the method's handler so that nothing of it runs before the caller was admitted."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        codec = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(self._single(method, handler.unary_unary), **codec)
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(self._upload(method, handler.stream_unary), **codec)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(self._stream(method, handler.unary_stream), **codec)
        return grpc.stream_stream_rpc_method_handler(self._stream(method, handler.stream_stream), **codec)

    def _single(self, method: str, handler: Handler) -> Handler:
        async def guarded(request: Any, context: Context) -> Any:
            async with self._admitted(method, context):
                async with asyncio.timeout(self._seconds(context)):
                    return await handler(request, context)

        return guarded

    def _upload(self, method: str, handler: Handler) -> Handler:
        async def guarded(requests: AsyncIterator[Any], context: Context) -> Any:
            async with self._admitted(method, context):
                return await handler(_paced(requests, self.limits.unary_seconds), context)

        return guarded

    def _stream(self, method: str, handler: Handler) -> Handler:
        async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
            async with self._admitted(method, context):
                async for answer in handler(request, context):
                    yield answer

        return guarded

    def _seconds(self, context: Context) -> float:
        remaining = context.time_remaining()
        return min(self.limits.unary_seconds, remaining) if remaining is not None else self.limits.unary_seconds

    @contextlib.asynccontextmanager
    async def _admitted(self, method: str, context: Context) -> AsyncIterator[None]:
        """Admit the caller or abort; turn what the handler raises into a status without a traceback."""
        try:
            call = self._admit(method, context)
        except DutabartaError as error:
            self.refused[error.code] += 1
            await errors.abort(context, error)
        try:
            yield
        except DutabartaError as error:
            await errors.abort(context, error)
        except TimeoutError:
            await errors.abort(context, Unavailable("timeout", "the answer was not ready in time", hint="try again"))
        except (aio.AbortError, asyncio.CancelledError, GeneratorExit):
            raise
        except Exception:
            _log.exception("%s failed", method)
            problem = Unavailable("internal", "the node failed on this call", hint="see the node's log")
            await errors.abort(context, problem)
        finally:
            self._calls.discard(call)
            self._uses[call.certificate].running -= 1

    def _admit(self, method: str, context: Context) -> _Call:
        certificate = _certificate(context)
        caller = self.door.caller(certificate)
        if caller is None:
            raise Refused(
                "unknown-caller",
                "this certificate is not on the ledger as live",
                hint="enrol the terminal, or wait until the node has caught up",
            )
        if not is_allowed(caller, method):
            raise Refused("not-allowed", f"a {caller.role} may not call this method", role=str(caller.role))
        use = self._uses.setdefault(certificate, _Use(Bucket(self.limits.calls_per_second, self.limits.burst)))
        if use.running >= self.limits.calls_per_caller or not use.bucket.take(self.clock()):
            raise Unavailable("too-many-calls", "this caller uses more than its share", hint="wait a moment")
        use.running += 1
        call = _Call(certificate, context, cast("asyncio.Task[Any]", asyncio.current_task()))
        self._calls.add(call)
        _CALLER.set(caller)
        return call

    def _evict_retired(self) -> None:
        for call in [call for call in self._calls if self.door.caller(call.certificate) is None]:
            task = asyncio.ensure_future(_evict(call))
            self._evictions.add(task)
            task.add_done_callback(self._evictions.discard)
        live = set(self.door.certificates())
        for certificate in [c for c, use in self._uses.items() if c not in live and not use.running]:
            del self._uses[certificate]


async def _evict(call: _Call) -> None:
    with contextlib.suppress(aio.AbortError, grpc.RpcError, aio.UsageError):
        await errors.abort(call.context, Refused("retired", "this certificate is no longer live on the ledger"))
    call.task.cancel()


async def _paced(requests: AsyncIterator[Any], seconds: float) -> AsyncIterator[Any]:
    """Hand on a client's stream; a client silent for `seconds` ends it with TimeoutError."""
    while True:
        try:
            async with asyncio.timeout(seconds):
                request = await anext(requests)
        except StopAsyncIteration:
            return
        yield request


def _certificate(context: Context) -> bytes:
    """The peer's certificate (DER) of a connection that is TLS 1.3 with the hybrid key exchange. Raises `Refused`."""
    auth = context.auth_context()
    if next(iter(auth.get("ssl_negotiated_key_exchange_group", ())), b"") != KEY_EXCHANGE:
        raise Refused(
            "weak-transport",
            "the connection is not TLS 1.3 with X25519MLKEM768",
            hint="update the software on the calling side",
        )
    pem = next(iter(auth.get("x509_pem_cert", ())), None)
    if pem is None:
        raise Refused("unknown-caller", "the connection shows no certificate")
    try:
        return der_of(pem)
    except ValueError as problem:
        raise Malformed("bad-certificate", "the peer's certificate cannot be read") from problem
