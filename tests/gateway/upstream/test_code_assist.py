"""Code Assist upstream: envelope out and in, one renewal for a refused token, our own name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Credential, Dialect, OAuth, Provider, Timeouts
from gateway.units import Secret
from gateway.upstream.base import Outgoing, UpstreamFailure
from gateway.upstream.code_assist import CodeAssistUpstream
from gateway.upstream.direct import DirectUpstream
from gateway.upstream.oauth import USER_AGENT
from tests.fakes import FakeClock
from tests.gateway.upstream.accounts import (
    TokenEndpoint,
    enveloped,
    events,
    gemini_answer,
    opened,
)
from tests.gateway.upstream.sending import read
from tests.upstream import Answer, Hit, ScriptedUpstream

ASKED = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CLIENT_HEADERS = (
    ("User-Agent", "GeminiCLI/0.61.0 (linux)"),
    ("x-goog-api-client", "google-genai-sdk/1.30.0"),
    ("x-goog-user-project", "somebody-else"),
    ("traceparent", TRACE),
)


@pytest.fixture
async def endpoint(upstream: ScriptedUpstream) -> TokenEndpoint:
    return TokenEndpoint(upstream)


@pytest.fixture
async def sender(
    clock: FakeClock, tmp_path: Path, endpoint: TokenEndpoint
) -> AsyncIterator[CodeAssistUpstream]:
    async with opened(clock, tmp_path) as held:
        yield CodeAssistUpstream(DirectUpstream(held.session), held)


def outgoing(account: OAuth, method: str = "generateContent", **more: Any) -> Outgoing:
    credential = Credential(name="mine", key=Secret(""), oauth=account)
    base_url = account.token_url.replace("/token", "/v1internal")
    fields: dict[str, Any] = {
        "provider": Provider(
            name="gemini_cli",
            dialect=Dialect.CODE_ASSIST,
            base_url=base_url,
            credentials=(credential,),
        ),
        "credential": credential,
        "model": "gemini-3-pro",
        "dialect": "gemini",
        "path": f"/v1beta/models/gemini-3-pro:{method}",
        "query": "alt=sse" if method.startswith("stream") else "",
        "headers": CLIENT_HEADERS,
        "body": json.dumps(ASKED).encode(),
        "stream": method.startswith("stream"),
        "timeouts": Timeouts(),
        "session": "laptop\nsession-1",
        **more,
    }
    return Outgoing(**fields)


def calls(endpoint: TokenEndpoint) -> list[Hit]:
    return [hit for hit in endpoint.upstream.hits if hit.path != "/token"]


async def test_a_request_goes_out_in_its_envelope_with_the_account_s_token(
    sender: CodeAssistUpstream, endpoint: TokenEndpoint
) -> None:
    endpoint.upstream.default = Answer(json=enveloped("Hello"))
    reply = await sender.send(outgoing(endpoint.account()))
    assert reply.status == 200
    assert json.loads(await read(reply)) == {**gemini_answer("Hello"), "responseId": "trace-1"}
    [hit] = calls(endpoint)
    assert (hit.method, hit.path, hit.query) == ("POST", "/v1internal:generateContent", "")
    assert hit.header("authorization") == "Bearer access-1"
    body = hit.json
    session = body["request"].pop("session_id")
    assert len(session) == 32
    assert "laptop" not in hit.body.decode()
    assert body == {
        "model": "gemini-3-pro",
        "project": "project-1",
        "user_prompt_id": "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "request": ASKED,
    }


async def test_the_gateway_names_itself_and_nobody_else(
    sender: CodeAssistUpstream, endpoint: TokenEndpoint
) -> None:
    endpoint.upstream.default = Answer(json={**enveloped("Hello"), "cloudaicompanionProject": "p"})
    await read(await sender.send(outgoing(endpoint.account(project=""))))
    assert len(endpoint.upstream.hits) == 3
    for hit in endpoint.upstream.hits:
        assert hit.header("user-agent") == USER_AGENT
        told = json.dumps(hit.headers) + hit.body.decode()
        assert not any(word in told for word in ("GeminiCLI", "genai", "somebody", "x-goog"))
    assert calls(endpoint)[-1].header("traceparent") == TRACE


async def test_a_stream_s_events_come_without_their_envelopes(
    sender: CodeAssistUpstream, endpoint: TokenEndpoint
) -> None:
    frames = events(enveloped("Hel"), enveloped("lo"))
    endpoint.upstream.default = Answer(chunks=frames, content_type="text/event-stream")
    reply = await sender.send(outgoing(endpoint.account(), "streamGenerateContent"))
    said = (await read(reply)).split(b"\n\n")
    texts = [json.loads(each.removeprefix(b"data: ")) for each in said if each]
    assert [each["candidates"][0]["content"]["parts"][0]["text"] for each in texts] == ["Hel", "lo"]
    [hit] = calls(endpoint)
    assert (hit.path, hit.query) == ("/v1internal:streamGenerateContent", "alt=sse")


async def test_counting_is_asked_in_its_own_form(
    sender: CodeAssistUpstream, endpoint: TokenEndpoint
) -> None:
    endpoint.upstream.default = Answer(json={"totalTokens": 7})
    reply = await sender.send(outgoing(endpoint.account(project=""), "countTokens"))
    assert json.loads(await read(reply)) == {"totalTokens": 7}
    [hit] = calls(endpoint)
    assert hit.path == "/v1internal:countTokens"
    assert hit.json == {"request": {"model": "models/gemini-3-pro", **ASKED}}


@pytest.mark.parametrize("method", ["embedContent", "batchEmbedContents", "predict"])
async def test_embeddings_are_not_offered_and_nobody_is_asked(
    sender: CodeAssistUpstream, endpoint: TokenEndpoint, method: str
) -> None:
    with pytest.raises(UpstreamFailure, match="bad_request: unsupported_endpoint"):
        await sender.send(outgoing(endpoint.account(), method))
    assert not endpoint.upstream.hits


async def test_a_refused_token_is_renewed_and_the_request_sent_once_more(
    sender: CodeAssistUpstream, endpoint: TokenEndpoint
) -> None:
    def decide(hit: Hit) -> Answer:
        good = hit.key == "access-2"
        return Answer(json=enveloped("Hello")) if good else Answer(status=401, json={"error": {}})

    endpoint.decide = decide
    reply = await sender.send(outgoing(endpoint.account()))
    assert reply.status == 200
    assert [hit.key for hit in calls(endpoint)] == ["access-1", "access-2"]
    bodies = [hit.body for hit in calls(endpoint)]
    assert bodies[0] == bodies[1]


async def test_a_second_refusal_is_the_answer(
    sender: CodeAssistUpstream, endpoint: TokenEndpoint
) -> None:
    endpoint.upstream.default = Answer(status=401, json={"error": {"message": "No, access-2."}})
    reply = await sender.send(outgoing(endpoint.account()))
    assert reply.status == 401
    assert b"No, ***." in await read(reply)
    assert len(calls(endpoint)) == 2
    assert endpoint.asked == 2


async def test_all_that_has_to_be_fetched_first_shares_one_clock(
    sender: CodeAssistUpstream, endpoint: TokenEndpoint
) -> None:
    def decide(hit: Hit) -> Answer:
        return Answer(status=401, json={}) if hit.key == "access-1" else Answer(hang=True)

    endpoint.decide = decide
    short = Timeouts(connect_seconds=0.2, headers_seconds=0.1)
    with pytest.raises(UpstreamFailure, match="first_content_timeout: headers_timeout"):
        await sender.send(outgoing(endpoint.account(), timeouts=short))
    endpoint.decide = lambda hit: Answer(hang=True)
    with pytest.raises(UpstreamFailure, match="first_content_timeout: headers_timeout"):
        await sender.send(outgoing(endpoint.account(project=""), timeouts=short))


async def test_an_account_that_died_meanwhile_is_told_as_that(
    sender: CodeAssistUpstream, endpoint: TokenEndpoint
) -> None:
    account = endpoint.account()
    endpoint.upstream.default = Answer(json=enveloped("Hello"))
    await read(await sender.send(outgoing(account)))
    endpoint.upstream.default = Answer(status=401, json={"error": {}})
    endpoint.answer = Answer(status=400, json={"error": "invalid_grant"})
    with pytest.raises(UpstreamFailure, match="auth: invalid_grant"):
        await sender.send(outgoing(account))


async def test_errors_come_as_they_are(sender: CodeAssistUpstream, endpoint: TokenEndpoint) -> None:
    error = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Slow down."}}
    endpoint.upstream.default = Answer(status=429, json=error, headers={"retry-after": "3"})
    for method in ("generateContent", "streamGenerateContent"):
        reply = await sender.send(outgoing(endpoint.account(), method))
        assert (reply.status, reply.headers["retry-after"]) == (429, "3")
        assert json.loads(await read(reply)) == error


async def test_the_project_is_asked_for_once_where_none_is_given(
    sender: CodeAssistUpstream, endpoint: TokenEndpoint
) -> None:
    def decide(hit: Hit) -> Answer:
        if hit.path.endswith(":loadCodeAssist"):
            return Answer(json={"cloudaicompanionProject": "found-1", "currentTier": {}})
        return Answer(json=enveloped("Hello"))

    endpoint.decide = decide
    account = endpoint.account(project="")
    for _ in range(2):
        await read(await sender.send(outgoing(account)))
    paths = [hit.path.rpartition(":")[2] for hit in calls(endpoint)]
    assert paths == ["loadCodeAssist", "generateContent", "generateContent"]
    assert {hit.json["project"] for hit in calls(endpoint)[1:]} == {"found-1"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(json={"ineligibleTiers": [{"reasonCode": "X"}]}), "auth: account_ineligible"),
        (Answer(json={"currentTier": {"id": "standard-tier"}}), "auth: project_unknown"),
        (Answer(status=403, json={}), "auth: project_refused"),
        (Answer(status=503, json={}), "connect: project_unknown"),
    ],
)
async def test_without_a_project_nothing_is_asked(
    sender: CodeAssistUpstream, endpoint: TokenEndpoint, answer: Answer, said: str
) -> None:
    endpoint.decide = lambda hit: answer
    with pytest.raises(UpstreamFailure, match=said):
        await sender.send(outgoing(endpoint.account(project="")))
    assert {hit.path for hit in calls(endpoint)} == {"/v1internal:loadCodeAssist"}


async def test_a_body_that_is_no_request_reaches_nobody(
    sender: CodeAssistUpstream, endpoint: TokenEndpoint
) -> None:
    with pytest.raises(UpstreamFailure, match="bad_request: not_json"):
        await sender.send(outgoing(endpoint.account(), body=b"[]"))
    assert not calls(endpoint)
