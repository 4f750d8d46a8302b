from __future__ import annotations

import pytest

from gateway.upstream.outgoing import request_headers, request_lines
from tests.gateway.upstream.sending import outgoing


def test_the_credential_and_the_encoding_are_added_and_spellings_are_one() -> None:
    sent = outgoing("http://h/v1", headers=(("X-A", "1"), ("x-a", "2")))
    assert request_headers(sent) == [
        ("X-A", "1"),
        ("X-A", "2"),
        ("Authorization", "Bearer key-1"),
        ("Accept-Encoding", "identity"),
    ]


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("version", ["", " ", "2023-06-01", "2026-10-21", "x"])
@pytest.mark.parametrize("key", ["", "key-1", "sk-ant-oat-1", "ya29.x"])
def test_both_clients_send_the_same_lines(dialect: str, version: str, key: str) -> None:
    own = (("Anthropic-Version", version), ("anthropic-version", "second")) if version else ()
    sent = outgoing(
        "http://h/v1", dialect=dialect, path="/x", key=key, headers=(("X-A", "1"), *own)
    )
    written = [line.split(": ", 1) for line in request_lines(sent).text.split("\r\n")[:-1]]
    assert len(written) == request_lines(sent).lines
    assert [(name.lower(), value) for name, value in written] == [
        (name.lower(), value) for name, value in request_headers(sent)
    ]
