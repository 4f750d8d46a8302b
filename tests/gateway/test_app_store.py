from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.api.context import History, HistoryQuestionError, HistoryUnavailable
from gateway.app_background import background
from gateway.app_store import Store
from gateway.clock import SystemClock
from gateway.config import Storage
from gateway.delivery_parts import Sink
from gateway.events import RequestFinished, Switched
from storage.models import StorageError
from tests.storage.samples import batch, example

_SINK: type[Sink] = Store
_HISTORY: type[History] = Store


@asynccontextmanager
async def store_in(folder: Path) -> AsyncIterator[Store]:
    store = Store(Storage(), folder=folder)
    try:
        yield store
    finally:
        await store.close()


async def test_what_was_taken_can_be_asked_for(tmp_path: Path) -> None:
    async with store_in(tmp_path) as store:
        assert await store.open()
        assert await store.open()
        request = example(RequestFinished)
        await store.take(batch(request, example(Switched)))
        page = await store.page("events", filters={}, limit=10, order="asc", cursor=None)
        assert [each["kind"] for each in page["items"]] == ["request_finished", "switched"]
        assert await store.last_id() == 2
        step = await store.tail(1, filters={}, limit=10)
        assert [each["id"] for each in step["items"]] == [2]
        story = await store.request(request.request_id)
        assert story is not None
        assert story["request"]["request_id"] == request.request_id
        assert await store.request("nobody's") is None
        [pair] = await store.switch_pairs(filters={}, bucket_seconds=60)
        assert pair["switches"] == 1
        shown = store.store()
        assert shown["ok"] is True
        assert shown["path"] == str(tmp_path / "evenkeel.db")
        assert shown["bytes"] == store.bytes() > 4096


async def test_a_file_that_cannot_be_opened_is_tried_again_with_every_batch(
    tmp_path: Path,
) -> None:
    path = tmp_path / "evenkeel.db"
    path.mkdir()
    async with store_in(tmp_path) as store:
        assert not await store.open()
        assert "is a folder" in store.failed_to_open
        assert store.store()["ok"] is False
        for _ in range(2):
            with pytest.raises(StorageError, match="is a folder"):
                await store.take(batch(example(Switched)))
        with pytest.raises(HistoryUnavailable, match="is a folder"):
            await store.last_id()
        path.rmdir()
        await store.take(batch(example(Switched)))
        assert store.failed_to_open == ""
        assert await store.last_id() == 1


async def test_before_it_is_open_and_after_it_is_closed_the_history_is_away(tmp_path: Path) -> None:
    async with store_in(tmp_path) as store:
        with pytest.raises(HistoryUnavailable, match="not open"):
            await store.request("x")
        assert store.bytes() == 0
        await store.open()
        await store.close()
        await store.close()
        with pytest.raises(HistoryUnavailable):
            await store.page("events", filters={}, limit=1, order="asc", cursor=None)


@pytest.mark.parametrize(
    ("table", "filters", "limit", "order", "cursor"),
    [
        ("events", {"kin": "x"}, 1, "asc", None),
        ("nothing", {}, 1, "asc", None),
        ("events", {}, 0, "asc", None),
        ("events", {}, 1, "sideways", None),
        ("events", {}, 1, "asc", "strange"),
    ],
)
async def test_a_wrong_question_is_the_caller_s_fault(
    tmp_path: Path, table: str, filters: dict[str, str], limit: int, order: str, cursor: str | None
) -> None:
    async with store_in(tmp_path) as store:
        await store.open()
        with pytest.raises(HistoryQuestionError):
            await store.page(table, filters=filters, limit=limit, order=order, cursor=cursor)


async def test_a_relative_path_starts_at_the_configuration_s_folder(tmp_path: Path) -> None:
    storage = Storage(url="sqlite+aiosqlite:///data/own.db")
    store = Store(storage, folder=tmp_path)
    assert store.path == tmp_path / "data" / "own.db"
    assert not await store.open()
    assert "does not exist" in store.failed_to_open


async def test_deleting_that_is_stopped_in_its_midst_gives_the_writing_connection_back(
    tmp_path: Path,
) -> None:
    """There is one such connection, and the last events of a process still need it."""
    async with store_in(tmp_path) as store:
        await store.open()
        for turn in range(40):
            async with background() as tasks:
                tasks.run(store.keep_house(SystemClock()), name="house")
                for _ in range(turn):
                    await asyncio.sleep(0)
            async with asyncio.timeout(3):
                await store.take(batch(example(Switched)))
