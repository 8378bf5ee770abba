from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, make_note
from ledger.merkle import Tree, leaf_hash
from ledger.note import MLDSA44_COSIGNATURE, NoteSignature, SignedNote, VerifierKey
from ledger.policy import MAX_POLICY_BYTES, MAX_WITNESSES, Policy, build_policy, parse_policy
from ledger.quorum import NO_QUORUM, Group, Quorum
from protos.errors import DutabartaError, Malformed, Refused, VerificationFailed
from support.witnesses import COSIGNED_AT, Witnesses, bit_flips, seed

NETWORK = Witnesses(("DHA", "DEL", "LON", "WAS"), ("ROM", "TYO", "PAR", "BON"))
VALIDATORS, MISSIONS = NETWORK.validators, tuple(sorted(NETWORK.missions))
CHECKPOINT = NETWORK.checkpoint(Tree(leaf_hash(b"%d" % at) for at in range(7)))
LOG, W = NETWORK.log_key("DHA").vkey, {code: NETWORK.cosigner_key(code).vkey for code in NETWORK.cosigners}


def verify(*lines: NoteSignature) -> dict[str, int]:
    return NETWORK.policy.verify(make_note(CHECKPOINT, *lines).encode()).times


def cosignatures(*posts: str) -> list[NoteSignature]:
    return [NETWORK.cosignature(code, CHECKPOINT) for code in posts]


LOG_LINE = NETWORK.log_line("DHA", CHECKPOINT)
ENOUGH = [LOG_LINE, *cosignatures("DHA", "DEL", "LON", "BON", "PAR")]


def test_a_log_and_a_quorum_make_a_checkpoint_good() -> None:
    verified = NETWORK.policy.verify(make_note(CHECKPOINT, *ENOUGH).encode())
    assert verified.checkpoint == CHECKPOINT
    assert verified.times == dict.fromkeys(("DHA", "DEL", "LON", "BON", "PAR"), COSIGNED_AT)


def test_any_one_of_the_logs_is_enough() -> None:
    assert verify(NETWORK.log_line("WAS", CHECKPOINT), *ENOUGH[1:])


@pytest.mark.parametrize("missing", range(len(ENOUGH)))
def test_every_signature_of_a_bare_quorum_is_needed(missing: int) -> None:
    with pytest.raises(VerificationFailed) as caught:
        verify(*ENOUGH[:missing], *ENOUGH[missing + 1 :])
    assert caught.value.code == ("no-quorum" if missing else "unknown-log")


def test_validators_alone_and_missions_alone_are_no_quorum() -> None:
    for posts in (VALIDATORS, MISSIONS):
        with pytest.raises(VerificationFailed, match="no quorum"):
            verify(LOG_LINE, *cosignatures(*posts))


def test_signatures_of_unknown_keys_are_ignored() -> None:
    known = NETWORK.cosigner_key("DHA").verifier
    strangers = [
        NoteSignature("stranger.example", b"1234", b"anything"),
        NoteSignature(known.name, b"1234", b"the name of a known key"),
        NoteSignature("stranger.example", known.key_id, b"the id of a known key"),
    ]
    assert verify(*strangers, *ENOUGH, *strangers) == verify(*ENOUGH)


def test_one_failing_signature_of_a_known_key_refuses_the_note() -> None:
    other = NETWORK.cosignature("ROM", Checkpoint(NETWORK.origin, 8, CHECKPOINT.root))
    with pytest.raises(VerificationFailed):
        verify(*ENOUGH, other)
    with pytest.raises(VerificationFailed):
        verify(*ENOUGH, NoteSignature(LOG_LINE.name, LOG_LINE.key_id, bytes(64)))


def test_a_known_key_signs_once() -> None:
    again = NETWORK.cosignature("DHA", CHECKPOINT, COSIGNED_AT + 1)
    for line in (LOG_LINE, ENOUGH[1], again):
        with pytest.raises(VerificationFailed, match="twice"):
            verify(*ENOUGH, line)


def test_another_origin_is_refused_though_its_signatures_hold() -> None:
    elsewhere = Checkpoint("elsewhere.example", CHECKPOINT.size, CHECKPOINT.root)
    lines = [NETWORK.log_line("DHA", elsewhere), *(NETWORK.cosignature(code, elsewhere) for code in NETWORK.cosigners)]
    with pytest.raises(VerificationFailed):
        NETWORK.policy.verify(make_note(elsewhere, *lines).encode())


def test_every_flipped_bit_of_a_minimal_note_is_refused() -> None:
    network = Witnesses(missions=())
    checkpoint = Checkpoint(network.origin, 7, seed("root"))
    note = network.policy.minimal(network.note(checkpoint)).encode()
    assert network.policy.verify(note).checkpoint == checkpoint
    for flipped in bit_flips(note):
        with pytest.raises(DutabartaError):
            network.policy.verify(flipped)


def test_the_minimal_note_is_always_the_same_and_has_what_the_quorum_needs() -> None:
    full = NETWORK.note(CHECKPOINT, logs=VALIDATORS)
    note = NETWORK.policy.minimal(full)
    names = [one.name.rpartition("/")[2] for one in note.signatures[1:]]
    assert note.signatures[0].key_id == LOG_LINE.key_id
    assert names == ["DEL", "DHA", "LON", "BON", "PAR"]
    assert NETWORK.policy.minimal(SignedNote(full.text, full.signatures[::-1])) == note
    assert NETWORK.policy.minimal(note) == note
    NETWORK.policy.verify(note.encode())


def test_the_minimal_note_comes_from_more_signatures_than_a_note_may_have() -> None:
    strangers = [NoteSignature("stranger.example", bytes([0, 0, 0, at]), b"x") for at in range(100)]
    NETWORK.policy.minimal(make_note(CHECKPOINT, *strangers, *ENOUGH))


def test_there_is_no_minimal_note_without_a_quorum() -> None:
    with pytest.raises(VerificationFailed):
        NETWORK.policy.minimal(make_note(CHECKPOINT, *ENOUGH[:-1]))


# --- quorums ------------------------------------------------------------------------------------------


def quorums() -> st.SearchStrategy[Quorum]:
    """Two groups of witnesses a..f and one over both, or over one and a witness of its own."""

    def build(first: int, second: int, top: int, direct: bool) -> Quorum:
        groups = (Group("one", first, ("a", "b", "c")), Group("two", second, ("d", "e")))
        return Quorum("top", (*groups, Group("top", top, ("two", "f", "one") if direct else ("one", "two"))))

    return st.builds(build, st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.booleans())


@given(quorums(), st.sets(st.sampled_from("abcdef")))
def test_the_fewest_are_enough_and_no_smaller_set_is(quorum: Quorum, witnesses: set[str]) -> None:
    if not quorum.is_met(witnesses):
        return
    fewest = quorum.fewest(sorted(witnesses))
    assert fewest <= witnesses and quorum.is_met(fewest)
    assert not any(quorum.is_met(fewer) for fewer in combinations(sorted(witnesses), len(fewest) - 1))


def test_no_quorum_needs_nobody() -> None:
    assert Quorum(NO_QUORUM, ()).is_met(()) and Quorum(NO_QUORUM, ()).fewest(("a",)) == frozenset()


# --- the file -----------------------------------------------------------------------------------------


def test_the_shape_of_the_example_of_the_specification() -> None:
    text = (
        f"  # comment\n\n\tlog {LOG}\thttps://log.example/ \n"
        f"witness X1 {W['DHA']}\nwitness X2 {W['DEL']} https://x2.example\nwitness X3 {W['LON']}\n"
        f"group X-witnesses 2 X1 X2 X3\nwitness Y1 {W['WAS']}\nwitness Y2 {W['ROM']}\n"
        "group Y-witnesses any Y1 Y2\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
    )
    policy = parse_policy(text)
    assert policy == parse_policy(text.encode())
    assert [group.threshold for group in policy.quorum.groups] == [2, 1, 2]
    assert policy.quorum.is_met(("X1", "X3", "Y2")) and not policy.quorum.is_met(("X1", "X2", "X3"))


def test_a_quorum_of_none_asks_for_the_log_alone() -> None:
    policy = parse_policy(f"log {LOG}\nwitness w {W['DHA']}\nquorum none\n")
    assert policy.verify(make_note(CHECKPOINT, LOG_LINE).encode()).times == {}
    assert policy.minimal(make_note(CHECKPOINT, *ENOUGH)).signatures == (LOG_LINE,)


def test_names_are_opaque_octets() -> None:
    policy = parse_policy(b"log %s\nwitness \xff %s\nquorum \xff\n" % (LOG.encode(), W["DHA"].encode()))
    assert policy.verify(make_note(CHECKPOINT, LOG_LINE, ENOUGH[1]).encode()).times


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "quorum"),
        ("log {log}\n", "quorum"),
        ("quorum none\n", "no log"),
        ("log {log}\nquorum none", "newline"),
        ("log {log}\nquorum none\nquorum none\n", "second quorum"),
        ("log {log}\nlog {log}\nquorum none\n", "twice"),
        ("log {log}\nwitness a {a}\nwitness b {a}\nquorum a\n", "twice"),
        ("log {log}\nwitness a {a}\nwitness a {b}\nquorum a\n", "taken"),
        ("log {log}\nwitness none {a}\nquorum none\n", "taken"),
        ("log {log}\nwitness a {a}\ngroup a 1 a\nquorum a\n", "taken"),
        ("log {log}\nquorum a\nwitness a {a}\n", "not defined"),
        ("log {log}\ngroup g 1 a\nwitness a {a}\nquorum g\n", "not defined"),
        ("log {log}\ngroup g any none\nquorum g\n", "not defined"),
        ("log {log}\nwitness a {a}\ngroup g 1 a a\nquorum g\n", "already a member"),
        ("log {log}\nwitness a {a}\ngroup g 1 a\ngroup h 1 a\nquorum g\n", "already a member"),
        ("log {log}\nwitness a {a}\ngroup g any\nquorum g\n", "not a log, witness"),
        ("log {log}\nwitness a {a}\ngroup g 0 a\nquorum g\n", "threshold"),
        ("log {log}\nwitness a {a}\ngroup g 2 a\nquorum g\n", "threshold"),
        ("log {log}\nwitness a {a}\ngroup g 01 a\nquorum g\n", "threshold"),
        ("log {log}\nwitness a {a}\ngroup g ¹ a\nquorum g\n", "threshold"),
        ("log {log}\nwitness a {a}\ngroup g most a\nquorum g\n", "threshold"),
        ("log {log} url more\nquorum none\n", "not a log, witness"),
        ("log {log}\nquorum none # why not\n", "not a log, witness"),
        ("LOG {log}\nquorum none\n", "not a log, witness"),
        ("log {a}\nquorum none\n", "not an Ed25519 log key"),
        ("log {log}\nwitness a {log}\nquorum a\n", "not an ML-DSA-44 cosigner key"),
        ("log {log}\r\nquorum none\n", "control characters"),
        ("log {log}\nquorum none\n\x7f\n", "control characters"),
    ],
)
def test_a_policy_of_another_form_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(Malformed, match=complaint):
        parse_policy(text.replace("{log}", LOG).replace("{a}", W["DHA"]).replace("{b}", W["DEL"]))


def test_a_policy_beyond_the_limits_is_refused() -> None:
    with pytest.raises(Malformed, match="exceeds"):
        parse_policy("#" * MAX_POLICY_BYTES + "\n")
    keys = (VerifierKey("w", MLDSA44_COSIGNATURE, bytes([at]) * 1312).text for at in range(MAX_WITNESSES + 1))
    lines = [f"witness w{at} {key}" for at, key in enumerate(keys)]
    parse_policy("\n".join([f"log {LOG}", *lines[:-1], "quorum w0", ""]))
    with pytest.raises(Malformed, match="more than 64 witnesses"):
        parse_policy("\n".join([f"log {LOG}", *lines, "quorum w0", ""]))


@given(st.binary(max_size=100))
def test_any_bytes_are_a_policy_or_refused(data: bytes) -> None:
    for text in (data, b"log %s\n%s\nquorum none\n" % (LOG.encode(), data)):
        try:
            assert isinstance(parse_policy(text), Policy)
        except Malformed:
            continue


# --- the default ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("validators", "missions", "asked", "expected"),
    [
        (1, 0, 3, (1, 0)),
        (1, 1, 3, (1, 1)),
        (1, 3, 3, (1, 2)),
        (1, 5, 3, (1, 3)),
        (1, 6, 3, (1, 3)),
        (4, 40, 3, (3, 3)),
        (7, 40, 4, (5, 4)),
        (13, 69, 3, (9, 3)),
    ],
)
def test_the_default_policy(validators: int, missions: int, asked: int, expected: tuple[int, int]) -> None:
    codes = [f"{first}{second}X" for first in "ABCDEFGHI" for second in "ABCDEFGHI"]
    network = Witnesses(tuple(codes[:validators]), tuple(codes[validators : validators + missions]), asked)
    thresholds = {group.name: group.threshold for group in network.policy.quorum.groups}
    assert (thresholds["validators"], thresholds.get("missions", 0)) == expected
    assert thresholds.get("network", 2) == 2
    assert len(network.policy.witnesses) == validators + min(missions, 16)
    assert len(network.policy.logs) == validators


def test_a_mission_that_is_a_validator_is_named_once() -> None:
    keys = {code: NETWORK.cosigner_key(code) for code in NETWORK.cosigners}
    validators = {code: keys[code] for code in VALIDATORS}
    text = build_policy([NETWORK.log_key("DHA")], validators, keys, 3)
    assert list(parse_policy(text).witnesses) == [*sorted(VALIDATORS), *MISSIONS]


def test_a_policy_that_no_proof_could_carry_is_not_written() -> None:
    codes = tuple(f"A{letter}X" for letter in "ABCDEFGHIJKLMNOPQRST")
    with pytest.raises(Refused, match="at most 16"):
        Witnesses(codes[:13], codes[13:], 7).policy_text  # noqa: B018
