"""Access tokens: one refresh for all who wait, ahead of their end, and an account's death is final."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config import OAuth
from gateway.events import Failure
from gateway.upstream.base import UpstreamFailure
from gateway.upstream.oauth import USER_AGENT, Accounts
from tests.fakes import FakeClock
from tests.gateway.upstream.accounts import REFRESH, TokenEndpoint, opened
from tests.upstream import Answer, ScriptedUpstream, empty, html

WAIT = 5.0


@pytest.fixture
async def endpoint(upstream: ScriptedUpstream) -> TokenEndpoint:
    return TokenEndpoint(upstream)


@pytest.fixture
async def held(clock: FakeClock, tmp_path: Path) -> AsyncIterator[Accounts]:
    async with opened(clock, tmp_path) as found:
        yield found


async def token(held: Accounts, account: OAuth, *, seconds: float = WAIT) -> str:
    return (await held.token(account, seconds=seconds)).reveal()


async def failure(held: Accounts, account: OAuth, *, seconds: float = WAIT) -> tuple[str, str]:
    with pytest.raises(UpstreamFailure) as caught:
        await held.token(account, seconds=seconds)
    assert not caught.value.processed
    return caught.value.failure.value, caught.value.reason


async def test_a_token_is_asked_for_as_the_standard_says(
    held: Accounts, endpoint: TokenEndpoint
) -> None:
    assert await token(held, endpoint.account()) == "access-1"
    assert endpoint.forms == [
        {
            "grant_type": "refresh_token",
            "refresh_token": REFRESH,
            "client_id": "client-1",
            "client_secret": "client-secret-1",
        }
    ]
    [hit] = endpoint.upstream.hits
    assert hit.method == "POST"
    assert hit.header("content-type") == "application/x-www-form-urlencoded"
    assert hit.header("user-agent") == USER_AGENT
    assert USER_AGENT.startswith("evenkeel/")


async def test_a_token_serves_until_its_end_and_all_requests_share_it(
    held: Accounts, endpoint: TokenEndpoint, clock: FakeClock
) -> None:
    account = endpoint.account()
    assert {await token(held, account) for _ in range(3)} == {"access-1"}
    await clock.advance(3299)
    assert await token(held, account) == "access-1"
    assert endpoint.asked == 1


async def test_many_who_wait_cause_one_refresh(held: Accounts, endpoint: TokenEndpoint) -> None:
    account, gate = endpoint.account(), asyncio.Event()
    endpoint.answer = Answer(json={"access_token": "late"}, before_headers=gate)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(token(held, account)) for _ in range(20)]
        await endpoint.upstream.until_hits(1)
        gate.set()
    assert {each.result() for each in waiting} == {"late"}
    assert endpoint.asked == 1


async def test_a_request_that_goes_away_leaves_the_refresh_to_the_others(
    held: Accounts, endpoint: TokenEndpoint
) -> None:
    account, gate = endpoint.account(), asyncio.Event()
    endpoint.answer = Answer(json={"access_token": "late"}, before_headers=gate)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(token(held, account))
        second = group.create_task(token(held, account))
        await endpoint.upstream.until_hits(1)
        first.cancel()
        await asyncio.sleep(0)
        gate.set()
    assert first.cancelled()
    assert second.result() == "late"
    assert endpoint.asked == 1


async def test_a_request_waits_no_longer_than_it_may_and_the_refresh_goes_on(
    held: Accounts, endpoint: TokenEndpoint
) -> None:
    account, gate = endpoint.account(), asyncio.Event()
    endpoint.answer = Answer(json={"access_token": "late"}, before_headers=gate)
    assert await failure(held, account, seconds=0.05) == ("connect", "token_timeout")
    gate.set()
    assert await token(held, account) == "late"
    assert endpoint.asked == 1


async def test_shortly_before_its_end_a_token_is_renewed_while_it_still_serves(
    held: Accounts, endpoint: TokenEndpoint, clock: FakeClock
) -> None:
    account = endpoint.account()
    await token(held, account)
    await clock.advance(3301)
    assert await token(held, account) == "access-1"
    await endpoint.upstream.until_hits(2)
    async with asyncio.timeout(WAIT):
        while await token(held, account) != "access-2":  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.01)
    assert endpoint.asked == 2


async def test_a_renewal_that_fails_early_costs_nobody_anything(
    held: Accounts, endpoint: TokenEndpoint, clock: FakeClock
) -> None:
    account = endpoint.account()
    await token(held, account)
    endpoint.answer = Answer(status=503, json={})
    await clock.advance(3301)
    assert {await token(held, account) for _ in range(5)} == {"access-1"}
    await endpoint.upstream.until_hits(2)
    assert endpoint.asked == 2
    await clock.advance(300)
    assert await failure(held, account) == ("connect", "token_endpoint")


@pytest.mark.parametrize(("given", "until"), [(100, 100), ("100", 100), (None, 3600), (-1, 3600)])
async def test_a_token_s_life_is_read_or_assumed(
    held: Accounts, endpoint: TokenEndpoint, clock: FakeClock, given: Any, until: float
) -> None:
    account, endpoint.expires_in = endpoint.account(), given
    await token(held, account)
    await clock.advance(until * 0.79)
    assert await token(held, account) == "access-1"
    await clock.advance(until * 0.22)
    assert await token(held, account) == "access-2"


async def test_a_refused_token_is_renewed_once_for_all(
    held: Accounts, endpoint: TokenEndpoint
) -> None:
    account = endpoint.account()
    old = await held.token(account, seconds=WAIT)
    held.refused(account, old)
    assert await token(held, account) == "access-2"
    held.refused(account, old)  # Somebody slower, who was refused with the same one.
    assert await token(held, account) == "access-2"
    assert endpoint.asked == 2


@pytest.mark.parametrize("code", ["invalid_grant", "invalid_client", "unauthorized_client"])
async def test_a_dead_account_is_not_asked_for_again(
    held: Accounts, endpoint: TokenEndpoint, code: str
) -> None:
    account = endpoint.account()
    endpoint.answer = Answer(status=400, json={"error": code, "error_description": "Revoked."})
    for _ in range(3):
        assert await failure(held, account) == ("auth", code)
    assert endpoint.asked == 1
    assert await failure(held, endpoint.account(client_id="other")) == ("auth", code)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=500, json={"error": "internal_failure"}),
        Answer(status=429, json={"error": "rate_limit_exceeded"}),
        Answer(status=400, json={"error": "temporarily_unavailable"}),
        Answer(status=302, headers={"location": "https://sign.in.example.com"}),
        Answer(json={"token": "none"}),
        Answer(json=[]),
        html(403),
        html(200),
        empty(),
        Answer(reset=True),
        Answer(cut_after=1, json={"access_token": "half of it"}),
    ],
)
async def test_an_endpoint_that_is_not_well_is_no_account_s_fault(
    held: Accounts, endpoint: TokenEndpoint, answer: Answer
) -> None:
    account, endpoint.answer = endpoint.account(), answer
    assert await failure(held, account) == ("connect", "token_endpoint")
    endpoint.answer = None
    assert (await token(held, account)).startswith("access-")


async def test_another_refusal_rests_the_account_and_is_not_final(
    held: Accounts, endpoint: TokenEndpoint
) -> None:
    account = endpoint.account()
    endpoint.answer = Answer(status=403, json={"error": "access_denied"})
    assert await failure(held, account) == (Failure.AUTH.value, "token_refused")
    endpoint.answer = None
    assert await token(held, account) == "access-2"


async def test_nobody_at_the_address_is_a_failed_connection(held: Accounts) -> None:
    account = OAuth(client_id="c", token_url="http://127.0.0.1:1/token")
    assert await failure(held, account) == ("connect", "token_endpoint")


async def test_a_rotated_refresh_token_is_used_from_then_on(
    held: Accounts, endpoint: TokenEndpoint
) -> None:
    account, endpoint.rotates = endpoint.account(), True
    for _ in range(3):
        held.refused(account, await held.token(account, seconds=WAIT))
    asked = [form["refresh_token"] for form in endpoint.forms]
    assert asked == [REFRESH, "refresh-token-2", "refresh-token-3"]


async def test_a_rotated_refresh_token_is_written_to_its_file(
    held: Accounts, endpoint: TokenEndpoint, tmp_path: Path
) -> None:
    file = tmp_path / "token.json"
    file.write_text(json.dumps({"refresh_token": REFRESH, "type": "authorized_user"}))
    account, endpoint.rotates = endpoint.account(token_file="token.json"), True
    assert await token(held, account) == "access-1"
    kept = json.loads(file.read_text())
    assert kept == {"refresh_token": "refresh-token-2", "type": "authorized_user"}
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_file_that_cannot_be_written_loses_no_token(
    held: Accounts, endpoint: TokenEndpoint, tmp_path: Path
) -> None:
    """The folder is gone between reading and writing: the token lives on in memory."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "token").write_text(REFRESH)
    account, gate = endpoint.account(token_file="secrets/token"), asyncio.Event()
    rotated = {"access_token": "access-1", "refresh_token": "refresh-token-2"}
    endpoint.answer = Answer(json=rotated, before_headers=gate)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(token(held, account))
        await endpoint.upstream.until_hits(1)
        (folder / "token").unlink()
        folder.rmdir()
        gate.set()
    assert waiting.result() == "access-1"


async def test_a_missing_file_is_said_and_a_new_one_is_taken_up(
    held: Accounts, endpoint: TokenEndpoint, tmp_path: Path
) -> None:
    account = endpoint.account(token_file="token")
    assert await failure(held, account) == ("auth", "token_file")
    (tmp_path / "token").write_text("first\n")
    endpoint.answer = Answer(status=400, json={"error": "invalid_grant"})
    for _ in range(2):
        assert await failure(held, account) == ("auth", "invalid_grant")
    assert endpoint.asked == 1
    endpoint.answer = None
    (tmp_path / "token").write_text("second\n")
    assert await token(held, account) == "access-2"
    assert endpoint.forms[1]["refresh_token"] == "second"


async def test_the_end_of_the_process_waits_for_no_refresh(
    clock: FakeClock, tmp_path: Path, endpoint: TokenEndpoint
) -> None:
    endpoint.answer = Answer(hang=True)
    async with asyncio.timeout(WAIT):
        async with opened(clock, tmp_path) as held:
            assert await failure(held, endpoint.account(), seconds=0.01) == (
                "connect",
                "token_timeout",
            )
        await endpoint.upstream.until_hits(1)
