"""Addresses in the configuration: what can be called; `is_loopback` is tried with the public bind."""

from __future__ import annotations

import pytest

from gateway.config_urls import url_fault


@pytest.mark.parametrize(
    "url",
    [
        "api.example.com",
        "ftp://example.com",
        "https://",
        "https://x:port/v1",
        "https://x:99999/",
        "https://[::1/v1",
        "https://a b/v1",
        "https://user:hunter2@example.com/v1",
        "https://example.com/v1?key=hunter2",
        "https://example.com/#hunter2",
        "\ud800",
    ],
)
def test_what_is_no_usable_address_is_refused_and_not_quoted(url: str) -> None:
    assert url_fault(url)
    assert "hunter2" not in url_fault(url)


@pytest.mark.parametrize("url", ["https://api.example.com/v1", "http://[::1]:80", "http://a_b/x"])
def test_usable_addresses_are_accepted(url: str) -> None:
    assert url_fault(url) == ""
