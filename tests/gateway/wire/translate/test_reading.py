"""Foreign JSON."""

from __future__ import annotations

import pytest

from gateway.wire.translate.reading import from_url, json_object, quoted, to_url


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        (" ", {}),
        ("{oops", {"input": "{oops"}),
        ("[1]", {"input": [1]}),
        ("null", {"input": "null"}),
    ],
)
def test_arguments_are_an_object_whatever_a_model_wrote(given: str, expected: object) -> None:
    assert json_object(given) == expected


def test_a_lone_surrogate_can_be_written() -> None:
    assert quoted("a\ud83d") == b'"a?"'


@pytest.mark.parametrize("url", ["data:image/png;base64,AA", "https://x/y.png"])
def test_urls_there_and_back(url: str) -> None:
    assert to_url(from_url("image", url)) == url
