"""A named error as a gRPC status and back: the code, text, hint and parameters travel as trailing metadata."""

from __future__ import annotations

import json
from typing import Any, NoReturn, cast

import grpc
from grpc import aio

from protos.errors import DutabartaError, Malformed, Refused, Unavailable, VerificationFailed

CODE_KEY = "dutabarta-code"
DETAIL_KEY = "dutabarta-detail-bin"  # JSON {text, hint, params}
_MAX_TEXT = 500
_MAX_DETAIL_BYTES = 4096

_STATUS_OF: dict[type[DutabartaError], grpc.StatusCode] = {
    Malformed: grpc.StatusCode.INVALID_ARGUMENT,
    Refused: grpc.StatusCode.FAILED_PRECONDITION,
    VerificationFailed: grpc.StatusCode.DATA_LOSS,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
}
_CLASS_OF = {status: cls for cls, status in _STATUS_OF.items()}


async def abort(context: aio.ServicerContext[Any, Any], error: DutabartaError) -> NoReturn:
    """End the call with `error`."""
    status = next((s for cls, s in _STATUS_OF.items() if isinstance(error, cls)), grpc.StatusCode.INTERNAL)
    await context.abort(status, error.code, trailing_metadata=((CODE_KEY, error.code), (DETAIL_KEY, _detail(error))))


def from_status(problem: grpc.RpcError, address: str) -> DutabartaError:
    """The error a failed call to `address` means for its caller."""
    status = problem.code()
    trailing: dict[str, Any] = dict(cast(Any, problem.trailing_metadata() or ()))
    code = trailing.get(CODE_KEY)
    if code is not None:
        return _named(status, str(code)[:64], trailing.get(DETAIL_KEY, b""))
    if status is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Unavailable(
            "timeout", f"the node at {address} did not answer in time", hint="try again", address=address
        )
    if status is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Refused("too-large", "the message exceeds what a node takes", hint="send less at once", address=address)
    if status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return Unavailable(
            "unreachable",
            f"the node at {address} is not reachable or does not know this terminal",
            hint="check that the node runs and that this terminal is enrolled and not retired",
            address=address,
        )
    return Unavailable(
        "node-failed",
        f"the node at {address} failed: {status.name}",
        hint="see the node's log",
        address=address,
        status=status.name,
    )


def _detail(error: DutabartaError) -> bytes:
    params = {key: value if isinstance(value, int) else str(value)[:_MAX_TEXT] for key, value in error.params.items()}
    whole = {"text": error.text[:_MAX_TEXT], "hint": error.hint[:_MAX_TEXT], "params": params}
    data = json.dumps(whole).encode()
    return data if len(data) <= _MAX_DETAIL_BYTES else json.dumps({**whole, "params": {}}).encode()


def _named(status: grpc.StatusCode, code: str, detail: str | bytes) -> DutabartaError:
    """Rebuild the error; a detail that is not ours costs only its text, the code stands."""
    text, hint, params = code, "", {}
    try:
        said = json.loads(detail[:_MAX_DETAIL_BYTES])
        text, hint = str(said["text"]), str(said["hint"])
        params = {str(key): value for key, value in said["params"].items() if key not in _RESERVED}
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return _CLASS_OF.get(status, Unavailable)(code, text, hint=hint, **params)


_RESERVED = {"self", "code", "text", "hint"}
