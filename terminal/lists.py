"""The officer's distribution lists: names for several addressees, in this terminal only, expanded while he writes.

In addressees a list is `@NAME`. Others never learn its name: the cable says whom it meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from crypto_msg.bounds import MAX_ADDRESSEES
from crypto_msg.cable import is_name
from protos.errors import Malformed, Refused
from terminal.compose import Composition
from terminal.records import DistributionList
from terminal.session import Session

MARK = "@"
MAX_LISTS = 256
_NAME = re.compile(r"[\w][\w.-]{0,63}")


def add(session: Session, name: str, addressees: Iterable[str]) -> DistributionList:
    """Add post codes and collectives to a list, which is made if there is none.

    Raises `Malformed` ("bad-list-name", "bad-addressee", "too-many").
    """
    key, new = _checked_name(name), tuple(addressees)
    for one in new:
        if not is_name(one):
            hint = "Write a post's code, as DEL, or a collective, as ALL-MISSIONS."
            raise Malformed("bad-addressee", f"{one[:40]!r} is no post code or collective", hint=hint, name=one[:40])
    with session.store.transaction() as transaction:
        lists = {one.name: one.addressees for one in transaction.lists()}
        changed = DistributionList(key, tuple(dict.fromkeys((*lists.get(key, ()), *new))))
        _bound(len(changed.addressees), MAX_ADDRESSEES, "addressee")
        _bound(len({*lists, key}), MAX_LISTS, "distribution list")
        transaction.put_list(changed)
    return changed


def remove(session: Session, name: str, addressees: Iterable[str] = ()) -> DistributionList:
    """Take addressees off a list; without any named, or with the last one, the list goes. What is left of it.

    Raises `Refused` ("unknown-list", "not-on-list").
    """
    gone = tuple(addressees)
    with session.store.transaction() as transaction:
        known = _find(transaction.lists(), name)
        for one in gone:
            if one not in known.addressees:
                hint = "see `dutabarta cable lists show`"
                raise Refused("not-on-list", f"{one} is not on list {known.name}", hint=hint, post=one, name=known.name)
        left = replace(known, addressees=tuple(one for one in known.addressees if gone and one not in gone))
        if left.addressees:
            transaction.put_list(left)
        else:
            transaction.drop_list(left.name)
    return left


def show(session: Session, name: str = "") -> list[DistributionList]:
    """All lists by name, or that one. Raises `Refused` ("unknown-list")."""
    with session.store.transaction() as transaction:
        lists = transaction.lists()
    return [_find(lists, name)] if name else lists


def expanded(session: Session, composition: Composition) -> Composition:
    """The same with each `@NAME` among its addressees written out, once; who is to act is not informed as well.

    Raises `Refused` ("unknown-list").
    """
    if not any(one.startswith(MARK) for one in (*composition.to, *composition.info)):
        return composition
    lists = show(session)
    to, info = _written_out(lists, composition.to), _written_out(lists, composition.info)
    return replace(composition, to=to, info=tuple(one for one in info if one not in to))


def _written_out(lists: list[DistributionList], names: tuple[str, ...]) -> tuple[str, ...]:
    meant = (_find(lists, one).addressees if one.startswith(MARK) else (one,) for one in names)
    return tuple(dict.fromkeys(name for part in meant for name in part))


def _find(lists: list[DistributionList], name: str) -> DistributionList:
    key = _key(name)
    found = next((one for one in lists if one.name == key), None)
    if found is None:
        text, hint = f"this terminal has no distribution list {key[:64]!r}", "see `dutabarta cable lists show`"
        raise Refused("unknown-list", text, hint=hint, name=key[:64])
    return found


def _key(name: str) -> str:
    """Lists are found whatever the case, as addressees are."""
    return name.removeprefix(MARK).upper()


def _checked_name(name: str) -> str:
    key = _key(name)
    if not _NAME.fullmatch(key):
        hint = "Use letters, digits, '_', '.' and '-', at most 64."
        raise Malformed("bad-list-name", f"{key[:40]!r} cannot name a distribution list", hint=hint, name=key[:40])
    return key


def _bound(count: int, most: int, what: str) -> None:
    if count > most:
        hint = "Leave some out, or send a second cable."
        raise Malformed("too-many", f"{count} times {what}, at most {most}", hint=hint, what=what, limit=most)
