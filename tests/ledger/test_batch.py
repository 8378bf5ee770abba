from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger.bodies import Batch
from ledger.machine import Machine
from support.network import TestNetwork

Refuses = Callable[[Machine, bytes, str], None]
ROOT = bytes(31) + b"\x01"


@pytest.mark.parametrize(
    ("kind", "count"),
    [("confidential", 64), ("confidential", 256), ("confidential", 1024), ("attestation", 1), ("attestation", 256)],
)
def test_a_batch_is_accepted(net: TestNetwork, machine: Machine, kind: str, count: int) -> None:
    entry = net.posts["DEL"].entry
    net.run(machine, net.signed(machine, "batch", Batch("DEL", kind, ROOT, count), entry))
    assert machine.state.sequence(entry.public_key.key_id) == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (Batch("DEL", "confidential", ROOT, 0), "bad-count"),
        (Batch("DEL", "confidential", ROOT, 63), "bad-count"),
        (Batch("DEL", "attestation", ROOT, 0), "bad-count"),
        (Batch("DEL", "attestation", ROOT, 257), "bad-count"),
        (Batch("DEL", "public", ROOT, 64), "unknown-batch-kind"),
        (Batch("DEL", "confidential", ROOT[1:], 64), "bad-root"),
        (Batch("DEL", "confidential", b"", 64), "bad-root"),
        (Batch("XYZ", "confidential", ROOT, 64), "unknown-post"),
    ],
)
def test_a_batch_against_the_rules_is_refused(
    net: TestNetwork, machine: Machine, refuses: Refuses, body: Batch, code: str
) -> None:
    refuses(machine, net.signed(machine, "batch", body, net.posts["DEL"].entry), code)


def test_a_post_anchors_for_itself_only(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    body = Batch("DEL", "confidential", ROOT, 64)
    refuses(machine, net.signed(machine, "batch", body, net.posts["LON"].entry), "missing-signature")
    supervisor = net.posts["DEL"].supervisors[0].signer
    refuses(machine, net.signed(machine, "batch", body, supervisor), "missing-signature")
    refuses(machine, net.signed(machine, "batch", body, net.posts["DEL"].entry, supervisor), "extra-signature")


def test_the_sequence_rises_by_one(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    first, second, fourth = (net.batch(machine, "DEL", ahead=ahead) for ahead in (0, 1, 3))
    refuses(machine, second, "wrong-sequence")
    net.run(machine, first, second)
    refuses(machine, first, "wrong-sequence")
    refuses(machine, fourth, "wrong-sequence")
