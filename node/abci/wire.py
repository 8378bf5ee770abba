"""ABCI messages as plain values and back. It is CometBFT's format: unknown fields are skipped, absent ones are zero."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from node.abci.messages import Finalized, Genesis, Info, Initial, Offence, Proposal, TxResult, ValidatorKey
from protos import abci_pb2 as pb
from protos.errors import Malformed

CODESPACE = "dutabarta"
ACCEPT = 1
REJECT = 2
_ACCEPTED = "accepted"
_ANY_PROPOSAL = pb.RequestPrepareProposal | pb.RequestProcessProposal | pb.RequestFinalizeBlock


def decode_request(data: bytes) -> pb.Request:
    """One request. Raises `Malformed("bad-engine-frame")` for what is none."""
    try:
        request = pb.Request.FromString(data)
    except DecodeError as problem:
        raise Malformed("bad-engine-frame", "the engine sent what is no ABCI request") from problem
    if request.WhichOneof("value") is None:
        raise Malformed("bad-engine-frame", "the engine sent a request that ABCI 2.0 does not have")
    return request


def read_genesis(message: pb.RequestInitChain) -> Genesis:
    """What InitChain says."""
    validators = tuple(ValidatorKey(one.pub_key.ed25519, one.power) for one in message.validators)
    return Genesis(message.chain_id, message.initial_height, validators, message.app_state_bytes)


def read_proposal(message: _ANY_PROPOSAL) -> Proposal:
    """The block of PrepareProposal, ProcessProposal or FinalizeBlock; nanoseconds are dropped."""
    offences = tuple(_offence(one) for one in message.misbehavior)
    return Proposal(message.height, message.time.seconds, tuple(message.txs), offences)


def _offence(one: pb.Misbehavior) -> Offence:
    return Offence(one.type, one.validator.address, one.height, one.time.seconds)


def info_response(info: Info, version: str) -> pb.Response:
    """Answers Info."""
    return pb.Response(
        info=pb.ResponseInfo(
            data=CODESPACE, version=version, last_block_height=info.height, last_block_app_hash=info.app_hash
        )
    )


def initial_response(initial: Initial) -> pb.Response:
    """Answers InitChain."""
    return pb.Response(
        init_chain=pb.ResponseInitChain(validators=_updates(initial.validators), app_hash=initial.app_hash)
    )


def check_response(result: TxResult) -> pb.Response:
    """Answers CheckTx."""
    code, name, text = _result(result)
    return pb.Response(check_tx=pb.ResponseCheckTx(code=code, data=name, log=text, codespace=CODESPACE))


def finalize_response(finalized: Finalized) -> pb.Response:
    """Answers FinalizeBlock."""
    results = []
    for one in finalized.results:
        code, name, text = _result(one)
        results.append(pb.ExecTxResult(code=code, data=name, log=text, codespace=CODESPACE))
    updates = _updates(finalized.validators)
    return pb.Response(
        finalize_block=pb.ResponseFinalizeBlock(
            tx_results=results, validator_updates=updates, app_hash=finalized.app_hash
        )
    )


def status_response(is_accepted: bool) -> pb.Response:
    """Answers ProcessProposal."""
    return pb.Response(process_proposal=pb.ResponseProcessProposal(status=ACCEPT if is_accepted else REJECT))


def query_response(code: str, text: str, height: int) -> pb.Response:
    """Answers Query."""
    number = 0 if code == _ACCEPTED else 1
    return pb.Response(query=pb.ResponseQuery(code=number, log=text, height=height, codespace=CODESPACE))


def exception_response(text: str) -> pb.Response:
    """Tells the engine that the request cannot be served: it stops."""
    return pb.Response(exception=pb.ResponseException(error=text))


def _result(result: TxResult) -> tuple[int, bytes, str]:
    """Code and data enter the next header's last_results_hash, so they hold what is the same everywhere."""
    if result.code == _ACCEPTED:
        return 0, b"", ""
    return 1, result.code.encode("ascii"), result.text


def _updates(validators: Sequence[ValidatorKey]) -> list[pb.ValidatorUpdate]:
    return [pb.ValidatorUpdate(pub_key=pb.PublicKey(ed25519=one.key), power=one.power) for one in validators]
