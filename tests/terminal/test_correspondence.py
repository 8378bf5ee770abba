"""Replies, forwards and distribution lists, between terminals."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from crypto_msg.cable import RelationKind
from crypto_msg.wire import decode_draft
from ledger.bodies import PostRetired
from protos.errors import DutabartaError, Refused
from support.ministry import Ministry, Officers
from terminal import lists
from terminal.compose import Composition
from terminal.correspondence import addressed_posts, forward, reference_to, reply
from terminal.records import CableRecord
from terminal.terminal import Terminal

TEXT = "First.\n\n\nStill first? \u09a6\u09c2\u09a4\u09ac\u09be\u09b0\u09cd\u09a4\u09be\n\nLast.\n"


def composition(*to: str, **more: object) -> Composition:
    values = {"to": to, "precedence": 2, "classification": 3, "subject": "Trade", "text": TEXT, **more}
    return Composition(**values)  # type: ignore[arg-type]


def written(text: str = "Words.", *to: str, **more: object) -> Composition:
    return composition(*to, **{"precedence": 0, "classification": 0, "subject": "", "text": text, **more})


def received(terminal: Terminal) -> CableRecord:
    terminal.sync()
    return terminal.cables("in")[-1]


def pass_on(terminal: Terminal, composition: Composition) -> Composition:
    """The forward of what this terminal received last."""
    record = received(terminal)
    return forward(record, terminal.attachments(record), composition)


def names(addressees: object) -> list[str]:
    return [one.name for one in addressees]  # type: ignore[attr-defined]


def refused(act: object, *arguments: object) -> str:
    with pytest.raises(DutabartaError) as problem:
        act(*arguments)  # type: ignore[operator]
    return problem.value.code


def test_a_reply_goes_to_the_originator_and_names_what_it_answers(officer: Officers) -> None:
    sender, reader = officer("DHA"), officer("DEL")
    sent = sender.send(composition("DEL", info=("WAS",), caveats=("EYES ONLY",)))
    answer = reader.send(reply(received(reader), "DEL", written(references=("Note 7",))))
    draft = decode_draft(received(sender).draft)
    assert (names(draft.action), names(draft.info)) == (["DHA"], [])
    assert (draft.subject, draft.classification, draft.precedence) == ("RE: Trade", 3, 2)
    assert draft.caveats == ("EYES ONLY",) and draft.references == (reference_to(sent), "Note 7")
    assert [(one.kind, one.envelope_id) for one in draft.relations] == [(RelationKind.REPLIES, sent.envelope_id)]
    back = decode_draft(sender.send(reply(sender.find(answer.envelope_id), "DHA", written())).draft)
    assert back.subject == "RE: Trade"


def test_a_reply_to_all_reaches_whom_the_collective_meant(officer: Officers) -> None:
    sender, reader = officer("WAS"), officer("DEL")
    sender.send(composition("ALL-POSTS"))
    answer = reader.send(reply(received(reader), "DEL", written(info=("WAS",), precedence=1), everybody=True))
    draft = decode_draft(answer.draft)
    assert (names(draft.action), names(draft.info), draft.precedence) == (["WAS"], ["DHA"], 1)
    assert officer("DHA").sync().cables == 2


def test_only_what_was_received_is_answered(officer: Officers) -> None:
    sender = officer("DHA")
    assert refused(reply, sender.send(composition("DEL")), "DHA", written()) == "not-answerable"


def test_a_forward_carries_text_and_files_byte_for_byte(officer: Officers, tmp_path: Path) -> None:
    first, second = tmp_path / "one.pdf", tmp_path / "two.bin"
    first.write_bytes(secrets.token_bytes(10_000))
    second.write_bytes(b"cover")
    sent = officer("DHA").send(composition("DEL", files=(first,), caveats=("EYES ONLY",)))
    passed = officer("DEL")
    more = written("For your views.", "WAS", files=(second,), caveats=("NO COPIES",), classification=4)
    assert refused(passed.send, pass_on(passed, written("", "WAS", classification=2))) == "marking-lowered"
    drafted = passed.send(pass_on(passed, more))
    officer("DEL", "second").sync()
    officer("DEL", "second").release(drafted.cable_id)
    record = received(officer("WAS"))
    draft, original = decode_draft(record.draft), decode_draft(sent.draft)
    assert draft.paragraphs[0] == "For your views." and draft.paragraphs[1] == f"FWD {reference_to(sent)}"
    assert draft.paragraphs[2:] == original.paragraphs and draft.attachments[0] == original.attachments[0]
    assert officer("WAS").attachments(record) == (first.read_bytes(), b"cover")
    assert (draft.subject, draft.caveats) == ("FWD: Trade", ("EYES ONLY", "NO COPIES"))


def test_a_releaser_refuses_a_forward_that_was_changed(officer: Officers, monkeypatch: pytest.MonkeyPatch) -> None:
    officer("DHA").send(composition("DEL"))
    drafter, releaser = officer("DEL"), officer("DEL", "second")
    forged = pass_on(drafter, written("", "WAS"))
    releaser.sync()
    monkeypatch.setattr("terminal.writing.check_relations", lambda *_: None)
    drafted = drafter.draft(written("", "WAS", subject="x", precedence=2, classification=3, relations=forged.relations))
    monkeypatch.undo()
    releaser.sync()
    assert refused(releaser.release, drafted.cable_id) == "forward-changed"
    lower = pass_on(drafter, written("", "WAS", classification=1))
    monkeypatch.setattr("terminal.writing.check_relations", lambda *_: None)
    drafted = drafter.draft(lower)
    monkeypatch.undo()
    releaser.sync()
    assert refused(releaser.release, drafted.cable_id) == "marking-lowered"


def test_a_list_is_written_out_and_stays_here(officer: Officers) -> None:
    sender = officer("DHA")
    session = sender.session
    assert lists.add(session, "Neighbours", ("DEL", "WAS", "DEL")).addressees == ("DEL", "WAS")
    sent = sender.send(composition("WAS", "@neighbours", info=("@NEIGHBOURS",)))
    draft = decode_draft(sent.draft)
    assert (names(draft.action), draft.info) == (["WAS", "DEL"], ())
    assert b"NEIGHBOURS" not in session.folder.store_path.read_bytes()
    assert [one.name for one in lists.show(session)] == ["NEIGHBOURS"]
    assert lists.show(officer("DEL").session) == []


def test_a_list_shrinks_goes_and_is_missed_by_name(officer: Officers) -> None:
    session = officer("DHA").session
    lists.add(session, "@saarc", ("DEL", "ALL-MISSIONS"))
    assert lists.remove(session, "saarc", ("DEL",)).addressees == ("ALL-MISSIONS",)
    assert refused(lists.remove, session, "saarc", ("DEL",)) == "not-on-list"
    assert lists.remove(session, "SAARC").addressees == () and lists.show(session) == []
    assert refused(lists.show, session, "saarc") == "unknown-list"
    assert refused(officer("DHA").send, composition("@saarc")) == "unknown-list"
    assert refused(lists.add, session, "a b", ("DEL",)) == "bad-list-name"
    assert refused(lists.add, session, "saarc", ("DELHI-",) * 1 + ("d",)) == "bad-addressee"
    assert refused(lists.add, session, "saarc", tuple(f"A-{n:04}".translate(LETTERS) for n in range(257))) == "too-many"


LETTERS = str.maketrans("0123456789", "ABCDEFGHIJ")


def test_a_draft_keeps_the_collective_and_its_release_expands_it(ministry: Ministry, officer: Officers) -> None:
    """A mission that has left before the release is not meant any more."""
    drafter, releaser, reader = officer("DHA"), officer("DHA", "second"), officer("WAS")
    drafted = drafter.draft(composition("ALL-MISSIONS"))
    assert names(decode_draft(drafted.draft).action) == ["ALL-MISSIONS"]
    releaser.sync()
    ministry.govern("post-retired", PostRetired("DEL"))
    released = releaser.release(drafted.cable_id)
    assert released.posts == ("DHA", "WAS")
    record = received(reader)
    assert names(decode_draft(record.draft).action) == ["ALL-MISSIONS"]
    assert addressed_posts(record) == (("WAS",), ())
    with pytest.raises(Refused):
        drafter.send(composition("ALL-EMBASSIES"))
