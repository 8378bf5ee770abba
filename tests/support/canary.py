"""Looking for what must not be there: in files, in every value of every database, under every usual coat."""

from __future__ import annotations

import base64
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import zstandard

_HEX = re.compile(rb"[0-9a-fA-F]{32,}")
_BASE64 = re.compile(rb"[0-9A-Za-z+/_-]{24,}")
_ZSTD = b"\x28\xb5\x2f\xfd"
_MOST_UNPACKED = 1 << 24
_SQLITE = b"SQLite format 3\x00"


def find(needles: Mapping[str, bytes], paths: Iterable[Path]) -> list[tuple[str, str]]:
    """(name of the needle, place) of everything found in these files, and in the files under these folders."""
    return [
        (name, place)
        for place, data in _haystacks(paths)
        for layer in _layers(data)
        for name, needle in needles.items()
        if needle in layer
    ]


def _haystacks(paths: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Each file as it is and, of a database, each value too: a long one lies on several pages."""
    for path in paths:
        if path.is_dir():
            yield from _haystacks(sorted(path.iterdir()))
            continue
        data = path.read_bytes()
        yield str(path), data
        if data.startswith(_SQLITE):
            yield from _values(path)


def _values(path: Path) -> Iterator[tuple[str, bytes]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.text_factory = bytes
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            rows = connection.execute(f'SELECT * FROM "{table.decode()}"')
            for row in rows:
                yield f"{path}:{table.decode()}", b"\n".join(one for one in row if isinstance(one, bytes))


def _layers(data: bytes) -> Iterator[bytes]:
    """The bytes, and what they say in hexadecimal, base64 (at every alignment) and zstandard."""
    yield data
    yield b"\n".join(bytes.fromhex(run[: len(run) & ~1].decode()) for run in _HEX.findall(data))
    yield b"\n".join(bytes.fromhex(run[1 : len(run) - 1 | 1].decode()) for run in _HEX.findall(data))
    yield b"\n".join(_from_base64(run[shift:]) for run in _BASE64.findall(data) for shift in range(4))
    yield b"\n".join(_unpacked(data[at.start() :]) for at in re.finditer(re.escape(_ZSTD), data))


def _from_base64(run: bytes) -> bytes:
    standard = run.replace(b"-", b"+").replace(b"_", b"/")
    whole = standard[:-1] if len(standard) % 4 == 1 else standard
    return base64.b64decode(whole + b"=" * (-len(whole) % 4))


def _unpacked(data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)[:_MOST_UNPACKED]
    except zstandard.ZstdError:
        return b""
