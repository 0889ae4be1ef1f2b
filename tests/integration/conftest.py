"""The two databases: SQLite always; PostgreSQL where its binaries are found, one cluster per
session (and per xdist worker), reached by a socket in a private folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from service_parts import (
    Made,
    add,
    analyse_once,
    open_test_runtime,
    put_made,
    work,
    write_procedure,
)

from sopilot.core.records import Role
from sopilot.jobs.records import JobState
from sopilot.runtime import Runtime, close_runtime
from sopilot.store.engine import Database, open_database

_PORT = 5432  # names the socket file only: nothing listens on the network


@dataclass(slots=True)
class Cluster:
    """A running PostgreSQL server that only this session uses."""

    socket_dir: Path
    process: subprocess.Popen[bytes]

    def run(self, *statements: str) -> None:
        """Run statements one by one, outside of a transaction."""
        with psycopg.connect(
            host=str(self.socket_dir),
            port=_PORT,
            user="postgres",
            dbname="postgres",
            autocommit=True,
        ) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def emptied(self) -> str:
        """The address of the database, after all it held and all who used it are gone.

        A new schema costs a tenth of a new database.
        """
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
            "DROP SCHEMA public CASCADE",
            "CREATE SCHEMA public",
        )
        return f"postgresql://postgres@/postgres?host={self.socket_dir}&port={_PORT}"


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    return Path(on_path).parent if on_path else None


def _not_run(reason: str) -> None:
    required = os.environ.get("SOPILOT_TEST_REQUIRE", "").split(",")
    if "postgres" in required:
        pytest.fail(f"postgres is required (SOPILOT_TEST_REQUIRE) but {reason}")
    pytest.skip(f"not run: postgres ({reason})")


def _account() -> tuple[list[str], int | None]:
    """Command prefix and user id of a non-root account: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return [], None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        ids = [f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
        return ["setpriv", *ids], entry.pw_uid
    pytest.fail("no account postgres or nobody to run PostgreSQL as")


def _start(binaries: Path, folder: Path) -> Cluster:
    prefix, user_id = _account()
    if user_id is not None:
        os.chown(folder, user_id, -1)
    data = folder / "data"
    subprocess.run(
        [
            *prefix,
            str(binaries / "initdb"),
            "-D",
            str(data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
    )
    # The server must not outlive the tests, even when those are killed.
    death = ["setpriv", "--pdeathsig=QUIT"] if shutil.which("setpriv") else []
    options = [
        "listen_addresses=",
        f"port={_PORT}",
        f"unix_socket_directories={folder}",
        "fsync=off",
        "full_page_writes=off",
        "max_connections=200",
        "shared_buffers=32MB",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *prefix,
                *death,
                str(binaries / "postgres"),
                "-D",
                str(data),
                *(part for option in options for part in ("-c", option)),
            ],
            stdout=log,
            stderr=log,
            cwd=folder,
        )
    cluster = Cluster(folder, process)
    deadline = time.monotonic() + 60
    while True:
        try:
            cluster.run("SELECT 1")
            return cluster
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise RuntimeError((folder / "log").read_text()) from None
            time.sleep(0.05)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """The cluster of this session; skips where there are no binaries."""
    binaries = _binaries()
    if binaries is None:
        _not_run("found neither /usr/lib/postgresql/*/bin/initdb nor initdb on PATH")
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="sopilot-pg-"))
    try:
        cluster = _start(binaries, folder)
        yield cluster
        cluster.process.send_signal(signal.SIGINT)  # fast shutdown
        cluster.process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a new empty database, once per kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'sopilot.db'}"
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    yield cluster.emptied()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open database of the present version, once per kind."""
    opened = open_database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def other(tmp_path: Path, database: Database, request: pytest.FixtureRequest) -> Iterator[Database]:
    """An open database of the other kind than `database`."""
    url = f"sqlite:///{tmp_path / 'other.db'}"
    if database.is_sqlite:
        url = request.getfixturevalue("postgres").emptied()
    opened = open_database(url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A procedure of three steps, and one with the last two exchanged; modules may have others."""
    folder = tmp_path_factory.mktemp("clips")
    orders = {"gold": (0, 1, 2), "swapped": (0, 2, 1)}
    return {k: write_procedure(folder / f"{k}.mp4", v, 5.0) for k, v in orders.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, clips: dict[str, Path]) -> list[Made]:
    """What `clips` are analysed into: the first as a gold, the second as a trainee."""
    wanted = [(clips["gold"], Role.GOLD), (clips["swapped"], Role.TRAINEE)]
    return analyse_once(tmp_path_factory.mktemp("made"), wanted)


@pytest.fixture
def runtime(
    tmp_path: Path, database_url: str, clips: dict[str, Path], made: list[Made]
) -> Iterator[Runtime]:
    """Gold 1 and trainee 2 are ready."""
    opened = open_test_runtime(tmp_path, database_url)
    put_made(opened, made)
    for name, role in (("gold", Role.GOLD), ("swapped", Role.TRAINEE)):
        assert work(opened, add(opened, clips[name], role).job.id).state is JobState.COMPLETED
    yield opened
    close_runtime(opened)
