"""The lines' arithmetic, with times handed in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testnet.lines import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, Lines, Shape

POSTS = ("DHA", "DEL", "LON")
shapes = st.builds(Shape, st.integers(0, 10_000), st.integers(0, 2_000), st.sampled_from([0.0, 1.0, 30.0]))
sizes = st.lists(st.integers(1, 70_000), min_size=1, max_size=20)


def test_a_plain_line_takes_no_time() -> None:
    assert Lines(POSTS).arrival("DHA", "DEL", 100_000, 5.0) == 5.0


def test_a_line_takes_the_time_of_its_bits_and_its_delay() -> None:
    lines = Lines(POSTS)
    lines.shape("DEL", Shape(kbit=64, delay_ms=300))
    assert lines.arrival("DHA", "DEL", 8_000, 10.0) == pytest.approx(11.3)


def test_all_links_of_a_post_share_its_line_and_its_two_ways_do_not() -> None:
    lines = Lines(POSTS)
    lines.shape("DEL", Shape(kbit=64))
    assert lines.arrival("DHA", "DEL", 8_000, 0.0) == pytest.approx(1.0)
    assert lines.arrival("LON", "DEL", 8_000, 0.0) == pytest.approx(2.0)
    assert lines.arrival("DEL", "LON", 8_000, 0.0) == pytest.approx(1.0)
    assert lines.arrival("DHA", "LON", 8_000, 0.0) == 0.0


def test_two_shaped_posts_add_their_delays() -> None:
    lines = Lines(POSTS)
    lines.shape("DHA", Shape(delay_ms=100))
    lines.shape("DEL", Shape(delay_ms=300))
    assert lines.arrival("DHA", "DEL", 10, 0.0) == pytest.approx(0.4)


def test_a_lost_segment_costs_the_time_until_it_is_sent_again_and_the_seed_chooses_it() -> None:
    def times(seed: int) -> list[float]:
        lines = Lines(POSTS, seed)
        lines.shape("DEL", Shape(delay_ms=100, loss_percent=20.0))
        return [lines.arrival("DHA", "DEL", 1_000, 0.0) for _ in range(200)]

    assert times(1) == times(1) != times(2)
    late = [at for at in times(1) if at > 0.11]
    assert min(late) == pytest.approx(0.1 + 0.2 + 2 * 0.1)
    assert 15 <= len(late) <= 70


@given(shapes, shapes, sizes, st.integers(0, 99))
def test_nothing_arrives_before_it_is_sent_nor_faster_than_the_slower_line(
    near: Shape, far: Shape, parts: list[int], seed: int
) -> None:
    lines = Lines(POSTS, seed)
    lines.shape("DHA", near)
    lines.shape("DEL", far)
    last = max(lines.arrival("DHA", "DEL", size, 0.0) for size in parts)
    slowest = min((shape.kbit for shape in (near, far) if shape.kbit), default=0)
    assert last >= (near.delay_ms + far.delay_ms) / 1000
    if slowest:
        assert last >= sum(parts) * 8 / (slowest * 1000)
    assert lines.carried["DHA", "DEL"] == sum(parts)


@given(shapes, shapes)
def test_chunks_are_small_enough_for_the_slower_line_and_never_empty(near: Shape, far: Shape) -> None:
    lines = Lines(POSTS)
    lines.shape("DHA", near)
    lines.shape("DEL", far)
    assert MIN_CHUNK_BYTES <= lines.chunk_bytes("DHA", "DEL") <= MAX_CHUNK_BYTES
    assert lines.chunk_bytes("DHA", "DEL") == lines.chunk_bytes("DEL", "DHA")


def test_cuts_have_a_direction_add_up_and_are_healed_together() -> None:
    lines = Lines(POSTS)
    lines.cut(["DHA"], ["DEL", "DHA"])
    lines.cut(["LON"], ["DHA"])
    assert lines.cuts == {("DHA", "DEL"), ("LON", "DHA")}
    assert not lines.is_cut("DEL", "DHA")
    lines.heal()
    assert not lines.cuts


def test_a_plain_shape_takes_the_old_one_away() -> None:
    lines = Lines(POSTS)
    lines.shape("DEL", Shape(kbit=64))
    lines.shape("DEL", Shape())
    assert not lines.shapes
