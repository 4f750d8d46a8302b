from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import aiohttp
import pytest

from dashboards.receiver import Handler, lines

ALERT = {
    "status": "firing",
    "labels": {"alertname": "EvenkeelDown", "severity": "page"},
    "annotations": {"summary": "A gateway cannot be scraped", "runbook": "docs/runbooks.md#x"},
}
LINE = "firing page EvenkeelDown | A gateway cannot be scraped | docs/runbooks.md#x"


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/alerts"
        server.shutdown()
        thread.join()


def test_an_alert_is_one_line() -> None:
    assert list(lines({"alerts": [ALERT, {"status": "resolved"}]})) == [LINE, "resolved  "]
    assert list(lines({})) == []


async def test_what_is_posted_is_printed_and_nonsense_is_refused(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with aiohttp.ClientSession() as http:
        for body, status in ({"alerts": [ALERT]}, 200), ([1], 400):
            async with http.post(url, json=body) as response:
                assert response.status == status
    assert capsys.readouterr().out == LINE + "\n"
