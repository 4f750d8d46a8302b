from __future__ import annotations

from gateway.api.capture import ANSWER_BYTES_MAX, Overheard
from gateway.relay.answering import Answer, Headers

_ANSWER: type[Answer] = Overheard


class Client:
    """Implements `Answer`."""

    def __init__(self) -> None:
        self.got = b""
        self.calls: list[str] = []

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        self.calls.append(f"whole {status}")
        self.got += body

    async def begin(self, status: int, headers: Headers) -> None:
        self.calls.append(f"begin {status}")

    async def write(self, chunk: bytes) -> None:
        self.calls.append("write")
        self.got += chunk

    def put(self, chunk: bytes) -> bool:
        return False

    async def keep_alive(self, frame: bytes) -> None:
        self.calls.append("keep alive")

    async def end(self) -> None:
        self.calls.append("end")


async def test_everything_is_passed_on_and_the_beginning_remembered() -> None:
    client = Client()
    answer = Overheard(client)
    await answer.begin(200, [])
    for _ in range(3):
        await answer.write(b"x" * (ANSWER_BYTES_MAX // 2))
    await answer.end()
    assert client.calls == ["begin 200", "write", "write", "write", "end"]
    assert len(client.got) == 3 * (ANSWER_BYTES_MAX // 2)
    assert answer.heard == b"x" * ANSWER_BYTES_MAX


async def test_a_single_answer_is_one_piece() -> None:
    client = Client()
    answer = Overheard(client)
    await answer.whole(429, [], b"{}")
    assert (client.calls, client.got, answer.heard) == (["whole 429"], b"{}", b"{}")
