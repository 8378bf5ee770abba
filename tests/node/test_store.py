from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, text

from ledger.entry import encode_leaf
from ledger.merkle import leaf_hash
from ledger.wire import BlockRecord
from node.store import log, tables
from node.store.database import Database, StoreFailed, sqlite_url
from node.store.log import SignState, StoredBlock
from node.store.tables import META, METADATA
from protos.errors import Malformed

Steps = list[tuple[int, int]]
FILL = """
import sys
from pathlib import Path
from ledger.merkle import leaf_hash
from node.store import log
from node.store.database import Database
store = Database.open_file(Path(sys.argv[1]))
for i in range(20):
    with store.write() as tx:
        log.set_meta(tx, f"a{i}", bytes(2000))
        log.set_meta(tx, f"b{i}", bytes(2000))
    print(i, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Database:
    return Database.open_file(tmp_path / "node" / "node.db")


def test_files_belong_to_their_owner_alone(store: Database, tmp_path: Path) -> None:
    with store.write() as tx:
        log.set_meta(tx, "x", b"y")
    assert (tmp_path / "node").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o077 for file in (tmp_path / "node").iterdir()} == {0}


def test_the_revision_named_beside_the_tables_is_the_newest_migration() -> None:
    from alembic.script import ScriptDirectory

    migrations = Path(tables.__file__).with_name("migrations")
    assert ScriptDirectory(str(migrations)).get_current_head() == tables.REVISION


def test_a_store_of_another_revision_is_migrated_not_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    Database.open_file(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of-the-future'")
    with pytest.raises(Malformed, match="newer program"):
        Database.open_file(path)


def test_migrations_make_exactly_the_schema_of_tables(store: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.read() as tx:
        assert compare_metadata(MigrationContext.configure(tx), METADATA) == []


def test_sqlite_runs_with_full_durability(store: Database) -> None:
    with store.read() as tx:
        assert tx.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert tx.execute(text("PRAGMA synchronous")).scalar() == 2
        assert tx.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_a_unit_that_raises_leaves_nothing(store: Database) -> None:
    with pytest.raises(ValueError), store.write() as tx:
        log.set_meta(tx, "half", b"done")
        raise ValueError
    with store.read() as tx:
        assert log.meta(tx, "half") is None


@given(st.lists(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4), max_size=6))
def test_blocks_read_back_as_units(tmp_path_factory: pytest.TempPathFactory, groups: list[list[bytes]]) -> None:
    store = Database(sqlite_url(tmp_path_factory.mktemp("log") / "node.db"))
    start, made = 0, []
    for group in groups:
        made.append(StoredBlock(start, tuple(group), bytes([len(made)]) * 32))
        start = made[-1].size
        with store.write() as tx:
            log.append_block(tx, made[-1])
    with store.read() as tx:
        assert list(log.all_blocks(tx)) == made
        assert log.log_size(tx) == start
        assert log.leaves(tx, 0, start) == tuple(leaf for group in groups for leaf in group)
        hashes = log.hashes(tx, 0, start)
        assert hashes == tuple(leaf_hash(leaf) for group in groups for leaf in group)
        assert all(log.index_of(tx, one) == hashes.index(one) for one in hashes)
    if made:
        with store.write() as tx:
            log.truncate(tx, made[-1].start)
            assert list(log.all_blocks(tx)) == made[:-1]
            assert log.leaves(tx, 0, start) == tuple(leaf for group in groups[:-1] for leaf in group)
    store.close()


def test_a_block_is_never_stored_twice(store: Database) -> None:
    block = StoredBlock(0, (b"a", b"b"), bytes(32))
    with store.write() as tx:
        log.append_block(tx, block)
    with pytest.raises(StoreFailed), store.write() as tx:
        log.append_block(tx, block)


def test_after_a_storage_error_nothing_more_is_done(store: Database) -> None:
    told: list[StoreFailed] = []
    store.on_failure(told.append)
    for _ in range(2):
        with pytest.raises(StoreFailed), store.write() as tx:
            tx.execute(text("SELECT * FROM nowhere"))
    assert len(told) == 1
    with pytest.raises(StoreFailed), store.read() as tx:
        tx.execute(select(META))


def test_sign_state_reads_back(store: Database) -> None:
    state = SignState(9, b"r" * 32, b"frontier", 1234, b"line")
    with store.write() as tx:
        log.save_sign_state(tx, "cosigner", SignState(3, b"q" * 32, b"", 1, b""))
        log.save_sign_state(tx, "cosigner", state)
    with store.read() as tx:
        assert log.sign_state(tx, "cosigner") == state
        assert log.sign_state(tx, "log") is None


def test_old_notes_are_forgotten_and_the_newest_kept(store: Database) -> None:
    with store.write() as tx:
        for size in range(1, 200):
            log.save_note(tx, log.POLICY, size, b"note %d" % size)
        log.save_note(tx, log.FINAL, 5, b"final")
    with store.read() as tx:
        assert log.newest_note(tx, log.POLICY) == (199, b"note 199")
        assert log.newest_note(tx, log.FINAL) == (5, b"final")
        assert tx.execute(text("SELECT count(*) FROM notes")).scalar() < 70


def test_each_posts_newest_cosignature_survives_forgetting(store: Database) -> None:
    with store.write() as tx:
        for post, size in [("DEL", 3), ("DEL", 7), ("WAS", 2), ("LON", 12)]:
            log.save_cosignature(tx, post, size, bytes(32), b"line")
        log.forget_cosignatures(tx, 10)
        assert [(post, size) for post, size, _, _ in log.cosignatures(tx)] == [("WAS", 2), ("DEL", 7), ("LON", 12)]
        assert log.newest_cosignature(tx, "DEL") == (7, bytes(32))
        assert log.newest_cosignature(tx, "PAR") is None


@pytest.mark.parametrize("url", ["nonsense", "nosuchdb://x/y", "sqlite+nosuch:///x"])
def test_an_unusable_url_is_named(url: str) -> None:
    with pytest.raises(Malformed) as caught:
        Database(url)
    assert caught.value.code == "bad-database"


def test_a_full_disk_is_said_in_a_sentence_and_keeps_what_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    Database.open_file(path).close()
    room = path.stat().st_size + 40_000
    run = subprocess.run(
        [sys.executable, "-c", FILL, str(path)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: (
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
        ),
    )
    done = [int(line) for line in run.stdout.split()]
    assert run.returncode == 1
    assert 0 < len(done) < 20
    assert "StoreFailed" in run.stderr.splitlines()[-1]
    with Database.open_file(path).read() as tx:
        assert all(log.meta(tx, f"{name}{i}") == bytes(2000) for i in done for name in "ab")


def test_a_full_database_is_said_in_a_sentence_and_the_unit_leaves_nothing(store: Database) -> None:
    with pytest.raises(StoreFailed) as caught, store.write() as tx:
        log.set_meta(tx, "before", b"x")
        tx.execute(text("PRAGMA max_page_count = 1"))  # SQLite answers as on a disk without room
        log.set_meta(tx, "large", bytes(1_000_000))
    assert caught.value.code == "disk-full"
    assert "free space" in caught.value.hint


def test_a_read_only_file_is_said_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    Database.open_file(path).close()
    store = Database(f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(StoreFailed) as caught, store.write() as tx:
        tx.execute(insert(META).values(name="x", value=b""))
    assert caught.value.code == "disk-read-only"


def test_a_file_that_is_no_database_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "node.db").write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(StoreFailed) as caught:
        Database.open_file(tmp_path / "node.db")
    assert caught.value.code == "store-damaged"


@pytest.mark.parametrize("point", [1, 2, 5, 6, 7, 8, 9, 23])
def test_killed_at_a_write_point_every_unit_is_whole_or_absent(tmp_path: Path, point: int) -> None:
    path = tmp_path / "node.db"
    Database.open_file(path).close()
    run = subprocess.run(
        [sys.executable, "-c", FILL, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DUTABARTA_FAIL_AT": str(point)},
    )
    assert run.returncode == -signal.SIGKILL
    done = {int(line) for line in run.stdout.split()}
    with Database.open_file(path).read() as tx:
        for i in range(20):
            kept = [log.meta(tx, f"{name}{i}") is not None for name in "ab"]
            assert kept[0] == kept[1]
            assert kept[0] or i not in done


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12), st.integers(-1, 40))
def test_the_last_block_before_a_time_is_found(
    tmp_path_factory: pytest.TempPathFactory, steps: Steps, time: int
) -> None:
    """`steps`: for each block its number of entries, and how much later than the one before it is."""
    store = Database.open_file(tmp_path_factory.mktemp("store") / "node.db")
    ends, start, at = [], 0, 0
    with store.write() as tx:
        for entries, later in steps:
            at += later
            leaves = (*(b"\x01%d" % (start + n) for n in range(entries)), encode_leaf(BlockRecord(at, (), bytes(32))))
            log.append_block(tx, log.StoredBlock(start, leaves, bytes(32)))
            start += len(leaves)
            ends.append((start, at))
        for size in range(start + 1):
            known = [end for end, when in ends if end <= size and when < time]
            assert log.end_before(tx, time, size) == max(known, default=0)
    store.close()
