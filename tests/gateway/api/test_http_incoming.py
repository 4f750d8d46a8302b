"""What differs from a body that is there: `test_inference` reads those."""

from __future__ import annotations

import gzip

import aiohttp
from aiohttp import web

from gateway.api.http_incoming import HttpIncoming
from gateway.relay.incoming import BodyBroken, BodyTooLarge


async def test_a_body_that_cannot_be_had_says_why() -> None:
    seen: list[object] = []

    async def handle(request: web.Request) -> web.Response:
        incoming = HttpIncoming(request)
        try:
            seen.append(await incoming.body())
        except (BodyBroken, BodyTooLarge) as error:
            seen.append(type(error))
        return web.Response(headers={"x-seen": str(("X-A", "b") in incoming.headers)})

    app = web.Application(client_max_size=10)
    app.router.add_post("/", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url, zipped = f"http://127.0.0.1:{runner.addresses[0][1]}/", {"content-encoding": "gzip"}
    try:
        async with aiohttp.ClientSession() as http:
            for data, headers in (
                (b"0123456789", {}),
                (b"0123456789a", {}),
                (gzip.compress(b"0" * 11), zipped),
                (b"no gzip", zipped),
            ):
                async with http.post(url, data=data, headers={**headers, "X-A": "b"}) as response:
                    assert response.headers["x-seen"] == "True"
    finally:
        await runner.cleanup()
    assert seen == [b"0123456789", BodyTooLarge, BodyTooLarge, BodyBroken]
