from __future__ import annotations

from gateway.api.console import SECURITY
from tests.gateway.api.serving import api

FILES = {
    "index.html": (b"<html>", "text/html; charset=utf-8"),
    "app.js": (b"let a;", "text/javascript; charset=utf-8"),
}


async def test_the_page_and_its_files_are_served_with_their_policy() -> None:
    async with api(console=FILES) as a:
        for path, name in (("/", "index.html"), ("/console/app.js", "app.js")):
            async with a.http.get(a.url + path) as response:
                assert (response.status, await response.read()) == (200, FILES[name][0])
                assert response.headers["content-type"] == FILES[name][1]
                for header, value in SECURITY.items():
                    assert response.headers[header] == value


async def test_nothing_but_its_own_files_is_served() -> None:
    async with api(console=FILES) as a:
        for path in ("/console/other.js", "/console/..%2Fapp.js", "/console/", "/app.js"):
            status, body = await a.get(path)
            assert (status, body["error"]["code"]) == (404, "not_found")
