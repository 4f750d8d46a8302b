from __future__ import annotations

from typing import Any

import pytest

from gateway.routing.quota import remaining_share


@pytest.mark.parametrize(
    ("headers", "share"),
    [
        ({}, None),
        ({"x-ratelimit-remaining-requests": "5"}, None),
        ({"x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "0"}, None),
        ({"x-ratelimit-limit-tokens": "many", "x-ratelimit-remaining-tokens": "5"}, None),
        ({"x-ratelimit-limit-tokens": "nan", "x-ratelimit-remaining-tokens": "5"}, None),
        (
            {
                "x-ratelimit-limit-requests": "500",
                "x-ratelimit-remaining-requests": "499",
                "x-ratelimit-limit-tokens": "1000",
                "x-ratelimit-remaining-tokens": "250",
            },
            0.25,
        ),
        (
            {
                "anthropic-ratelimit-input-tokens-limit": "40000",
                "anthropic-ratelimit-input-tokens-remaining": "0",
            },
            0.0,
        ),
        (
            {
                "anthropic-ratelimit-unified-5h-utilization": "0.1",
                "anthropic-ratelimit-unified-7d-utilization": "1.02",
            },
            0.0,
        ),
        ({"anthropic-ratelimit-unified-5h-utilization": "0.25"}, 0.75),
    ],
)
def test_the_scarcest_limit_counts(headers: dict[str, str], share: Any) -> None:
    assert remaining_share(headers) == share
