"""The parts of a running node, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from keys.signing import CachingVerifier, DirectVerifier
from ledger.machine import Machine
from node.api.door import Door
from node.comet.verifier import SharedVerifier
from node.config import NodeConfig
from node.health import Health
from node.links import Links
from node.secrets import NodeKeys
from node.shell.answers import Answers
from node.shell.carriers import Carriers
from node.shell.comet import CometShell, EnginePlace
from node.shell.directory import Directory
from node.shell.entries import Entries
from node.shell.givingup import GivingUp
from node.shell.hotline import HotlineShell
from node.shell.intake import Intake
from node.shell.itemchecks import ItemChecks
from node.shell.ledger import LedgerShell
from node.shell.mail import Mail
from node.shell.meter import Meter
from node.shell.peers import PeerLinks
from node.shell.receiving import Receiving
from node.shell.recovery import recover
from node.shell.rereading import Rereading
from node.shell.sending import Sending
from node.shell.shelf import Shelf
from node.shell.slips import Slips
from node.shell.storage import Storage
from node.shell.tasks import Tasks
from node.shell.transcripts import Transcripts
from node.shell.uploads import Uploads
from node.store.database import Database
from protos.errors import Malformed, Refused

_VERIFIED_KEPT = 16_384


class Node:
    """One post's node around its store. Build it, `start` it in a running event loop."""

    def __init__(
        self,
        config: NodeConfig,
        keys: NodeKeys,
        genesis: Sequence[bytes],
        database: Database,
        tasks: Tasks,
        clock: Callable[[], int],
        intake: Path,
        engine: Path,
    ) -> None:
        """`intake` is the folder with entries and bundles that were left for this node, `engine` the engine's."""
        verifier = SharedVerifier(CachingVerifier(DirectVerifier(), _VERIFIED_KEPT))

        def rebuild() -> Machine:
            return recover(database, genesis, verifier)

        machine = rebuild()
        _check_membership(config, keys, machine)
        _check_relays(config, machine)
        self.tasks = tasks
        self.tls = keys.tls
        self.door = Door(config.post, keys.tls.certificate)
        self.ledger = LedgerShell(config.post, keys, database, machine, self.door, clock, rebuild)
        address_of = self._address_of(config)
        self.links = Links(keys.tls, self.door, address_of, config.limits)
        self.entries = Entries(self.ledger, self.links)
        self.peers = PeerLinks(self.ledger, self.links, self.entries, tasks)
        self.answers = Answers(self.ledger)
        self.directory = Directory(config.post, database, self.links, lambda: self.ledger.chain.machine.state, clock)
        checks = ItemChecks(machine.network_id, verifier)
        shelf = Shelf(self.ledger)
        meter = Meter(clock)
        giving_up = GivingUp(self.ledger, keys.entry)
        sending = Sending(self.ledger, shelf, meter, giving_up, config.courier)
        self.storage = Storage(self.ledger, config.limits)
        receiving = Receiving(
            self.ledger,
            shelf,
            checks,
            self.storage,
            meter,
            sending.queued,
            self._catch_up,
            is_relay=config.courier.is_relay,
        )
        self.mail = Mail(self.ledger, self.storage)
        self.uploads = Uploads(self.ledger, shelf, sending, checks, self.storage)
        self.slips = Slips(self.ledger, shelf, sending, checks)
        relays = frozenset({machine.state.headquarters(), *config.courier.relays.values()} - {config.post})
        self.courier = Carriers(
            sending, receiving, self.links, tasks, relays, self.peers.hello, self.peers.hello_received
        )
        sending.on_queued = self.courier.wake
        self.transcripts = Transcripts(self.ledger)
        self.hotline = HotlineShell(self.ledger, self.links, tasks, sending, meter)
        self.ledger.on_proofs = sending.proved
        self.intake = Intake(intake, self.entries, self.directory)
        engine_place = EnginePlace(engine, config, address_of)
        self.comet = CometShell(self.ledger, keys.consensus, engine_place)
        self.health = Health(self.ledger, self.links, self.peers, self.intake, config.courier.link_kbit)

    async def start(self) -> None:
        """Begin the background work."""
        self.ledger.start(self.peers)
        self.tasks.spawn(self._tick_for_ever())
        self.tasks.spawn(self._follow_for_ever())
        self.tasks.spawn(self.entries.resubmit_for_ever())
        self.tasks.spawn(self.courier.run_for_ever())
        if self.ledger.is_headquarters:
            self.tasks.spawn(self.directory.gather_for_ever())
        self.tasks.spawn(self.intake.run_for_ever())
        self.tasks.spawn(self.comet.run_for_ever())
        self.tasks.spawn(self.storage.run_for_ever())
        self.tasks.spawn(Rereading(self.ledger).run_for_ever())

    async def _follow_for_ever(self) -> None:
        """The only validator follows nobody, until there are others."""
        await self.ledger.pulse.until(lambda: not self.ledger.is_validator or len(self.ledger.sequencers()) > 0)
        await self.peers.follow_for_ever()

    async def _tick_for_ever(self) -> None:
        while True:
            self.ledger.tick()
            await self.ledger.until_tick()

    def _catch_up(self, peer: str, size: int) -> None:
        self.tasks.spawn(self.peers.fetch(peer, self.ledger.chain.size, size))

    def _address_of(self, config: NodeConfig) -> Callable[[str], str | None]:
        return lambda post: config.peers.get(post) or self.ledger.address_of(post)


def _check_relays(config: NodeConfig, machine: Machine) -> None:
    """Raises `Malformed("bad-config")`: through headquarters goes what goes nowhere else."""
    if config.courier.relays and config.post == machine.state.headquarters():
        raise Malformed("bad-config", "headquarters names no relays", hint="take [courier.relays] out of config.toml")


def _check_membership(config: NodeConfig, keys: NodeKeys, machine: Machine) -> None:
    """A node runs only with the keys that the ledger names for its post. Raises `Refused("not-in-network")`."""
    post = machine.state.post(config.post)
    log_key, certificate = keys.log.public_key.key, keys.tls.certificate
    if post is None:  # admitted later: the log will say so
        is_own = all(one.entry_key != keys.entry.public_key.key for one in machine.state.posts())
    else:
        is_own = (
            post.cosigner_key == keys.cosigner.public_key.key
            and post.entry_key == keys.entry.public_key.key
            and post.log_key in (log_key, b"")
            and (keys.consensus is None or post.consensus_key in (keys.consensus.public_key.key, b""))
            and certificate in (post.certificate, post.former_certificate)
        )
    if not is_own:
        raise Refused(
            "not-in-network",
            f"the keys in this folder are not those of post {config.post} on the ledger",
            hint="is this the folder, and the genesis, of this post?",
            post=config.post,
        )
