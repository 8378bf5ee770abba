"""The engine's files and process, and the way of an entry into it, with a stand-in for the program."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys.signing import SoftwareSigner
from ledger.merkle import leaf_hash
from ledger.wire import MAX_LEAF_BYTES
from node.broadcast import FIRST_AGAIN_SECONDS, Broadcaster
from node.comet.engine import CRASHES_UNTIL_ALARM, Engine
from node.comet.home import EngineConfig, EngineHome, EnginePeer, config_toml
from node.comet.profiles import PROFILES
from node.comet.program import VERSION, check_version, find_program
from node.comet.restored import CLOCK_MARGIN_SECONDS
from node.comet.rpc import EngineRpc
from node.comet.signed import Signed, read_signed
from node.engine import address_of, engine_start
from protos.errors import Refused, Unavailable
from support.chains import chain_of, grow, log_of
from support.network import TestNetwork


@pytest.fixture(scope="module")
def council() -> TestNetwork:
    return TestNetwork.make(("DHA", "DEL", "LON", "WAS"), seed=41, validators=("DEL", "DHA", "LON", "WAS"))


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n", "ascii")
    path.chmod(0o700)
    return path


# --- the program -----------------------------------------------------------------------------------------------


def test_only_the_pinned_version_is_run(tmp_path: Path) -> None:
    check_version(script(tmp_path / "good", f"echo {VERSION}"))
    with pytest.raises(Refused) as refused:
        check_version(script(tmp_path / "new", "echo 1.0.1"))
    assert refused.value.code == "wrong-engine-version"
    for program in (tmp_path / "missing", script(tmp_path / "failing", "exit 3")):
        with pytest.raises(Unavailable) as unavailable:
            find_program(str(program))
        assert unavailable.value.code == "no-engine"


# --- files -------------------------------------------------------------------------------------------------------


def test_every_validator_writes_the_same_genesis_from_its_log_and_only_its_own_keys(
    tmp_path: Path, council: TestNetwork
) -> None:
    texts = set()
    start = engine_start(chain_of(council))
    for code in ("DHA", "LON"):
        signer = council.posts[code].consensus
        home = EngineHome(tmp_path / code, start.chain_id)
        peer = EnginePeer(council.posts["WAS"].consensus.public_key.key, "192.0.2.1:26656")
        home.prepare(start, EngineConfig("127.0.0.1:1", (peer,)), signer, 0, 100)
        texts.add((home.path / "config" / "genesis.json").read_bytes())
        config = tomllib.loads((home.path / "config" / "config.toml").read_text("utf-8"))
        assert config["p2p"]["persistent_peers"] == f"{address_of(peer.key).hex()}@192.0.2.1:26656"
        assert config["p2p"]["pex"] is False and config["filter_peers"] is True
        assert config["consensus"]["create_empty_blocks"] is False
        key = json.loads((home.path / "config" / "priv_validator_key.json").read_bytes())
        assert key["address"] == address_of(signer.public_key.key).hex().upper()
        modes = {stat.S_IMODE(file.stat().st_mode) for file in home.path.rglob("*") if file.is_file()}
        assert modes == {0o600} and stat.S_IMODE(home.folder.stat().st_mode) == 0o700
    assert len(texts) == 1


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_a_link_profile_changes_rounds_and_rates_and_nothing_else(
    profile: str, tmp_path: Path, council: TestNetwork
) -> None:
    home = EngineHome(tmp_path, engine_start(chain_of(council)).chain_id)
    plain = tomllib.loads(config_toml(home, EngineConfig("127.0.0.1:1"), True))
    shaped = tomllib.loads(config_toml(home, EngineConfig("127.0.0.1:1", profile=profile), True))
    chosen = PROFILES[profile]
    assert shaped["consensus"] == {**plain["consensus"], **chosen.rounds}
    assert shaped["p2p"] == {**plain["p2p"], **chosen.links}
    assert {**shaped, "consensus": 0, "p2p": 0} == {**plain, "consensus": 0, "p2p": 0}
    assert not {*chosen.rounds, *chosen.links} & {*plain["consensus"], *plain["p2p"]}


def key_of(home: EngineHome) -> str:
    """The address under which the engine would sign."""
    config = tomllib.loads((home.path / "config" / "config.toml").read_text("utf-8"))
    return str(json.loads((home.path / config["priv_validator_key_file"]).read_bytes())["address"])


def test_after_a_restore_the_own_key_signs_only_above_a_block_begun_since(tmp_path: Path, council: TestNetwork) -> None:
    start, signer = engine_start(chain_of(council)), council.posts["DHA"].consensus
    home, config = EngineHome(tmp_path, start.chain_id), EngineConfig("127.0.0.1:1")
    own, state = address_of(signer.public_key.key).hex().upper(), home.sign_state.path

    home.prepare(start, config, signer, 0, 100)
    assert key_of(home) == own and not home.sign_state.release(1, 10_000)
    state.write_text('{"height":"7","round":0,"step":3}', "ascii")
    home.prepare(start, config, signer, 7, 200)
    assert key_of(home) == own and json.loads(state.read_text())["height"] == "7"

    state.unlink()  # a backup does not hold it
    for now in (300, 9_000):  # the first start counts
        home.prepare(start, config, signer, 7, now)
        assert key_of(home) != own
    assert not home.sign_state.release(8, 300 + CLOCK_MARGIN_SECONDS)
    assert not state.exists()
    assert home.sign_state.release(9, 301 + CLOCK_MARGIN_SECONDS)
    home.prepare(start, config, signer, 9, 10_000)
    assert key_of(home) == own and json.loads(state.read_text()) == {"height": "9", "round": 0, "step": 3}


def test_what_other_posts_know_of_this_node_is_a_restore_too(tmp_path: Path, council: TestNetwork) -> None:
    start, signer = engine_start(chain_of(council)), council.posts["DHA"].consensus
    home = EngineHome(tmp_path, start.chain_id)
    home.prepare(start, EngineConfig("127.0.0.1:1"), signer, 0, 100, is_restored=True)
    assert key_of(home) != address_of(signer.public_key.key).hex().upper()
    mark = home.path / "data" / "restored.json"
    for damaged in ("{", '{"since": 5, "check": ""}', mark.read_text("ascii").replace("1", "0")):
        mark.write_text(damaged, "ascii")
        assert not home.sign_state.release(9, 10**10)  # the next start notes it anew
        home.prepare(start, EngineConfig("127.0.0.1:1"), signer, 0, 9_000)
        assert key_of(home) != address_of(signer.public_key.key).hex().upper()
        assert not home.sign_state.release(9, 9_000 + CLOCK_MARGIN_SECONDS)
    assert home.sign_state.release(9, 9_001 + CLOCK_MARGIN_SECONDS)


def signed_state(signer: SoftwareSigner, height: int, turn: int, kind: int) -> bytes:
    """As CometBFT writes it: `kind` is 1 for a prevote, 2 for a precommit, 32 for a proposal."""
    fields = b"\x08" + bytes([kind]) + b"\x11" + height.to_bytes(8, "little")
    fields += b"\x19" + turn.to_bytes(8, "little") if turn else b""
    fields += b"\x22\x48" + bytes(72) + b"\x32\x05chain"
    content = bytes([len(fields)]) + fields
    signature = Ed25519PrivateKey.from_private_bytes(signer.secret).sign(content)
    stated = {"height": str(height), "round": turn, "step": {32: 1, 1: 2, 2: 3}[kind]}
    signed = {"signature": base64.b64encode(signature).decode(), "signbytes": content.hex().upper()}
    return json.dumps({**stated, **signed}, indent=2).encode()


@pytest.mark.parametrize(("height", "turn", "kind"), [(7, 0, 2), (8, 3, 1), (8, 0, 32)])
def test_every_flipped_bit_of_a_sign_state_counts_as_a_restore(
    council: TestNetwork, height: int, turn: int, kind: int
) -> None:
    signer = council.posts["DHA"].consensus
    data = signed_state(signer, height, turn, kind)
    whole = read_signed(data, signer.public_key.key)
    assert whole == Signed(height, turn, {32: 1, 1: 2, 2: 3}[kind])
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert read_signed(bytes(flipped), signer.public_key.key) in (None, whole)


def test_a_sign_state_that_does_not_fit_the_stored_height_never_signs_below_it(
    tmp_path: Path, council: TestNetwork
) -> None:
    start, signer = engine_start(chain_of(council)), council.posts["DHA"].consensus
    own, config = address_of(signer.public_key.key).hex().upper(), EngineConfig("127.0.0.1:1")
    for height, is_own in ((6, True), (7, True), (8, True), (9, False)):
        home = EngineHome(tmp_path / str(height), start.chain_id)
        home.prepare(start, config, signer, 0, 100)
        home.sign_state.path.write_bytes(signed_state(signer, height, 0, 2))
        home.prepare(start, config, signer, 7, 200)
        assert (key_of(home) == own) is is_own
        assert json.loads(home.sign_state.path.read_bytes())["height"] == str(max(7, height))


# --- the process -------------------------------------------------------------------------------------------------


def test_an_engine_that_ends_is_started_again_after_a_growing_wait_and_alarms_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.comet.engine.FIRST_WAIT_SECONDS", 0.01)
    home = EngineHome(tmp_path, "chain")
    home.path.mkdir()
    alarms: list[str] = []
    program = script(tmp_path / "program", 'echo "panic: of test"; exit 2')
    prepared: list[int] = []

    async def work() -> None:
        engine = Engine(program, home, lambda: prepared.append(1), lambda code, text: alarms.append(f"{code} {text}"))
        task = asyncio.create_task(engine.run())
        while engine.starts <= CRASHES_UNTIL_ALARM:
            await asyncio.sleep(0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert engine.last_words[-1] == "panic: of test"

    asyncio.run(work())
    assert len(alarms) == 1 and alarms[0].startswith("engine-crash-loop") and "panic: of test" in alarms[0]
    assert len(prepared) > CRASHES_UNTIL_ALARM


def test_a_cancelled_engine_leaves_no_process(tmp_path: Path) -> None:
    home = EngineHome(tmp_path, "chain")
    home.path.mkdir()
    program = script(tmp_path / "program", "exec sleep 60")

    async def work() -> int:
        engine = Engine(program, home, lambda: None, lambda code, text: None)
        task = asyncio.create_task(engine.run())
        while engine.process_id is None:
            await asyncio.sleep(0.01)
        process = engine.process_id
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return process

    assert not Path(f"/proc/{asyncio.run(work())}").exists()


# --- its RPC -----------------------------------------------------------------------------------------------------


def answering(tmp_path: Path, answer: bytes, call: str) -> object:
    """What a call gives when the engine's socket answers with these bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async def work() -> object:
        server = await asyncio.start_unix_server(serve, tmp_path / "rpc.sock")
        try:
            rpc = EngineRpc(tmp_path / "rpc.sock", seconds=2)
            return await (rpc.broadcast([b"tx"]) if call == "broadcast" else rpc.status())
        finally:
            server.close()

    return asyncio.run(work())


OK = b"HTTP/1.0 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "is_taken"),
    [
        (b'[{"result":{"code":0,"log":""}}]', True),
        (b'[{"error":{"code":-32603,"message":"Internal error","data":"tx already exists in cache"}}]', True),
        (b'[{"error":{"code":-32603,"message":"Internal error","data":"mempool is full"}}]', False),
    ],
)
def test_what_is_in_the_pool_already_counts_as_taken(tmp_path: Path, answer: bytes, is_taken: bool) -> None:
    (result,) = answering(tmp_path, OK + answer, "broadcast")  # type: ignore[misc]
    assert result.is_taken is is_taken


def test_many_entries_go_in_few_requests_each_within_what_the_engine_takes(tmp_path: Path) -> None:
    asked: list[list[bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.partition("Content-Length: ")[2].partition("\r\n")[0])
        assert length < 1_000_000
        requests = json.loads(await reader.readexactly(length))
        asked.append([base64.b64decode(one["params"]["tx"]) for one in requests])
        writer.write(OK + json.dumps([{"result": {"code": 0, "log": ""}} for _ in requests]).encode())
        await writer.drain()
        writer.close()

    async def work(txs: list[bytes]) -> int:
        server = await asyncio.start_unix_server(serve, tmp_path / "rpc.sock")
        try:
            return len(await EngineRpc(tmp_path / "rpc.sock").broadcast(txs))
        finally:
            server.close()

    txs = [b"%d" % number for number in range(70)] + [bytes([number]) * MAX_LEAF_BYTES for number in range(20)]
    assert asyncio.run(work(txs)) == len(txs)
    assert [tx for batch in asked for tx in batch] == txs
    assert [len(batch) for batch in asked] == [64, 6 + 15, 5]
    assert asyncio.run(work([])) == 0 and len(asked) == 3


NONSENSE = [b"[]", b"{", b"1", b"[" * 100_000, b'{"result":{}}', b'{"error":{}}']


@pytest.mark.parametrize("answer", [b"", b"junk", OK, *(OK + one for one in NONSENSE)])
def test_an_engine_that_answers_nonsense_is_silent(tmp_path: Path, answer: bytes) -> None:
    for call in ("status", "broadcast"):
        with pytest.raises(Unavailable) as unavailable:
            answering(tmp_path, answer, call)
        assert unavailable.value.code == "engine-silent"


def test_an_engine_without_a_socket_is_silent(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        asyncio.run(EngineRpc(tmp_path / "rpc.sock").status())


# --- entries on their way ------------------------------------------------------------------------------------------


def test_the_same_bytes_are_broadcast_less_and_less_often_until_the_log_has_them(council: TestNetwork) -> None:
    chain = chain_of(council)
    pool = Broadcaster(chain, log_of(chain).index_of)
    leaf = council.batch(chain.machine, "DHA")
    assert pool.submit(leaf, 100).code == pool.submit(leaf, 100).code == "pending"
    sent = [now for now in range(100, 300) if pool.tick(now)]
    assert sent == [100, 104, 112, 128, 160, 224, 288]
    machine = chain.machine.fork()
    result = council.run(machine, leaf)
    log_of(chain).stored.extend(result.leaves)
    chain.machine = machine
    pool.appended(result.leaves)
    assert pool.outcome(leaf_hash(leaf)).code == pool.submit(leaf, 400).code == "accepted"
    assert pool.tick(1000) == []


def test_an_entry_whose_place_another_took_is_refused_by_name(council: TestNetwork) -> None:
    chain = chain_of(council)
    pool = Broadcaster(chain, log_of(chain).index_of)
    leaf = council.batch(chain.machine, "DHA")
    pool.submit(leaf, 100)
    assert len(pool.tick(100)) == 1
    grow(council, chain)
    assert pool.tick(100 + FIRST_AGAIN_SECONDS) == []
    assert pool.outcome(leaf_hash(leaf)).code == "wrong-sequence"


def test_a_bad_entry_is_refused_at_once_and_a_clock_set_back_delays_nothing_for_long(council: TestNetwork) -> None:
    chain = chain_of(council)
    pool = Broadcaster(chain, log_of(chain).index_of)
    assert pool.submit(b"junk", 100).code == "not-an-entry"
    assert pool.submit(bytes(40_000), 100).code == "entry-too-large"
    pool.submit(council.batch(chain.machine, "DHA"), 1_000_000)
    assert pool.tick(1_000_000) and pool.tick(5)
