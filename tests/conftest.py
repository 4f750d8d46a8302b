"""What tests of any room may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.fakes import FakeClock, ListEmitter
from tests.storage.servers import postgres_server
from tests.upstream import ScriptedUpstream


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server of its own for all tests, started with the first that asks for it."""
    with postgres_server() as server:
        yield server


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def emitter() -> ListEmitter:
    return ListEmitter()
