"""What a hop refuses of EXPIRED and escalations before it stores a byte."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crypto_msg.escalation import PLAINTEXT_BYTES, seal_escalation
from crypto_msg.expired import make_expired
from crypto_msg.wire import Expired
from keys.signing import DirectVerifier
from node.courier import ItemKind, Parcel
from node.shell.itemchecks import ItemChecks, item_id
from node.store.courier import CourierItem
from support.ministry import Ministry, Officers
from terminal.recipients import fetch_bundles, seats_of

ENVELOPE_ID = bytes(range(32))


@pytest.fixture(scope="module")
def ministry(tmp_path_factory: pytest.TempPathFactory) -> Ministry:
    return Ministry(tmp_path_factory.mktemp("ministry"), ("DHA", "DEL", "WAS"))


def refusal(ministry: Ministry, item: CourierItem) -> str:
    checks = ItemChecks(ministry.machine.network_id, DirectVerifier())
    return checks.refusal(item, ministry.machine.state)


def expired(ministry: Ministry, by: str = "DHA", signer: str = "DHA", network_id: bytes = b"") -> CourierItem:
    """What headquarters' node says to DEL of a cable to WAS."""
    said = Expired(ENVELOPE_ID, "DEL", "WAS", by, ministry.machine.size, ministry.machine.time)
    content = make_expired(said, network_id or ministry.machine.network_id, ministry.keys[signer].entry)
    parcel = Parcel(item_id(7, "DEL", content), ItemKind.EXPIRED, by, "DEL", 2, 0, said.size, head_bytes=len(content))
    return CourierItem(parcel, ENVELOPE_ID, content)


def test_an_expired_statement_is_taken_as_its_node_made_it(ministry: Ministry) -> None:
    good = expired(ministry)
    assert refusal(ministry, good) == ""
    wrong = {"origin": "WAS", "destination": "WAS", "size_seen": 1, "length": 1}
    for name, value in wrong.items():
        changed = replace(good, parcel=replace(good.parcel, **{name: value}))  # type: ignore[arg-type]
        assert refusal(ministry, changed) == "bad-item", name
    assert refusal(ministry, replace(good, envelope_id=bytes(32))) == "bad-item"
    assert refusal(ministry, replace(good, head=good.head[:-1])) != ""


def test_nobody_speaks_for_another_node(ministry: Ministry) -> None:
    assert refusal(ministry, expired(ministry, signer="WAS")) == "unknown-node"
    assert refusal(ministry, expired(ministry, network_id=bytes(32))) == "bad-signature"


def test_an_escalation_goes_to_headquarters_only(ministry: Ministry) -> None:
    officers = Officers(ministry)
    try:
        session = officers("DEL").session
        for post, code in (("DHA", ""), ("WAS", "wrong-destination"), ("DEL", "wrong-destination")):
            seats = session.view.judge(lambda state, post=post: seats_of(state, [post]))
            bundle = next(iter(fetch_bundles(session.desk, seats, session.network_id).values()))
            content = seal_escalation(bytes(PLAINTEXT_BYTES - 2), bundle)
            name = item_id(8, post, content)
            item = CourierItem(Parcel(name, ItemKind.ESCALATION, "DEL", post, 3, 0, 0), b"", content)
            assert refusal(ministry, item) == code
            if not code:
                elsewhere = replace(item, parcel=replace(item.parcel, destination="WAS"))
                assert refusal(ministry, elsewhere) == "wrong-destination"
                assert refusal(ministry, replace(item, envelope_id=ENVELOPE_ID)) == "bad-item"
                assert refusal(ministry, replace(item, head=content[:-1])) != ""
    finally:
        officers.close()
