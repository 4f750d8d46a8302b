from __future__ import annotations

from gateway.upstream.outgoing import request_headers
from tests.gateway.upstream.sending import outgoing


def test_the_credential_and_the_encoding_are_added_and_spellings_are_one() -> None:
    sent = outgoing("http://h/v1", headers=(("X-A", "1"), ("x-a", "2")))
    assert request_headers(sent) == [
        ("X-A", "1"),
        ("X-A", "2"),
        ("Authorization", "Bearer key-1"),
        ("Accept-Encoding", "identity"),
    ]
