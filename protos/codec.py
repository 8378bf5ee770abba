"""Frozen dataclasses to canonical bytes and back: the only place that touches protobuf messages.

A package's wire.py pairs each dataclass with its message type. Fields go by name; a repeated field is a tuple,
an absent sub-message is None where the dataclass allows it and else refused, a present one is a paired dataclass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar, cast

from google.protobuf.message import Message

from protos import canonical
from protos.errors import Malformed

T = TypeVar("T")
Reader = Callable[[Any], Any]


class Codec:
    """Encodes and decodes the dataclasses of one package. Only canonical bytes are accepted."""

    def __init__(self, pairs: Mapping[type[Any], type[Message]]) -> None:
        self._messages = dict(pairs)
        self._readers: dict[type[Any], Reader] = {}
        self._plans: dict[type[Any], list[_Field]] = {}
        classes = {message.DESCRIPTOR.full_name: cls for cls, message in pairs.items()}
        for cls in pairs:
            self._add(cls, classes)

    def encode(self, value: object) -> bytes:
        """The canonical bytes of a dataclass of this package. Raises `Malformed` for a value its field cannot hold."""
        try:
            return canonical.encode(self._to_message(value))
        except ValueError as problem:  # an integer out of range, a string with lone surrogates
            what = type(value).__name__
            raise Malformed("not-encodable", f"a field of {what} cannot hold its value", what=what) from problem

    def decode(self, cls: type[T], data: bytes, *, limit: int) -> T:
        """A dataclass from canonical bytes of at most `limit` bytes. Raises `Malformed`."""
        message = canonical.decode(self._messages[cls], data, limit=limit)
        return cast(T, self._readers[cls](message))

    def _add(self, cls: type[Any], classes: Mapping[str, type[Any]]) -> None:
        """Plan how a class is written and read, its sub-messages' classes first."""
        if cls in self._plans:
            return
        optional = {field.name for field in fields(cls) if "None" in str(field.type)}
        plan = []
        for field in self._messages[cls].DESCRIPTOR.fields:
            read = None
            if field.message_type is not None:
                sub = classes[field.message_type.full_name]
                self._add(sub, classes)
                read = self._readers[sub]
            plan.append(_Field(field.name, field.is_repeated, field.name in optional, read))
        self._plans[cls] = plan
        self._readers[cls] = _reader(cls, plan)

    def _to_message(self, value: object) -> Message:
        cls = type(value)
        message = self._messages[cls]()
        for name, repeated, _, read in self._plans[cls]:
            item = getattr(value, name)
            if repeated:
                getattr(message, name).extend(item if read is None else [self._to_message(one) for one in item])
            elif read is None:
                setattr(message, name, item)
            elif item is not None:
                getattr(message, name).CopyFrom(self._to_message(item))
        return message


class _Field(NamedTuple):
    """A field of a message. `optional`: its sub-message may be absent; `read` reads that, and is None for a scalar."""

    name: str
    repeated: bool
    optional: bool
    read: Reader | None


def _reader(cls: type[Any], plan: list[_Field]) -> Reader:
    """What makes a dataclass of its message: all fields at once, then lists and sub-messages put right."""
    names = [field.name for field in fields(cls)]
    get = attrgetter(*names) if len(names) > 1 else lambda message: (getattr(message, names[0]),)
    lists = [(names.index(one.name), _tuple_of(one.read)) for one in plan if one.repeated]
    subs = [(names.index(one.name), one.name, one.optional, one.read) for one in plan if one.read and not one.repeated]

    def read_plain(message: Any) -> object:
        return cls(*get(message))

    def read(message: Any) -> object:
        values = list(get(message))
        for place, as_tuple in lists:
            values[place] = as_tuple(values[place])
        for place, name, optional, read_sub in subs:
            values[place] = read_sub(values[place]) if _is_there(message, name, optional) else None
        return cls(*values)

    return read if lists or subs else read_plain


def _tuple_of(read: Reader | None) -> Reader:
    return tuple if read is None else lambda messages: tuple([read(one) for one in messages])


def _is_there(message: Message, name: str, optional: bool) -> bool:
    if message.HasField(name):
        return True
    if not optional:
        kind = message.DESCRIPTOR.name
        raise Malformed("missing-field", f"{kind} without {name}", what=kind, field=name)
    return False
