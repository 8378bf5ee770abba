"""What every part of the store's transaction works with: tags for ids, sealed contents, one upsert."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects.sqlite import insert as upsert

from terminal.sealing import Sealer


class Rows:
    """Reads and writes rows whose ids are tags and whose contents are sealed, each for its own place."""

    def __init__(self, connection: Connection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    def _tag(self, *parts: str | bytes) -> bytes:
        return self._sealer.tag(*(part.encode() if isinstance(part, str) else part for part in parts))

    def _put(self, table: Table, key: dict[str, Any], values: dict[str, Any]) -> None:
        statement = upsert(table).values(**key, **values)
        self._connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))
