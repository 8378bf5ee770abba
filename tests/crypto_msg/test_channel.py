"""The hotline's channel over lines and relays that lose, repeat, reorder, change and invent frames."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto_msg import directions
from crypto_msg.channel import CUT_SECONDS, LOST_SECONDS
from crypto_msg.channel_actions import Cut, Dropped, Ended, Ending, Established, Resumed, Send, Side
from crypto_msg.directions import MAX_WAITING, REKEY_MESSAGES, RENEW_MESSAGES, RENEW_SECONDS, WINDOW, Outgoing
from crypto_msg.hotline_wire import CODEC, MAX_CONTENT, MAX_TEXT, Ack, Data, Talk, TalkKind
from keys.secretstream import Puller, Tag
from protos.errors import Refused, Unavailable
from support.talk import ACK, CALL_ID, CONFIRMATION, DATA, KEYS, End, carry_all, ends, settle


def talking() -> tuple[End, End]:
    caller, called = ends()
    carry_all(caller, called)
    assert caller.seen == called.seen == [Established()]
    return caller, called


def test_lines_in_both_languages_come_as_they_were_said_and_both_hang_up() -> None:
    caller, called = talking()
    caller.say("ঢাকা থেকে বলছি, শুনতে পাচ্ছেন?")
    called.say("Loud and clear.")
    carry_all(caller, called)
    assert called.heard == caller.said == [(2, "ঢাকা থেকে বলছি, শুনতে পাচ্ছেন?")]
    assert caller.heard == called.said == [(1, "Loud and clear.")]
    assert (caller.confirmed, called.confirmed) == (2, 1)
    caller.do(caller.channel.hang_up(caller.now))
    settle(caller, called, 10)
    assert caller.ending == called.ending == Ending.HUNG_UP


ENDS = st.sampled_from([0, 1])
PLACES = st.integers(0, 400)
DEEDS = st.sampled_from(
    ["say", "say", "arrive", "arrive", "arrive", "lose", "replay", "reflect", "change", "invent", "wait"]
)
STEPS = st.tuples(DEEDS, ENDS, PLACES)


class Line:
    """Everything that was ever put on it stays in the liar's hands."""

    def __init__(self) -> None:
        self.ends = talking()
        self.past: tuple[list[Send], list[Send]] = ([], [])
        self.now = 0.0

    def step(self, what: str, end: int, place: int) -> None:
        here, there = self.ends[end], self.ends[1 - end]
        if what == "say":
            here.say(f"line {place}")
        elif what == "wait":
            self.now += place / 20
            for one in self.ends:
                one.tick(self.now)
        elif what == "invent":
            there.take(Send(DATA, CODEC.encode(Data(place, b"", bytes(place + 17)))))
            there.take(Send(ACK, CODEC.encode(Ack(place, place, bytes(32)))))
        elif what in ("replay", "reflect") and self.past[end]:
            (there if what == "replay" else here).take(self.past[end][place % len(self.past[end])])
        elif here.sent:
            frame = here.sent.pop(place % len(here.sent))
            self.past[end].append(frame)
            if what == "arrive":
                there.take(frame)
            elif what == "change":
                at = place % len(frame.content)
                there.take(replace(frame, content=flipped(frame.content, at)))


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@given(st.lists(STEPS, max_size=60))
@settings(max_examples=150, deadline=None)
def test_whatever_the_line_does_a_line_is_heard_once_in_order_or_stays_unconfirmed(
    steps: list[tuple[str, int, int]],
) -> None:
    line = Line()
    one, other = line.ends
    for step in steps:
        line.step(*step)
        for here, there in ((one, other), (other, one)):
            assert here.heard == there.said[: len(here.heard)]
            confirmed = [number for number, _ in here.said if number <= here.confirmed]
            assert confirmed == [number for number, _ in there.heard[: len(confirmed)]]
    if one.ending or other.ending:
        assert Ending.BROKEN not in (one.ending, other.ending)
        return
    settle(one, other, 40)
    assert one.heard == other.said and other.heard == one.said
    one.do(one.channel.hang_up(one.now))
    settle(one, other, 20)
    assert one.ending == other.ending == Ending.HUNG_UP


def test_a_line_that_is_cut_and_comes_back_loses_nothing() -> None:
    caller, called = talking()
    for number in range(40):
        caller.say(f"line {number}")
    for end in (caller, called):
        for second in range(int(CUT_SECONDS) + 1):
            end.tick(float(second))
        end.sent.clear()
    assert caller.seen[-1] == Cut() == called.seen[-1]
    assert not called.heard and caller.confirmed == 1
    settle(caller, called, 60)
    assert Resumed() in caller.seen and Resumed() in called.seen
    assert called.heard == caller.said and caller.confirmed == 41


def test_a_line_that_stays_cut_ends_the_call_and_says_what_was_not_confirmed() -> None:
    caller, called = talking()
    caller.say("did this come?")
    caller.tick(LOST_SECONDS)
    called.tick(LOST_SECONDS)
    assert caller.seen[-1] == called.seen[-1] == Ended(Ending.LOST)
    assert caller.said[-1][0] > caller.confirmed
    with pytest.raises(Refused) as refused:
        caller.say("and this?")
    assert refused.value.code == "call-over"


def test_what_waits_and_what_is_ahead_are_bounded() -> None:
    caller, called = talking()
    for number in range(MAX_WAITING):
        caller.say(f"line {number}")
    with pytest.raises(Unavailable) as refused:
        caller.say("one more")
    assert refused.value.code == "line-waits"
    assert len(caller.sent) == WINDOW
    called.take(Send(DATA, CODEC.encode(Data(called.channel.received + WINDOW + 1, b"", bytes(64)))))
    assert called.seen[-1] == Dropped("bad-frame")
    settle(caller, called, 40)
    assert called.heard == caller.said


@pytest.mark.parametrize("text", ["", "x" * (MAX_TEXT + 1), "আ" * (MAX_TEXT // 3 + 1)])
def test_a_line_has_a_length(text: str) -> None:
    caller, _ = talking()
    with pytest.raises(Refused) as refused:
        caller.say(text)
    assert refused.value.code == "line-too-long"
    assert not caller.said


def test_the_longest_line_fits_a_frame() -> None:
    caller, called = talking()
    caller.say("x" * MAX_TEXT)
    assert len(caller.sent[-1].content) < MAX_CONTENT
    carry_all(caller, called)
    assert called.heard == caller.said


def test_fresh_keys_by_hpke_after_so_many_messages_or_so_long() -> None:
    caller, called = talking()
    for _ in range(RENEW_MESSAGES + 5):
        caller.say("on and on")
        settle(caller, called, 0)
    renewed_at = caller.channel.confirmed - len(caller.said) - 1
    assert renewed_at == 1  # one message more than the confirmation and the lines: the renewal
    caller.say("under the new keys")
    called.say("mine are the first ones still")
    settle(caller, called, RENEW_SECONDS + 20)
    caller.say("and on")
    called.say("renewed by now")
    settle(caller, called, 1)
    assert called.heard == caller.said and caller.heard == called.said


def test_an_old_key_opens_nothing_behind_a_renewal_and_a_rekey_changes_the_stream() -> None:
    outgoing = Outgoing(CALL_ID, KEYS.caller, 0.0)
    for _ in range(REKEY_MESSAGES):
        outgoing.seal(Talk(TalkKind.LINE, 0, "before"), 0.0)
    frames = [CODEC.decode(Data, one, limit=MAX_CONTENT) for one in outgoing.due(0.0)]
    stream = Puller(KEYS.caller.stream, frames[0].header)
    tags = [stream.pull(one.sealed, directions.bound(CALL_ID, one.number))[1] for one in frames]
    assert set(tags) == {Tag.MESSAGE}
    outgoing.confirm(WINDOW)
    rest = [CODEC.decode(Data, one, limit=MAX_CONTENT) for one in outgoing.due(0.0)]
    tags += [stream.pull(one.sealed, directions.bound(CALL_ID, one.number))[1] for one in rest]
    assert tags.count(Tag.REKEY) == 1 and tags[-1] == Tag.REKEY


@pytest.mark.parametrize(
    "talk",
    [
        Talk(TalkKind.LINE, 0, ""),
        Talk(TalkKind.LINE, 0, "x", signature=b"s"),
        Talk(TalkKind.RENEW, 0, sealed=b"s"),
        Talk(TalkKind.RENEW, 0, bundle_hash=b"h" * 32, sealed=b"s" * 1168),
        Talk(TalkKind.CONFIRM, 0, signature=CONFIRMATION),
        Talk(9, 0),
    ],
)
def test_a_holder_of_the_keys_who_says_what_he_may_not_ends_the_call(talk: Talk) -> None:
    caller, called = talking()
    caller.channel._outgoing.seal(talk, 0.0)
    caller.tick(0.0)
    carry_all(caller, called)
    assert called.ending == Ending.BROKEN and not called.heard


def test_a_caller_without_a_true_confirmation_is_never_heard() -> None:
    caller, called = ends()
    caller.sent.clear()
    caller, _ = ends()
    fresh = End(Side.CALLER, type(caller.channel)(Side.CALLER, CALL_ID, KEYS, dict, lambda _: None, 0.0))
    fresh.do(fresh.channel.confirm(b"x" * 64, 1, 0.0))
    fresh.say("believe me")
    carry_all(fresh, called)
    assert called.ending == Ending.BROKEN and not called.heard and not called.channel.is_established


def test_a_last_acknowledgement_that_is_lost_does_not_make_a_heard_call_lost() -> None:
    caller, called = talking()
    caller.say("out")
    carry_all(caller, called)
    caller.do(caller.channel.hang_up(0.0))
    carry_all(caller, called)
    for second in range(70):
        called.tick(float(second))
        called.sent.clear()
    assert called.ending == Ending.HUNG_UP
