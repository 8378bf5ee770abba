"""A small real network for tests: keys from a seed, a founded log, and every entry kind ready to sign.

    net = TestNetwork.make(["DHA", "DEL", "LON"])
    machine = net.machine()
    officer = net.enrol_officer(machine, "DEL")
    terminal = net.enrol_terminal(machine, officer)
    net.run(machine, net.batch(machine, "DEL"))

Keys and ids follow from the seed alone; ML-DSA signatures are randomised, so leaves differ from run to run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from keys.name import commit_name
from keys.possession import prove
from keys.public import SUITE_DUAL, SUITE_ED25519, SUITE_MLDSA44
from keys.purpose import Purpose
from keys.signing import CachingVerifier, DirectVerifier, SoftwareSigner, Verifier
from ledger import bodies, genesis
from ledger.block import BlockResult
from ledger.checkpoint import Checkpoint, make_note, sign_checkpoint
from ledger.cosignature import cosign, cosigner_name
from ledger.entry import encode_entry, make_leaf, sign_entry
from ledger.machine import Machine
from ledger.module import Module
from ledger.parameters import EXERCISE_PARAMETERS
from ledger.roles import Clearance, Role
from ledger.wire import CODEC
from protos.codec import Codec

FOUNDED_AT = 1_750_000_000
ALL_POWERS = (Role.DRAFTER, Role.RELEASER, Role.SUPERVISOR)


@dataclass(frozen=True)
class OfficerKeys:
    """An officer with his secret."""

    officer_id: bytes
    post: str
    signer: SoftwareSigner
    salt: bytes = b""
    name: str = ""


@dataclass(frozen=True)
class TerminalKeys:
    """A terminal with its secret."""

    officer: OfficerKeys
    signer: SoftwareSigner
    certificate: bytes

    @property
    def terminal_id(self) -> bytes:
        return self.signer.public_key.key_id

    @property
    def post(self) -> str:
        return self.officer.post


@dataclass(frozen=True)
class PostKeys:
    """A post with all its secrets and its two first supervisors."""

    code: str
    entry: SoftwareSigner
    cosigner: SoftwareSigner
    log: SoftwareSigner
    consensus: SoftwareSigner
    certificate: bytes
    supervisors: tuple[OfficerKeys, OfficerKeys]


@dataclass
class TestNetwork:
    """Every secret of a network, and its founding leaves. `seed` makes all keys; `fresh` makes one more."""

    __test__ = False

    seed: int
    roots: list[SoftwareSigner]
    posts: dict[str, PostKeys]
    leaves: tuple[bytes, ...]
    verifier: Verifier
    _count: int = field(default=0)

    # --- making ----------------------------------------------------------------------------------------

    @classmethod
    def make(
        cls,
        codes: Sequence[str] = ("DHA", "DEL", "LON", "WAS"),
        *,
        seed: int = 1,
        validators: Sequence[str] = (),
        parameters: bodies.Parameters = EXERCISE_PARAMETERS,
        root_count: int = 5,
        verifier: Verifier | None = None,
    ) -> TestNetwork:
        """A network whose first post is HQ and, unless said otherwise, its one validator."""
        roots = [key_of(seed, f"root/{number}", SUITE_DUAL) for number in range(root_count)]
        posts = {code: post_keys(seed, code) for code in codes}
        cards = [post_card(keys, headquarters=code == codes[0]) for code, keys in posts.items()]
        leaves = genesis.build(
            "test.dutabarta",
            True,
            FOUNDED_AT,
            replace(parameters, root_threshold=min(parameters.root_threshold, root_count)),
            [prove(root, "root") for root in roots],
            cards,
            validators or codes[:1],
        )
        return cls(seed, roots, posts, leaves, verifier or CachingVerifier(DirectVerifier(), 100_000))

    def machine(self, modules: Sequence[Module] = ()) -> Machine:
        """A machine that has just been founded."""
        return Machine.found(self.leaves, modules, self.verifier)

    @property
    def network_id(self) -> bytes:
        return genesis.network_id_of(self.leaves[0])

    @property
    def headquarters(self) -> PostKeys:
        return next(iter(self.posts.values()))

    def fresh(self, suite: int) -> SoftwareSigner:
        """A key that nobody else has."""
        self._count += 1
        return key_of(self.seed, f"fresh/{self._count}", suite)

    def fresh_bytes(self, size: int) -> bytes:
        """Bytes that nobody else has."""
        self._count += 1
        return _bytes(self.seed, f"bytes/{self._count}", size)

    # --- entries ---------------------------------------------------------------------------------------

    def entry(
        self,
        kind: str,
        sequence: int,
        body: object,
        author: SoftwareSigner | None,
        others: Iterable[SoftwareSigner] = (),
        codec: Codec = CODEC,
    ) -> bytes:
        """A signed leaf. Dual keys sign for governance (no author), shift or enrolment, Ed25519 keys for entry."""
        data = encode_entry(kind, sequence, body, codec)
        dual = Purpose.GOVERNANCE if author is None else _DUAL_PURPOSE.get(kind, Purpose.ENROLMENT)
        signers = [*([] if author is None else [author]), *others]
        signatures = [
            sign_entry(data, one, self.network_id, dual if one.public_key.suite == SUITE_DUAL else Purpose.ENTRY)
            for one in signers
        ]
        return make_leaf(data, signatures, None if author is None else author.public_key.key_id)

    def signed(
        self,
        machine: Machine,
        kind: str,
        body: object,
        author: SoftwareSigner,
        *others: SoftwareSigner,
        codec: Codec = CODEC,
    ) -> bytes:
        """A signed leaf with the author's next sequence number."""
        sequence = machine.state.sequence(author.public_key.key_id) + 1
        return self.entry(kind, sequence, body, author, others, codec)

    def governance(self, machine: Machine, kind: str, body: object, *also: SoftwareSigner) -> bytes:
        """A governance leaf, approved by just enough roots (and signed by `also`)."""
        network = machine.state.network()
        in_force = [root for root in self.roots if root.public_key in network.roots]
        approving = in_force[: machine.state.parameters().root_threshold]
        return self.entry(kind, network.governance_number + 1, body, None, (*approving, *also))

    def batch(self, machine: Machine, code: str, root: bytes | None = None, *, ahead: int = 0) -> bytes:
        """A confidential batch of the post; `ahead` counts its batches already in the same block."""
        entry = self.posts[code].entry
        body = bodies.Batch(code, "confidential", root or self.fresh_bytes(32), 64)
        sequence = machine.state.sequence(entry.public_key.key_id) + 1 + ahead
        return self.entry("batch", sequence, body, entry)

    def run(self, machine: Machine, *leaves: bytes, time: int | None = None) -> BlockResult:
        """Apply a block in which every entry must be accepted."""
        result = machine.apply_block(leaves, machine.time + 1 if time is None else time)
        refused = [one for one in result.results if not one.is_accepted]
        if refused:
            raise AssertionError(refused)
        return result

    # --- people ----------------------------------------------------------------------------------------

    def approvers(self, code: str) -> tuple[SoftwareSigner, SoftwareSigner]:
        """A supervisor of the post and one of HQ; at HQ its two."""
        own, headquarters = self.posts[code].supervisors, self.headquarters.supervisors
        other = headquarters[1] if code == self.headquarters.code else headquarters[0]
        return own[0].signer, other.signer

    def officer_keys(self, code: str, name: str = "") -> OfficerKeys:
        """A new officer, not enrolled yet."""
        return OfficerKeys(
            self.fresh_bytes(16), code, self.fresh(SUITE_DUAL), self.fresh_bytes(32), name or f"Officer of {code}"
        )

    def enrolment(
        self,
        machine: Machine,
        officer: OfficerKeys,
        roles: Sequence[int] = (Role.DRAFTER, Role.RELEASER),
        clearance: int = Clearance.SECRET,
    ) -> bytes:
        """The entry that enrols him, signed by all."""
        body = bodies.OfficerEnrolled(
            officer.officer_id,
            officer.post,
            prove(officer.signer, "officer"),
            tuple(int(one) for one in roles),
            int(clearance),
            commit_name(officer.salt, officer.name),
        )
        return self.signed(machine, "officer-enrolled", body, officer.signer, *self.approvers(officer.post))

    def enrol_officer(
        self,
        machine: Machine,
        code: str,
        roles: Sequence[int] = (Role.DRAFTER, Role.RELEASER),
        clearance: int = Clearance.SECRET,
        name: str = "",
    ) -> OfficerKeys:
        """Enrol a new officer in a block of its own."""
        officer = self.officer_keys(code, name)
        self.run(machine, self.enrolment(machine, officer, roles, clearance))
        return officer

    def terminal_keys(self, officer: OfficerKeys) -> TerminalKeys:
        """A new terminal, not enrolled yet."""
        return TerminalKeys(officer, self.fresh(SUITE_ED25519), self.fresh_bytes(300))

    def terminal_enrolment(self, machine: Machine, terminal: TerminalKeys) -> bytes:
        """The entry that enrols it, signed by its officer and a supervisor of the post other than himself."""
        officer = terminal.officer
        body = bodies.TerminalEnrolled(officer.officer_id, prove(terminal.signer, "terminal"), terminal.certificate)
        supervisors = self.posts[officer.post].supervisors
        other = next(one for one in supervisors if one.officer_id != officer.officer_id)
        return self.signed(machine, "terminal-enrolled", body, officer.signer, other.signer)

    def enrol_terminal(self, machine: Machine, officer: OfficerKeys) -> TerminalKeys:
        """Enrol a new terminal in a block of its own."""
        terminal = self.terminal_keys(officer)
        self.run(machine, self.terminal_enrolment(machine, terminal))
        return terminal

    # --- checkpoints -----------------------------------------------------------------------------------

    def note(
        self, machine: Machine, size: int | None = None, *, signers: Iterable[str] | None = None, root: bytes = b""
    ) -> bytes:
        """A checkpoint, signed by every validator's log key and cosigned by `signers` (default: every post)."""
        size = machine.size if size is None else size
        checkpoint = Checkpoint(machine.origin, size, root or machine.tree.root(size))
        codes = self.posts if signers is None else signers
        logs = [sign_checkpoint(self.posts[one].log, checkpoint) for one in machine.state.network().validators]
        cosignatures = [
            cosign(self.posts[one].cosigner, cosigner_name(machine.origin, one), checkpoint, machine.time + 5)
            for one in codes
        ]
        return make_note(checkpoint, *logs, *cosignatures).encode()


_DUAL_PURPOSE = {"shift-changed": Purpose.SHIFT}


# --- keys ------------------------------------------------------------------------------------------------


def key_of(seed: int, label: str, suite: int) -> SoftwareSigner:
    """The key that follows from the seed and the label."""
    return SoftwareSigner.from_secret(suite, _bytes(seed, label, 64 if suite == SUITE_DUAL else 32))


def post_keys(seed: int, code: str) -> PostKeys:
    """All secrets of a post."""
    labels = [f"{code}/supervisor/{number}" for number in (1, 2)]
    supervisors = [OfficerKeys(_bytes(seed, f"{one}/id", 16), code, key_of(seed, one, SUITE_DUAL)) for one in labels]
    return PostKeys(
        code=code,
        entry=key_of(seed, f"{code}/entry", SUITE_ED25519),
        cosigner=key_of(seed, f"{code}/cosigner", SUITE_MLDSA44),
        log=key_of(seed, f"{code}/log", SUITE_ED25519),
        consensus=key_of(seed, f"{code}/consensus", SUITE_ED25519),
        certificate=_bytes(seed, f"{code}/certificate", 400),
        supervisors=(supervisors[0], supervisors[1]),
    )


def post_card(keys: PostKeys, *, headquarters: bool = False, satellite: bool = False) -> bodies.PostAdmitted:
    """What a post carries to HQ."""
    return bodies.PostAdmitted(
        code=keys.code,
        headquarters=headquarters,
        satellite=satellite,
        address=f"{keys.code.lower()}.example:4443",
        entry_key=prove(keys.entry, "entry"),
        cosigner_key=prove(keys.cosigner, "cosigner"),
        log_key=prove(keys.log, "log"),
        consensus_key=prove(keys.consensus, "consensus"),
        certificate=keys.certificate,
        supervisors=tuple(bodies.Supervisor(one.officer_id, prove(one.signer, "officer")) for one in keys.supervisors),
    )


def _bytes(seed: int, label: str, size: int) -> bytes:
    blocks = (sha256(f"{seed}/{label}/{number}".encode()).digest() for number in range((size + 31) // 32))
    return b"".join(blocks)[:size]
