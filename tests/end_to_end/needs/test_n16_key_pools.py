"""N16: the whole pool is walked, dead keys are parked, repaired ones come back by themselves."""

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


@pytest.mark.parametrize("status", [401, 403, 429])
async def test_ten_keys_are_walked_once_and_the_dead_ones_left_alone(
    tmp_path: Path, status: int
) -> None:
    async with ScriptedUpstream() as a:
        for key in DEAD:
            a.default_by_key[f"k-{key}"] = openai_error(status, "refused")
        async with gateway(tmp_path, config(a)) as g:
            got = await g.client.chat()
            assert (got.status, got.headers["x-evenkeel-credential"]) == (200, "well")
            assert Counter(hit.key for hit in a.hits) == {f"k-{key}": 1 for key in [*DEAD, "well"]}
            assert (await g.client.chat()).status == 200
            assert [hit.key for hit in a.hits[10:]] == ["k-well"]


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
