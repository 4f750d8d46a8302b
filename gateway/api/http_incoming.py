"""`Incoming` on aiohttp."""

from __future__ import annotations

from aiohttp import web

from gateway.relay.incoming import BodyBroken, BodyTooLarge, Incoming


class HttpIncoming:
    """Implements `Incoming`."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.headers = list(request.headers.items())

    async def body(self) -> bytes:
        try:
            return await self._request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise BodyTooLarge from error
        except web.RequestPayloadError as error:
            raise BodyBroken from error


_INCOMING: type[Incoming] = HttpIncoming
