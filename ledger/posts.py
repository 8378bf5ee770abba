"""What a post changes about its own node: entry key, certificate, address (docs/protocol/ledger.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from keys.public import SUITE_ED25519, PublicKey
from keys.purpose import Purpose
from ledger import bodies
from ledger.certificates import check_certificate, enter_certificate
from ledger.module import Authority, Context, Entering, Signatory
from ledger.names import check_address
from ledger.records import Post
from ledger.state import post_key
from ledger.supervision import enrolment, one_supervisor, two_supervisors
from ledger.wire import CODEC
from protos.errors import Refused

FORMER_CERTIFICATE_SECONDS = 30 * 86_400
"""How long, in block time, the replaced certificate is accepted beside the new one."""


class PostsModule:
    """The rules of "post-changed"."""

    name = "posts"
    kinds: Mapping[str, type[Any]] = {"post-changed": bodies.PostChanged}
    codec = CODEC

    def check(self, context: Context) -> Authority:
        """The entry key and a supervisor of the post; for a lost entry key a supervisor of the post and one of HQ."""
        body: bodies.PostChanged = context.body
        post = context.state.active_post(body.code)
        _check_body(context, body, post)
        entering: tuple[Entering, ...] = ()
        if body.entry_key is not None:
            entering = (Entering(body.entry_key, "entry", SUITE_ED25519, f"post/{post.code}"),)
        present = entry_key_of(post)
        if present.key_id in context.signers:
            supervisor = one_supervisor(context, post.code)
            return Authority(Signatory(present, Purpose.ENTRY), (enrolment(supervisor),), entering)
        if body.entry_key is None:
            raise Refused("entry-key-missing", f"the entry key of {post.code} has not signed", post=post.code)
        author, other = two_supervisors(context, post.code)
        return Authority(enrolment(author), (enrolment(other),), entering)

    def apply(self, context: Context) -> None:
        """Replace what the body names."""
        body: bodies.PostChanged = context.body
        post = context.state.active_post(body.code)
        if body.entry_key is not None:
            post = replace(post, entry_key=body.entry_key.key.key)
        if body.address:
            post = replace(post, address=body.address)
        if body.certificate:
            enter_certificate(context.state, body.certificate, f"post/{post.code}")
            post = replace(
                post,
                certificate=body.certificate,
                former_certificate=post.certificate,
                former_until=context.time + FORMER_CERTIFICATE_SECONDS,
            )
        context.state.write(post_key(post.code), post)


def entry_key_of(post: Post) -> PublicKey:
    """The post's present entry key."""
    return PublicKey(SUITE_ED25519, post.entry_key)


def _check_body(context: Context, body: bodies.PostChanged, post: Post) -> None:
    if body.entry_key is None and not body.certificate and body.address in ("", post.address):
        raise Refused("nothing-changed", f"nothing about {post.code} would change", post=post.code)
    if body.address:
        check_address(body.address)
    if body.certificate:
        check_certificate(context.state, body.certificate)
