"""A post that cannot reach another one, with real nodes: what is for that goes by the relay its operator has named."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cli.founding import free_addresses
from node.config import CourierSettings, load_config, node_folder, save_config
from support.processes import Exercise

pytestmark = pytest.mark.xdist_group("e2e-relay")
FROM, TO, BY, HQ = "DEL", "WAS", "LON", "DHA"
SECONDS = 90.0


@pytest.fixture
def posts(tmp_path: Path) -> Iterator[Exercise]:
    """DEL dials WAS at an address where nobody listens."""
    made = Exercise(tmp_path / "posts", (HQ, FROM, TO, BY))
    configure(made, FROM, CourierSettings(relays={TO: BY}), peers={TO: free_addresses(1)[0]})
    configure(made, BY, CourierSettings(is_relay=True))
    try:
        made.start()
        made.wait_ready()
        yield made
    finally:
        made.close()


def configure(posts: Exercise, code: str, courier: CourierSettings, **more: object) -> None:
    folder = node_folder(posts.home(code))
    save_config(folder, replace(load_config(folder), courier=courier, **more))  # type: ignore[arg-type]


def test_a_cable_goes_by_the_named_relay_and_not_through_headquarters(posts: Exercise) -> None:
    for code in posts.codes:
        posts.sync(code)
    sent = posts.queue(FROM, TO)
    deadline = time.monotonic() + SECONDS
    while not any(one.envelope_id == sent.envelope_id for one in posts.sync(TO)):
        assert time.monotonic() < deadline, posts.log(FROM).read_text()[-2000:]
        time.sleep(1.0)
    query = f"SELECT count(*) FROM items WHERE envelope_id = x'{sent.envelope_id.hex()}' AND kind = 1"
    assert [posts.rows(code, query) for code in (BY, HQ)] == [[(1,)], [(0,)]]
    with posts.terminal(FROM) as terminal:
        hops = terminal.session.desk.track(sent.envelope_id).hops
    assert [one.state for one in hops if one.post == TO] == ["relayed"]
