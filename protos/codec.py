"""Frozen dataclasses to canonical bytes and back: the only place that touches protobuf messages.

A package's wire.py pairs each dataclass with its message type. Fields go by name; a repeated field is a tuple,
an absent sub-message is None where the dataclass allows it and else refused, a present one is a paired dataclass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeVar, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from protos import canonical
from protos.errors import Malformed

T = TypeVar("T")
Step = tuple[str, bool, bool, bool]  # field name, repeated, message, may be absent
Reader = Callable[[Any], object]


class Codec:
    """Encodes and decodes the dataclasses of one package. Only canonical bytes are accepted."""

    def __init__(self, pairs: Mapping[type[Any], type[Message]]) -> None:
        self._messages = dict(pairs)
        self._classes = {message.DESCRIPTOR.full_name: cls for cls, message in pairs.items()}
        self._plans = {cls: tuple(_steps(cls, message)) for cls, message in pairs.items()}
        self._readers: dict[type[Any], Reader] = {cls: self._reader(cls) for cls in pairs}

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

    def _to_message(self, value: object) -> Message:
        cls = type(value)
        message = self._messages[cls]()
        for name, repeated, nested, _ in self._plans[cls]:
            item = getattr(value, name)
            if repeated:
                getattr(message, name).extend([self._to_message(one) for one in item] if nested else item)
            elif not nested:
                setattr(message, name, item)
            elif item is not None:
                getattr(message, name).CopyFrom(self._to_message(item))
        return message

    def _reader(self, cls: type[Any]) -> Reader:
        """What makes a dataclass of a message: all fields at once, then the few that need more put right."""
        names = [field.name for field in fields(cls)]
        get = attrgetter(*names) if len(names) > 1 else _one_of(names)
        others = [(names.index(step[0]), *step) for step in self._plans[cls] if step[1] or step[2]]

        def read_plain(message: Any) -> object:
            return cls(*get(message))

        def read(message: Any) -> object:
            values = list(get(message))
            for place, name, repeated, nested, optional in others:
                if repeated:
                    values[place] = tuple(map(self._nested, values[place])) if nested else tuple(values[place])
                else:
                    values[place] = self._nested(values[place]) if _is_there(message, name, optional) else None
            return cls(*values)

        return read if others else read_plain

    def _nested(self, message: Message) -> object:
        return self._readers[self._classes[message.DESCRIPTOR.full_name]](message)


def _one_of(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda message: tuple(getattr(message, name) for name in names)


def _is_there(message: Message, name: str, optional: bool) -> bool:
    if message.HasField(name):
        return True
    if not optional:
        kind = message.DESCRIPTOR.name
        raise Malformed("missing-field", f"{kind} without {name}", what=kind, field=name)
    return False


def _steps(cls: type[Any], message: type[Message]) -> list[Step]:
    optional = {field.name for field in fields(cls) if "None" in str(field.type)}
    return [
        (field.name, field.is_repeated, field.type == FieldDescriptor.TYPE_MESSAGE, field.name in optional)
        for field in message.DESCRIPTOR.fields
    ]
