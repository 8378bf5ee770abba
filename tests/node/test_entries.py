"""Whose answer about an entry counts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from node.sequence import EntryOutcome
from node.shell.entries import Entries
from protos import node_pb2 as pb
from protos.errors import Unavailable

OWN_SIZE = 50


def answer(code: str, size: int, index: int = 0) -> pb.EntryResult:
    return pb.EntryResult(code=code, text="", index=index, size=size)


class FakeLinks:
    """Validators that answer as told; one that is not told of is down."""

    def __init__(self) -> None:
        self.answers: Mapping[str, pb.EntryResult] = {}

    async def call(self, post: str, _method: Any, _request: pb.EntryBytes) -> pb.EntryResult:
        if post not in self.answers:
            raise Unavailable("unreachable", f"{post} is down", hint="")
        return self.answers[post]


class Post:
    """A post that is no validator, with a log of OWN_SIZE leaves."""

    def __init__(self) -> None:
        self.links = FakeLinks()
        ledger = SimpleNamespace(
            is_validator=False, sequencers=lambda: ["DEL", "DHA"], chain=SimpleNamespace(size=OWN_SIZE)
        )
        self._entries = Entries(cast(Any, ledger), cast(Any, self.links))

    def bring(self, **answers: pb.EntryResult) -> EntryOutcome:
        self.links.answers = answers
        return asyncio.run(self._entries.bring(b"leaf"))


def test_a_refusal_of_a_log_that_is_behind_is_passed_over() -> None:
    behind = answer("wrong-sequence", OWN_SIZE - 1)
    assert Post().bring(DEL=behind, DHA=answer("accepted", OWN_SIZE, 48)) == EntryOutcome("accepted", "", 48)
    assert Post().bring(DEL=behind).code == "pending"


@pytest.mark.parametrize("size", [OWN_SIZE, OWN_SIZE + 3])
def test_a_refusal_of_a_whole_log_counts(size: int) -> None:
    assert Post().bring(DEL=answer("wrong-sequence", size)).code == "wrong-sequence"


def test_what_a_validator_has_accepted_must_be_on_the_log_that_refuses_what_follows() -> None:
    post = Post()
    assert post.bring(DEL=answer("accepted", OWN_SIZE + 9, OWN_SIZE + 7)).code == "accepted"
    assert post.bring(DHA=answer("wrong-sequence", OWN_SIZE + 1)).code == "pending"
    assert post.bring(DHA=answer("wrong-sequence", OWN_SIZE + 8)).code == "wrong-sequence"


def test_whatever_is_no_refusal_counts_of_any_log() -> None:
    assert [Post().bring(DEL=answer(code, 1)).code for code in ("pending", "busy")] == ["pending", "busy"]
