"""Secrets and prompts are nowhere: not in logs, metrics, the database, answers or the state."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from tests.end_to_end.gateways import (
    ANTHROPIC_PATH,
    FILE,
    OPENAI_PATH,
    Client,
    anthropic,
    asked,
    client_of,
    openai,
    program,
    settings_of,
    write,
)
from tests.upstream import Answer, ScriptedUpstream

KEYS = ("Kd83hPq1ZxWm", "sk-proj-77aGhQ2LmZpT", "AIzaSyD9tWqPl3XnB")
CLIENT_KEY = "client-Zu71KmQwRt55"
STRANGER_KEY = "stranger-Pw93LxCvBn"
ADMIN_KEY = "admin-Yt64HgFdSa22"
QUERY_KEY = "query-Mn82BvCxZl"
PROMPT = "the-prompt-of-somebody"
ANSWER = "the-answer-to-somebody"
SECRETS = (*KEYS, CLIENT_KEY, STRANGER_KEY, ADMIN_KEY, QUERY_KEY)


def failures(key: str) -> list[Answer]:
    """Of a careless provider, that repeats in its errors whatever it was sent."""
    echo = f"Incorrect API key provided: {key}. You asked: {PROMPT}"
    error = {"error": {"message": echo}}
    return [
        *(Answer(status=status, json=error) for status in (400, 403, 404, 500)),
        Answer(status=401, json={"error": {"message": echo, "code": "invalid_api_key"}}),
        Answer(status=429, body=echo.encode(), headers={"retry-after": "1", "x-echo": "1"}),
        Answer(status=502, body=f"<html>{echo}</html>".encode(), content_type="text/html"),
        Answer(json=error),
        Answer(body=echo.encode()),
        Answer(cut_after=1, text=(ANSWER, ANSWER)),
        Answer(error_after=1, text=(ANSWER, ANSWER), error={"type": "api", "message": echo}),
        Answer(text=(ANSWER,), headers={"x-request-id": "req_1"}),
    ]


async def make_trouble(client: Client, upstreams: list[ScriptedUpstream]) -> list[bytes]:
    """Everything that clients were answered, where that is not the provider's own answer."""
    answers = []
    for stream in (False, True):
        for n, failure in enumerate(failures("")):
            if failure.error_after is not None and not stream:
                continue
            for upstream in upstreams:
                upstream.default_by_key = {key: failures(key)[n] for key in KEYS}
            for path in (OPENAI_PATH, ANTHROPIC_PATH):
                body = asked(path, "coder", stream=stream)
                body["messages"] = [{"role": "user", "content": PROMPT}]
                got = await client.post(f"{path}?key={QUERY_KEY}", body, cookie=CLIENT_KEY)
                answers.append(b"%r %b" % (dict(got.headers), got.body))
    wrong: tuple[object, ...] = (f'{{"model": "{PROMPT}'.encode(), {"x": PROMPT})
    answers += [(await client.post(OPENAI_PATH, body)).body for body in wrong]
    body = {"model": "coder", "messages": [PROMPT]}
    for headers in ({"authorization": f"Bearer {STRANGER_KEY}"}, {"authorization": STRANGER_KEY}):
        got = await client.post(OPENAI_PATH, body, **headers)
        assert got.status == 401
        answers.append(got.body)
    got = await client.get("/api/v1/status", authorization=f"Bearer {STRANGER_KEY}")
    return [*answers, got.body]


async def look_around(client: Client) -> list[bytes]:
    """What operators see."""
    pages = ["/metrics", "/readyz", "/healthz", "/api/v1/status", "/api/v1/config"]
    tables = ("events", "requests", "attempts", "switches", "cooldowns")
    pages += [f"/api/v1/{table}?limit=1000" for table in tables]
    pages += ["/api/v1/switches/aggregate"]
    found = []
    for page in pages:
        got = await client.get(page, authorization=f"Bearer {ADMIN_KEY}")
        assert got.status == 200, page
        found.append(got.body)
    attempts = json.loads(found[pages.index("/api/v1/attempts?limit=1000")])["items"]
    assert len(attempts) >= 20
    for attempt in attempts:
        story = f"/api/v1/requests/{attempt['request_id']}"
        found.append((await client.get(story, authorization=f"Bearer {ADMIN_KEY}")).body)
    return found


@pytest.mark.parametrize("log_format", ["console", "json"])
async def test_secrets_and_prompts_are_nowhere(tmp_path: Path, log_format: str) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        providers = {"a": openai(a), "b": anthropic(b)}
        for provider in providers.values():
            provider["credentials"] = [
                {"name": f"key-{n}", "key": key} for n, key in enumerate(KEYS)
            ]
        # Short rests, so that every key is tried with everything.
        names = ("rate_limited", "quota_exhausted", "auth", "breaker")
        stability = {f"{name}_base_seconds": 0.01 for name in names}
        settings = settings_of(
            providers,
            {"coder": ["a/model-a", "b/model-b"]},
            stability={**stability, "cooldown_min_seconds": 0.01, "cooldown_multiplier": 0.1},
            auth={"clients": [{"name": "me", "key": CLIENT_KEY}], "admin_key": ADMIN_KEY},
            telemetry={"log_format": log_format},
        )
        write(tmp_path, settings)
        arguments = ("serve", "--config", FILE, "--port", "0")
        async with program(tmp_path, *arguments, EVENKEEL_LOG_LEVEL="debug") as p:
            async with client_of(await p.url(), authorization=f"Bearer {CLIENT_KEY}") as client:
                told = await make_trouble(client, [a, b])
                seen = await look_around(client)
            kept = files(tmp_path)
            assert len(kept) >= 3  # The database, what has not reached it yet, and the log.
            p.signal()
            assert await p.ended() == 0
        kept += files(tmp_path)
        assert a.hits_by_key().keys() == b.hits_by_key().keys() == set(KEYS)
        for text in (*told, *seen, *kept):
            for secret in SECRETS:
                assert secret.encode() not in text, (secret, text[:2000])
        for text in (*seen, *kept):
            for words in (PROMPT, ANSWER):
                assert words.encode() not in text, (words, _around(text, words))
        assert b"attempt" in p.output.read_bytes()


def files(folder: Path) -> list[bytes]:
    """All that the process has written; what is gone by the time it is read holds nothing."""
    found = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            found.append(path.read_bytes() if path.name != FILE else b"")
    return found


def _around(text: bytes, words: str) -> bytes:
    place = text.find(words.encode())
    return text[max(0, place - 300) : place + 100]
