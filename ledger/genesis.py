"""Founding a network: leaf 0, the posts admitted with it, the first block record (docs/protocol/genesis.md).

Entry 0 needs no signature: its hash is the network id. The posts that follow are valid by the root it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from keys.possession import ProvenKey
from keys.public import SUITE_DUAL
from keys.signing import DirectVerifier, Verifier
from ledger.admission import MAX_POSTS, admit, check_admission
from ledger.bodies import Parameters, PostAdmitted
from ledger.checkpoint import origin_of
from ledger.entering import check_new, enter_keys, verify_entering
from ledger.entry import MAX_SEQUENCE, decode_entry_leaf, decode_leaf, encode_entry, encode_leaf, make_leaf
from ledger.merkle import leaf_hash, root_of
from ledger.module import Entering
from ledger.names import check_network_name
from ledger.parameters import MAX_ROOTS, check_parameters
from ledger.records import Network
from ledger.state import NETWORK, PARAMETERS, State
from ledger.validators import check_set, engine_at_founding
from ledger.wire import CODEC, MAX_GENESIS_BYTES, MAX_LEAF_BYTES, BlockRecord, Genesis
from protos.errors import Malformed, Refused, VerificationFailed

VERSION = 1
POST_ADMITTED = "post-admitted"
NO_CHANGE = bytes(32)
"""The trust chain before the first change."""


@dataclass(frozen=True, slots=True)
class Founding:
    """A founded network: its id (32 bytes), its leaf 0 and the state after its posts."""

    network_id: bytes
    genesis: Genesis
    state: State

    @property
    def origin(self) -> str:
        """The origin of its checkpoints."""
        return origin_of(self.genesis.name, self.network_id)


def build(
    name: str,
    exercise: bool,
    founded_at: int,
    parameters: Parameters,
    roots: Sequence[ProvenKey],
    posts: Iterable[PostAdmitted],
    validators: Iterable[str],
) -> tuple[bytes, ...]:
    """The leaves of the first block: genesis, posts by code, block record. The same cards give the same bytes.

    Roots keep their order. `founded_at` is POSIX seconds. Raises `Refused`, `Malformed`, `VerificationFailed` as
    `found` does.
    """
    ordered = sorted(posts, key=lambda one: one.code)
    admitted = [make_leaf(encode_entry(POST_ADMITTED, number, body), ()) for number, body in enumerate(ordered, 1)]
    genesis = Genesis(
        version=VERSION,
        name=name,
        exercise=exercise,
        founded_at=founded_at,
        parameters=parameters,
        roots=tuple(roots),
        validators=tuple(sorted(validators)),
        post_count=len(admitted),
        posts_root=root_of(map(leaf_hash, admitted)),
    )
    leaves = (encode_leaf(genesis), *admitted)
    founding = found_posts(leaves, DirectVerifier())
    return *leaves, encode_leaf(BlockRecord(founded_at, (), founding.state.root))


def network_id_of(genesis_leaf: bytes) -> bytes:
    """SHA-256 of the exact bytes of leaf 0."""
    return sha256(genesis_leaf).digest()


def found(leaves: Sequence[bytes], verifier: Verifier) -> Founding:
    """Check the whole first block. Raises `Malformed`, `Refused` or `VerificationFailed`."""
    if len(leaves) < 3:
        raise Malformed("bad-founding", "a first block is a genesis, its posts and a block record")
    founding = found_posts(leaves[:-1], verifier)
    record = decode_leaf(leaves[-1])
    if record != BlockRecord(founding.genesis.founded_at, (), founding.state.root):
        raise VerificationFailed("bad-founding", "the first block record does not agree with the founding")
    return founding


def found_posts(leaves: Sequence[bytes], verifier: Verifier) -> Founding:
    """Check leaf 0 and its posts, without the block record. Raises as `found`."""
    genesis = decode_genesis(leaves[0])
    posts = leaves[1:]
    if len(posts) != genesis.post_count or root_of(map(leaf_hash, posts)) != genesis.posts_root:
        raise VerificationFailed("wrong-posts", "the posts are not those that the genesis names")
    state = State()
    roots = tuple(Entering(one, "root", SUITE_DUAL, "root") for one in genesis.roots)
    _enter(state, roots, verifier)
    for index, leaf in enumerate(posts, start=1):
        body = decode_founding_post(leaf, index)
        _enter(state, check_admission(state, body), verifier)
        admit(state, body, index)
    _settle_network(state, genesis)
    return Founding(network_id_of(leaves[0]), genesis, state.settled())


def decode_genesis(leaf: bytes) -> Genesis:
    """Leaf 0 with everything checked that it alone can show. Raises `Malformed` or `Refused`."""
    if len(leaf) > MAX_GENESIS_BYTES:
        raise Malformed("too-large", f"a genesis has at most {MAX_GENESIS_BYTES} bytes", limit=MAX_GENESIS_BYTES)
    genesis = decode_leaf(leaf)
    if not isinstance(genesis, Genesis):
        raise Malformed("not-a-genesis", "a log begins with a genesis")
    if genesis.version != VERSION:
        raise Refused("unknown-version", f"genesis version {genesis.version} is unknown", hint="Upgrade this program.")
    check_network_name(genesis.name)
    if not 0 <= genesis.founded_at <= MAX_SEQUENCE:
        raise Refused("bad-time", "a network cannot be founded before 1970")
    if not 1 <= len(genesis.roots) <= MAX_ROOTS:
        raise Refused("bad-roots", f"a network has 1 to {MAX_ROOTS} root keys, not {len(genesis.roots)}")
    check_parameters(genesis.parameters, len(genesis.roots))
    if not 1 <= genesis.post_count <= MAX_POSTS:
        raise Refused("too-many-posts", f"a network is founded with 1 to {MAX_POSTS} posts")
    return genesis


def decode_founding_post(leaf: bytes, number: int) -> PostAdmitted:
    """The post in the leaf at index `number`: governance entry `number`, unsigned. Raises `Malformed`."""
    if len(leaf) > MAX_LEAF_BYTES:
        raise Malformed("too-large", f"an entry has at most {MAX_LEAF_BYTES} bytes", limit=MAX_LEAF_BYTES)
    read = decode_entry_leaf(leaf)
    if read.entry.kind != POST_ADMITTED or read.entry.sequence != number or read.signatures:
        raise Malformed("bad-founding", f"leaf {number} is not the founding post number {number}, unsigned")
    return CODEC.decode(PostAdmitted, read.entry.payload, limit=MAX_LEAF_BYTES)


def _enter(state: State, entering: tuple[Entering, ...], verifier: Verifier) -> None:
    check_new(state, entering)
    verify_entering(entering, verifier)
    enter_keys(state, entering)


def _settle_network(state: State, genesis: Genesis) -> None:
    count = sum(post.headquarters for post in state.posts())
    if count != 1:
        raise Refused("headquarters-count", f"a network has exactly one HQ, not {count}", hint="Mark one post as HQ.")
    engine = engine_at_founding(genesis.validators)
    check_set(state, genesis.validators, engine)
    network = Network(
        governance_number=genesis.post_count,
        roots=tuple(one.key for one in genesis.roots),
        validators=genesis.validators,
        engine=engine,
        trust_head=NO_CHANGE,
        trust_count=0,
        pending=(),
    )
    state.write(NETWORK, network)
    state.write(PARAMETERS, genesis.parameters)
