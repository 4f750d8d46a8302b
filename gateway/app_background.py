"""Tasks with an owner: they live as long as the context they were begun in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager


class Background:
    """Tasks that live as long as the gateway: one that fails ends it, none outlives it."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: list[asyncio.Task[None]] = []

    def run(self, work: Coroutine[None, None, None], *, name: str) -> None:
        self._tasks.append(self._group.create_task(work, name=name))

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def background() -> AsyncIterator[Background]:
    group = asyncio.TaskGroup()
    await group.__aenter__()
    tasks = Background(group)
    try:
        yield tasks
    finally:
        tasks.stop()
        # None: an error of the body, such as a port in use, goes its own way and in no group.
        await group.__aexit__(None, None, None)
