"""Record what a real CometBFT sends one validator and what it was answered, as tests/vectors/abci/.

Run from the project's root: PYTHONPATH=.:tests python tests/engine/record_frames.py FOLDER
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from ledger.logfile import LEAF, LogItem, write_log
from node.abci import wire
from node.abci.server import AbciServer
from protos import abci_pb2 as pb
from support.engines import built_engine, running, until, validators
from support.network import TestNetwork

CODES = ("DEL", "DHA", "LON", "WAS")


async def record(network: TestNetwork) -> list[tuple[str, bytes, bytes]]:
    """(kind, request, answer) at the validator that proposed a block with an entry, in the order of answering."""
    seen: dict[AbciServer, list[tuple[str, bytes, bytes]]] = {}
    raw: dict[int, bytes] = {}
    answer, decode = AbciServer._answer, wire.decode_request

    def decoding(data: bytes) -> pb.Request:
        request = decode(data)
        raw[id(request)] = data
        return request

    async def recording(server: AbciServer, request: pb.Request) -> pb.Response:
        given = await answer(server, request)
        kind = request.WhichOneof("value") or ""
        seen.setdefault(server, []).append((kind, raw.pop(id(request)), given.SerializeToString()))
        return given

    AbciServer._answer = recording  # type: ignore[method-assign]
    wire.decode_request = decoding
    with tempfile.TemporaryDirectory() as folder:
        nodes = validators(Path(folder), network, CODES, built_engine())

        async def work() -> None:
            size = network.machine().size
            for turn in range(8):
                leaf = network.batch(nodes["DHA"].chain.machine, "DHA")
                nodes["DHA"].submit(leaf)
                size += 2
                await until(lambda size=size: all(one.chain.size == size for one in nodes.values()))  # type: ignore[misc]
                if turn and any(proposed(seen.get(one.server, ())) for one in nodes.values()):
                    break
            await asyncio.sleep(1)

        everyone = list(nodes.values())
        await running(everyone, work)
        return next(seen[one.server] for one in everyone if proposed(seen[one.server]))


def proposed(frames: object) -> bool:
    """Whether the validator made a proposal with an entry."""
    return any(
        kind == "prepare_proposal" and pb.Request.FromString(request).prepare_proposal.txs
        for kind, request, _ in frames  # type: ignore[attr-defined]
    )


def main(folder: Path) -> None:
    """Write founding.log and frames.json; of each kind of request without consequences the first few are kept."""
    network = TestNetwork.make(CODES, seed=21, validators=CODES, root_count=1)
    frames, kept, count = asyncio.run(record(network)), [], dict[str, int]()
    for kind, request, answer in frames:
        count[kind] = count.get(kind, 0) + 1
        if kind not in ("flush", "query", "echo") or count[kind] <= 4:
            kept.append({"kind": kind, "request": request.hex(), "answer": answer.hex()})
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "founding.log").open("wb") as file:
        write_log(file, [LogItem(LEAF, leaf) for leaf in network.leaves])
    (folder / "frames.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="ascii")
    print(count)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
