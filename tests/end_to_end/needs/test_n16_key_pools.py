"""N16: the whole pool is walked, dead keys are parked, repaired ones come back by themselves.

A key is asked twice in one request in one case only: its 429 said when the limit is over, nobody else
is left, and the request has waited for that end. Two refusals in a row are then a wrong statement.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from tests.end_to_end.gateways import gateway
from tests.upstream import Answer, ScriptedUpstream, openai_error

DEAD = [f"dead-{n}" for n in range(9)]
RECHECK_SECONDS = 1.0


def config(a: ScriptedUpstream) -> str:
    keys = ", ".join(f"{{name: {key}, key: k-{key}}}" for key in [*DEAD, "well"])
    return f"""
    providers:
      a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{keys}]}}
    routes:
      - {{name: coder, targets: [a/m]}}
    stability: {{max_attempts: 2, max_attempts_per_provider: 2, auth_base_seconds: {RECHECK_SECONDS}}}
    """


REFUSALS = {
    "401": openai_error(401, "refused"),
    "403": openai_error(403, "refused"),
    "429": openai_error(429, "refused"),
    "429 for a second": openai_error(429, "refused", headers={"retry-after": "1"}),
}


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_ten_keys_are_walked_once_and_the_dead_ones_left_alone(
    tmp_path: Path, refusal: str
) -> None:
    async with ScriptedUpstream() as a:
        for key in DEAD:
            a.default_by_key[f"k-{key}"] = REFUSALS[refusal]
        async with gateway(tmp_path, config(a)) as g:
            got = await g.client.chat()
            assert (got.status, got.headers["x-evenkeel-credential"]) == (200, "well")
            assert Counter(hit.key for hit in a.hits) == {f"k-{key}": 1 for key in [*DEAD, "well"]}
            assert (await g.client.chat()).status == 200
            assert [hit.key for hit in a.hits[10:]] == ["k-well"]


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_where_every_key_is_refused_none_is_asked_twice_in_a_row(
    tmp_path: Path, refusal: str
) -> None:
    """One is asked again at its stated end: the first to be ready, which is not the last one asked."""
    async with ScriptedUpstream() as a:
        a.default = REFUSALS[refusal]
        a.default_by_key["k-well"] = openai_error(429, "refused", headers={"retry-after": "60"})
        async with gateway(tmp_path, config(a)) as g:
            got = await g.client.chat()
            assert got.status in {429, 503}
            asked = [hit.key for hit in a.hits]
            assert asked[:10] == [f"k-{key}" for key in [*DEAD, "well"]]
            assert len(asked) == (11 if refusal == "429 for a second" else 10)
            for earlier, later in pairwise(asked):
                assert earlier != later
            again = [hit for hit in a.hits if hit.key == asked[-1]]
            assert again[-1].at - again[0].at >= (1.0 if len(asked) > 10 else 0.0)


async def test_a_repaired_key_is_used_again_and_the_record_says_how(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a:
        for key in DEAD:
            a.default_by_key[f"k-{key}"] = openai_error(401, "invalid_api_key")
        async with gateway(tmp_path, config(a)) as g:
            assert (await g.client.chat()).status == 200
            repaired = DEAD[4]
            a.default_by_key[f"k-{repaired}"] = Answer()
            await asyncio.sleep(RECHECK_SECONDS * 1.2 + 0.1)
            began = len(a.hits)
            async with asyncio.timeout(8.0):
                used = ""
                while used != repaired:
                    got = await g.client.chat()
                    assert got.status == 200
                    used = got.headers["x-evenkeel-credential"]
            ended = await g.client.all("events", kind="cooldown_ended", credential=repaired)
            assert [row["ended"] for row in ended] == ["expired"]
            [probe] = [
                row
                for row in await g.client.all("attempts", credential=repaired)
                if row["outcome"] == "ok"
            ]
            assert probe["probe"]
            # One dead key a request, and never the same one twice in a row.
            for earlier, later in pairwise(hit.key for hit in a.hits[began:]):
                assert earlier != later or earlier == "k-well"
