"""The dual signatures inside the seal: which there are, in which order, over what (docs/protocol/cable.md §6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crypto_msg.cable import Inner
from crypto_msg.rules import Signers
from crypto_msg.wire import CODEC, ReleasedParts
from keys.purpose import Purpose
from keys.signing import Signer, Verifier
from protos.errors import Refused

DRAFT_PURPOSES = (Purpose.DRAFT, Purpose.CLEAR, Purpose.CO_RELEASE)


@dataclass(frozen=True, slots=True)
class DraftSignature:
    """A drafter's, clearer's or co-releaser's signature over the draft bytes."""

    purpose: Purpose
    key_id: bytes
    signature: bytes


def sign_draft(draft: bytes, purpose: Purpose, network_id: bytes, signer: Signer) -> DraftSignature:
    """Sign draft bytes for one of DRAFT_PURPOSES. Raises `Refused` ("wrong-purpose") for another."""
    if purpose not in DRAFT_PURPOSES:
        raise Refused("wrong-purpose", f"nobody signs a draft for {purpose}", purpose=purpose)
    return DraftSignature(purpose, signer.public_key.key_id, signer.sign(purpose, network_id, draft))


def released_bytes(envelope_id: bytes, inner_hash: bytes, posts: tuple[str, ...]) -> bytes:
    """What the releaser signs; `posts` as of `posts_of`."""
    return CODEC.encode(ReleasedParts(envelope_id, inner_hash, posts))


def expected_signatures(inner: Inner) -> tuple[tuple[Purpose, bytes], ...]:
    """Purpose and key id of each signature, in the order of the signature block.

    A drafter who is also the releaser signs only the release.
    """
    drafts = inner.drafter and inner.drafter != inner.releaser
    return (
        *(((Purpose.DRAFT, inner.drafter),) if drafts else ()),
        *((Purpose.CLEAR, key_id) for key_id in inner.clearers),
        *((Purpose.CO_RELEASE, key_id) for key_id in inner.co_releasers),
        *(((Purpose.RELEASE, inner.releaser),) if inner.releaser else ()),
    )


def arrange(inner: Inner, given: Iterable[DraftSignature]) -> tuple[bytes, ...]:
    """The draft signatures in the order of the block. Raises `Refused` ("wrong-signatures") unless exactly these."""
    by_signer = {(one.purpose, one.key_id): one.signature for one in given}
    expected = [one for one in expected_signatures(inner) if one[0] != Purpose.RELEASE]
    if set(by_signer) != set(expected):
        raise Refused(
            "wrong-signatures",
            "one officer at most drafts, and each signature stands for one act",
            hint="Make the draft again.",
        )
    return tuple(by_signer[one] for one in expected)


def verify_signatures(
    signatures: Sequence[bytes], inner: Inner, signers: Signers, network_id: bytes, released: bytes, verifier: Verifier
) -> tuple[DraftSignature, ...]:
    """Verify the whole block, in order; the draft signatures are returned. Raises `VerificationFailed`."""
    officers = (signers.drafter, *signers.clearers, *signers.co_releasers, signers.releaser)
    keys = {one.key.key_id: one.key for one in officers if one is not None}
    draft_signatures = []
    for (purpose, key_id), signature in zip(expected_signatures(inner), signatures, strict=True):
        payload = released if purpose == Purpose.RELEASE else inner.draft
        verifier.verify(keys[key_id], purpose, network_id, payload, signature)
        if purpose != Purpose.RELEASE:
            draft_signatures.append(DraftSignature(purpose, key_id, signature))
    return tuple(draft_signatures)
