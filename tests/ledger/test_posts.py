from __future__ import annotations

from collections.abc import Callable

import pytest

from keys.possession import prove
from keys.public import SUITE_ED25519
from ledger.bodies import PostChanged
from ledger.machine import Machine
from ledger.posts import FORMER_CERTIFICATE_SECONDS
from support.network import TestNetwork

Refuses = Callable[[Machine, bytes, str], None]


def test_a_certificate_changes_and_the_former_one_counts_for_thirty_days(net: TestNetwork, machine: Machine) -> None:
    keys = net.posts["DEL"]
    body = PostChanged("DEL", None, b"new certificate", "")
    net.run(machine, net.signed(machine, "post-changed", body, keys.entry, keys.supervisors[0].signer))
    post = machine.state.active_post("DEL")
    assert post.certificate == b"new certificate"
    assert post.former_certificate == keys.certificate
    assert post.former_until == machine.time + FORMER_CERTIFICATE_SECONDS


def test_an_address_changes(net: TestNetwork, machine: Machine) -> None:
    keys = net.posts["DEL"]
    body = PostChanged("DEL", None, b"", "10.0.0.7:4443")
    net.run(machine, net.signed(machine, "post-changed", body, keys.entry, keys.supervisors[1].signer))
    post = machine.state.active_post("DEL")
    assert (post.address, post.certificate, post.former_certificate) == ("10.0.0.7:4443", keys.certificate, b"")


def test_an_entry_key_changes_and_the_new_one_starts_at_1(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    keys, new = net.posts["DEL"], net.fresh(SUITE_ED25519)
    net.run(machine, net.batch(machine, "DEL"))
    body = PostChanged("DEL", prove(new, "entry"), b"", "")
    net.run(machine, net.signed(machine, "post-changed", body, keys.entry, keys.supervisors[0].signer))
    refuses(machine, net.batch(machine, "DEL"), "missing-signature")
    again = PostChanged("DEL", prove(keys.entry, "entry"), b"", "")
    refuses(machine, net.signed(machine, "post-changed", again, new, keys.supervisors[0].signer), "known-key")
    assert machine.state.sequence(new.public_key.key_id) == 0


def test_a_lost_entry_key_takes_a_supervisor_of_the_post_and_one_of_hq(
    net: TestNetwork, machine: Machine, refuses: Refuses
) -> None:
    own, headquarters = net.posts["DEL"].supervisors, net.headquarters.supervisors
    new = net.fresh(SUITE_ED25519)
    body = PostChanged("DEL", prove(new, "entry"), b"", "")
    refuses(machine, net.signed(machine, "post-changed", body, own[0].signer, own[1].signer), "no-supervisor")
    refuses(machine, net.signed(machine, "post-changed", body, headquarters[0].signer), "no-supervisor")
    wrong = net.signed(machine, "post-changed", body, headquarters[0].signer, own[0].signer)
    refuses(machine, wrong, "signature-order")
    net.run(machine, net.signed(machine, "post-changed", body, own[0].signer, headquarters[0].signer))
    assert machine.state.active_post("DEL").entry_key == new.public_key.key


def test_two_supervisors_of_hq_replace_its_lost_entry_key(net: TestNetwork, machine: Machine) -> None:
    signers = sorted((one.signer for one in net.headquarters.supervisors), key=lambda one: one.public_key.key_id)
    body = PostChanged("DHA", prove(net.fresh(SUITE_ED25519), "entry"), b"", "")
    net.run(machine, net.signed(machine, "post-changed", body, *signers))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (PostChanged("DEL", None, b"", ""), "nothing-changed"),
        (PostChanged("DEL", None, b"", "del.example:4443"), "nothing-changed"),
        (PostChanged("DEL", None, b"", "no port"), "bad-address"),
        (PostChanged("DEL", None, bytes(601), ""), "bad-certificate"),
        (PostChanged("XYZ", None, b"new", ""), "unknown-post"),
        (PostChanged("", None, b"new", ""), "unknown-post"),
    ],
)
def test_changes_against_the_rules_are_refused(
    net: TestNetwork, machine: Machine, refuses: Refuses, body: PostChanged, code: str
) -> None:
    keys = net.posts["DEL"]
    refuses(machine, net.signed(machine, "post-changed", body, keys.entry, keys.supervisors[0].signer), code)


def test_another_posts_certificate_is_refused(net: TestNetwork, machine: Machine, refuses: Refuses) -> None:
    keys = net.posts["DEL"]
    body = PostChanged("DEL", None, net.posts["LON"].certificate, "")
    leaf = net.signed(machine, "post-changed", body, keys.entry, keys.supervisors[0].signer)
    refuses(machine, leaf, "known-certificate")


def test_the_entry_key_alone_and_supervisors_alone_change_nothing(
    net: TestNetwork, machine: Machine, refuses: Refuses
) -> None:
    keys = net.posts["DEL"]
    body = PostChanged("DEL", None, b"new", "")
    refuses(machine, net.signed(machine, "post-changed", body, keys.entry), "no-supervisor")
    stranger = net.posts["LON"].supervisors[0].signer
    refuses(machine, net.signed(machine, "post-changed", body, keys.entry, stranger), "no-supervisor")
    both = net.approvers("DEL")
    refuses(machine, net.signed(machine, "post-changed", body, *both), "entry-key-missing")
    many = net.signed(machine, "post-changed", body, keys.entry, *both)
    refuses(machine, many, "extra-signature")
