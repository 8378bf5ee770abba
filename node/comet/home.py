"""The engine's folder, written anew at every start: configuration, genesis, keys. Only its data outlive a start.

H/node/comet/app.sock, rpc.sock
H/node/comet/CHAIN-ID/config/config.toml, genesis.json, node_key.json, priv_validator_key.json
H/node/comet/CHAIN-ID/data/...
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from keys.public import SUITE_ED25519
from keys.signing import SoftwareSigner
from ledger.wire import MAX_LEAF_BYTES
from node.comet.files import json_bytes, write_file
from node.comet.profiles import LAN, PROFILES
from node.comet.restored import SignState, state_json
from node.comet.rpc import MAX_BATCH
from node.engine import INITIAL_HEIGHT, EngineStart, address_of
from node.sequence import MAX_POOL_BYTES, MAX_POOL_ENTRIES
from node.store.database import storage_errors

MAX_BLOCK_BYTES = 1024 * 1024
MAX_EVIDENCE_BYTES = 64 * 1024
EVIDENCE_BLOCKS = 100_000
EVIDENCE_SECONDS = 14 * 86_400
OWN_KEY = "priv_validator_key.json"
THROWAWAY_KEY = "throwaway_key.json"
THROWAWAY_STATE = "throwaway_state.json"
_NANOSECONDS = 1_000_000_000
_PUBLIC, _PRIVATE = "tendermint/PubKeyEd25519", "tendermint/PrivKeyEd25519"


@dataclass(frozen=True, slots=True)
class EnginePeer:
    """Another validator's engine: its consensus key (its peer id follows from it) and host:port."""

    key: bytes
    address: str

    @property
    def peer_id(self) -> str:
        """CometBFT's id of the peer."""
        return address_of(self.key).hex()

    @property
    def dial(self) -> str:
        """As CometBFT writes it: id@host:port."""
        return f"{self.peer_id}@{self.address}"


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What differs between engines. `listen` is host:port for other validators; times are seconds.

    `profile` names an entry of `PROFILES`.
    """

    listen: str
    peers: tuple[EnginePeer, ...] = ()
    commit_seconds: float = 1.0
    heartbeat_seconds: int = 600
    log_level: str = "error"
    profile: str = LAN


@dataclass(frozen=True, slots=True)
class EngineHome:
    """The folder of one engine of one chain."""

    folder: Path
    chain_id: str

    @property
    def app_socket(self) -> Path:
        """Where the node answers the engine."""
        return self.folder / "app.sock"

    @property
    def rpc_socket(self) -> Path:
        """Where the engine answers the node: in a folder of mode 0700, so nobody else asks it anything."""
        return self.folder / "rpc.sock"

    @property
    def path(self) -> Path:
        """CometBFT's own home."""
        return self.folder / self.chain_id

    @property
    def has_blocks(self) -> bool:
        """Whether the engine has kept blocks here: a folder that was lost or taken away has none."""
        return (self.path / "data" / "blockstore.db").is_dir()

    @property
    def sign_state(self) -> SignState:
        """What the own key signed last."""
        return SignState(self.path / "data")

    def prepare(
        self,
        start: EngineStart,
        config: EngineConfig,
        signer: SoftwareSigner,
        height: int,
        now: int,
        is_restored: bool = False,
    ) -> None:
        """Write all files. `height` is the highest ever stored; for `now` and `is_restored` see `SignState.settle`.

        Raises `StoreFailed` for a disk that does not take them.
        """
        with storage_errors():
            self._write(start, config, signer, height, now, is_restored)

    def _write(
        self, start: EngineStart, config: EngineConfig, signer: SoftwareSigner, height: int, now: int, is_restored: bool
    ) -> None:
        settings = self.path / "config"
        for folder in (self.folder, self.path, settings, self.path / "data"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_own = self.sign_state.settle(signer.public_key.key, height, now, is_restored)
        (settings / "addrbook.json").unlink(missing_ok=True)  # a damaged one would end the engine; the peers are given
        write_file(settings / "config.toml", config_toml(self, config, is_own).encode())
        write_file(settings / "genesis.json", genesis_json(start))
        write_file(settings / "node_key.json", node_key_json(signer))
        write_file(settings / OWN_KEY, json_bytes(validator_key(signer)))
        if not is_own:
            throwaway = SoftwareSigner.generate(SUITE_ED25519)
            write_file(settings / THROWAWAY_KEY, json_bytes(validator_key(throwaway)))
            write_file(self.path / "data" / THROWAWAY_STATE, state_json(0, 0))


def config_toml(home: EngineHome, config: EngineConfig, is_own_key: bool) -> str:
    """CometBFT's configuration: what is not here keeps its default."""
    key, state = (OWN_KEY, home.sign_state.path.name) if is_own_key else (THROWAWAY_KEY, THROWAWAY_STATE)
    profile = PROFILES[config.profile]
    sections: dict[str, dict[str, object]] = {
        "": {
            "proxy_app": f"unix://../{home.app_socket.name}",
            "abci": "socket",
            "moniker": "dutabarta",
            "filter_peers": True,
            "priv_validator_key_file": f"config/{key}",
            "priv_validator_state_file": f"data/{state}",
            "log_level": config.log_level,
        },
        "rpc": {
            "laddr": f"unix://../{home.rpc_socket.name}",
            "unsafe": True,
            "max_open_connections": 64,
            "max_request_batch_size": MAX_BATCH,
        },
        "p2p": {
            "laddr": f"tcp://{config.listen}",
            "persistent_peers": ",".join(one.dial for one in config.peers),
            "persistent_peers_max_dial_period": "10s",
            "pex": False,
            "addr_book_strict": False,
            "allow_duplicate_ip": True,
            **profile.links,
        },
        "mempool": {
            "size": MAX_POOL_ENTRIES,
            "max_txs_bytes": MAX_POOL_BYTES,
            "max_tx_bytes": MAX_LEAF_BYTES,
        },
        "consensus": {
            "timeout_commit": f"{round(config.commit_seconds * 1000)}ms",
            "create_empty_blocks": False,
            "create_empty_blocks_interval": f"{config.heartbeat_seconds}s",
            "block_time_tolerance": "10m",
            **profile.rounds,
        },
        "storage": {"discard_abci_responses": True},
        "tx_index": {"indexer": "null"},
    }
    return "\n".join(_section(name, values) for name, values in sections.items())


def genesis_json(start: EngineStart) -> bytes:
    """CometBFT's genesis: it follows from the log alone, so every validator writes the same."""
    return json_bytes(
        {
            "genesis_time": datetime.fromtimestamp(start.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "chain_id": start.chain_id,
            "initial_height": str(INITIAL_HEIGHT),
            "consensus_params": {
                "block": {"max_bytes": str(MAX_BLOCK_BYTES), "max_gas": "-1"},
                "evidence": {
                    "max_age_num_blocks": str(EVIDENCE_BLOCKS),
                    "max_age_duration": str(EVIDENCE_SECONDS * _NANOSECONDS),
                    "max_bytes": str(MAX_EVIDENCE_BYTES),
                },
                "validator": {"pub_key_types": ["ed25519"]},
                "version": {"app": "0"},
                "abci": {"vote_extensions_enable_height": "0"},
            },
            "validators": [
                {"address": address_of(key).hex().upper(), "pub_key": _public(key), "power": "1", "name": code}
                for code, key in start.validators
            ],
            "app_hash": "",
            "app_state": json.loads(start.app_state),
        }
    )


def node_key_json(signer: SoftwareSigner) -> bytes:
    """CometBFT's node_key.json. The consensus key is the peer key too, so that the ledger knows every peer's id.

    What it signs as a peer has 32 bytes; a vote is longer, because it names the chain. No one is mistaken for another.
    """
    return json_bytes({"priv_key": _private(signer)})


def validator_key(signer: SoftwareSigner) -> Mapping[str, object]:
    """CometBFT's priv_validator_key.json."""
    key = signer.public_key.key
    return {"address": address_of(key).hex().upper(), "pub_key": _public(key), "priv_key": _private(signer)}


def _section(name: str, values: Mapping[str, object]) -> str:
    lines = [f"[{name}]"] if name else []
    return "\n".join([*lines, *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""])


def _public(key: bytes) -> dict[str, str]:
    return {"type": _PUBLIC, "value": base64.b64encode(key).decode()}


def _private(signer: SoftwareSigner) -> dict[str, str]:
    return {"type": _PRIVATE, "value": base64.b64encode(signer.secret + signer.public_key.key).decode()}
