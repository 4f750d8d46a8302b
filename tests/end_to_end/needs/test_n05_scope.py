"""N05: what rests is exactly what is to blame: a key for one model, a key, a model, a provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.gateways import Client, gateway
from tests.upstream import Answer, ScriptedUpstream, openai_error

LIMITED = openai_error(429, "rate_limit_exceeded")
PENNILESS = openai_error(402, "payment_required", "Your balance is exhausted.")


def config(a: ScriptedUpstream, keys: str, more: str = "") -> str:
    credentials = ", ".join(f"{{name: {key}, key: k-{key}}}" for key in keys.split())
    return f"""
    providers:
      a:
        dialect: openai
        base_url: {a.openai_url}
        credentials: [{credentials}]
        {more}
    routes:
      - {{name: coder, targets: [a/m1, a/m2]}}
      - {{name: other, targets: [a/m2]}}
    """


def asked(a: ScriptedUpstream) -> list[tuple[str, str]]:
    return [(hit.json["model"], hit.key.removeprefix("k-")) for hit in a.hits]


async def scopes(client: Client) -> list[tuple[str, str, str]]:
    rows = await client.all("cooldowns")
    return [(row["scope"], row["model"], row["credential"]) for row in rows if not row["route"]]


async def test_a_limit_on_one_model_leaves_the_key_to_the_others(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a:
        a.decide = lambda hit: LIMITED if hit.json["model"] == "m1" else None
        async with gateway(tmp_path, config(a, "one")) as g:
            got = await g.client.chat()
            assert (got.status, got.headers["x-evenkeel-model"]) == (200, "m2")
            assert got.headers["x-evenkeel-credential"] == "one"
            assert await scopes(g.client) == [("credential_model", "m1", "one")]


async def test_an_empty_account_is_not_rediscovered_model_by_model(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a:
        a.default_by_key["k-one"] = PENNILESS
        async with gateway(tmp_path, config(a, "one two")) as g:
            assert (await g.client.chat()).status == 200
            got = await g.client.chat("other")
            assert (got.status, got.headers["x-evenkeel-credential"]) == (200, "two")
            assert asked(a) == [("m1", "one"), ("m1", "two"), ("m2", "two")]
            assert await scopes(g.client) == [("credential", "", "one")]


async def test_models_that_share_a_quota_rest_together_and_the_others_do_not(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a:
        a.plan(LIMITED, key="k-one")
        more = "quota_groups: {both: [m1, m2]}"
        async with gateway(tmp_path, config(a, "one two", more)) as g:
            await g.client.chat()
            assert (await g.client.chat("other")).headers["x-evenkeel-credential"] == "two"
            assert (await g.client.chat("a/m3")).headers["x-evenkeel-credential"] == "one"
            assert await scopes(g.client) == [("quota_group", "both", "one")]


@pytest.mark.parametrize(
    ("answer", "scope"),
    [
        (openai_error(401, "invalid_api_key"), ("credential", "", "one")),
        (openai_error(404, "model_not_found", "No such model."), ("target", "m1", "")),
    ],
)
async def test_a_dead_key_and_a_missing_model_rest_alone(
    tmp_path: Path, answer: Answer, scope: tuple[str, str, str]
) -> None:
    async with ScriptedUpstream() as a:
        a.plan(answer)
        async with gateway(tmp_path, config(a, "one two")) as g:
            assert (await g.client.chat()).status == 200
            assert await scopes(g.client) == [scope]


async def test_an_operator_s_rule_may_blame_the_whole_provider(tmp_path: Path) -> None:
    """The provider throttles the gateway's address: neither another key nor another model helps."""
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        throttled = Answer(status=403, body=b"Too many requests from your address")
        a.default = throttled
        text = f"""
        providers:
          a:
            dialect: openai
            base_url: {a.openai_url}
            credentials: [{{name: one, key: k-one}}, {{name: two, key: k-two}}]
            errors:
              - {{status: 403, body: your address, failure: rate_limited, scope: provider}}
          b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
        routes:
          - {{name: coder, targets: [a/m1, a/m2, b/m]}}
        """
        async with gateway(tmp_path, text) as g:
            assert (await g.client.chat()).provider == "b"
            assert asked(a) == [("m1", "one")]
            assert await scopes(g.client) == [("provider", "", "")]
