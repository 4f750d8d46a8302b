"""A PostgreSQL server for tests: its own files, its own socket, ended with the tests.

It refuses to run as root, so that root starts it as another user.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from time import sleep

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from storage.database import Database

USER = "postgres"
NUMBERS = count(1)
KEPT = 20
"""Databases a test may still be using."""
MEMORY = 2 * 1024**3


def binaries() -> Path | None:
    """The newest server's programs; None if there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    other = shutil.which("initdb")
    return Path(other).parent if other else None


@contextmanager
def postgres_server() -> Iterator[str]:
    """The beginning of its URLs: a database's name is to follow."""
    programs = binaries()
    if programs is None:
        message = "PostgreSQL is not installed: `make test-deps`"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        sys.stderr.write(f"\nSKIPPED: {message}\n")
        pytest.skip(message)
    folder = Path(mkdtemp(prefix="evenkeel-postgres-", dir=_quick()))
    data = folder / "data"
    prefix: list[str] = []
    if os.geteuid() == 0:
        prefix = ["runuser", "-u", USER, "--"]
        shutil.chown(folder, USER, USER)
    initdb: list[str | Path] = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        USER,
        "-A",
        "trust",
        "-N",
        "-E",
        "UTF8",
    ]
    subprocess.run([*prefix, *initdb], check=True, capture_output=True, cwd=folder, timeout=120)
    settings = ["-c", "listen_addresses=", "-c", "fsync=off", "-k", str(folder)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*prefix, programs / "postgres", "-D", data, *settings],
            stdout=log,
            stderr=log,
            cwd=folder,
        )
    try:
        _wait(folder, server, programs)
        yield f"postgresql+asyncpg://{USER}@/{{name}}?host={folder}"
    finally:
        pid = int((data / "postmaster.pid").read_text().split()[0])
        with suppress(ProcessLookupError):
            os.kill(pid, 2)  # Fast: ends sessions, then itself.
        server.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _quick() -> str | None:
    """Memory, where there is room for it: a test makes and forgets a database of 7 MB."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > MEMORY else None


def _wait(folder: Path, server: subprocess.Popen[bytes], programs: Path) -> None:
    for _ in range(300):
        if server.poll() is not None:
            break
        asked = subprocess.run([programs / "pg_isready", "-q", "-h", folder], check=False)
        if asked.returncode == 0:
            return
        sleep(0.1)
    pytest.fail((folder / "log").read_text())


async def _execute(folder: Path, statement: str) -> None:
    connection = await asyncpg.connect(host=str(folder), user=USER, database="postgres", timeout=5)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def locked(database: Database) -> AsyncIterator[None]:
    """Another process has the right to write, and keeps it."""
    if database.checkpoints is not None:
        other = sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)
        with closing(other):
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        return
    assert database.writer is not None
    engine = create_async_engine(database.writer.url)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("SELECT value FROM marks FOR UPDATE")
        yield
    await engine.dispose()


async def execute(database: Database, *statements: str) -> None:
    assert database.writer is not None
    async with database.writer.connect() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)
        await connection.commit()


async def new_database(server: str) -> str:
    """The URL of an empty database. One made long before it is gone: each is 300 files."""
    folder, number = Path(server.partition("host=")[2]), next(NUMBERS)
    name, old = (f"test{os.getpid()}_{each}" for each in (number, number - KEPT))
    await _execute(folder, f"CREATE DATABASE {name}")
    if number >= KEPT:
        await _execute(folder, f"DROP DATABASE IF EXISTS {old} WITH (FORCE)")
    return server.format(name=name)
