"""A client's request as a server has it: the head is read, the body may still be on its way.

There are two servers, our own for the inference routes (`gateway/server`) and aiohttp's for all else
and as its oracle; what answers a request knows neither.
"""

from __future__ import annotations

from typing import Protocol


class BodyTooLarge(Exception):
    """It is larger than `server.max_body_bytes`, decoded or not."""


class BodyBroken(Exception):
    """It could not be decoded as its head says."""


class Incoming(Protocol):
    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names as they were written, repeated ones repeated; bytes that are no UTF-8 as surrogates."""
        ...

    async def body(self) -> bytes:
        """The decoded body. Raises `BodyTooLarge` and `BodyBroken`."""
        ...
