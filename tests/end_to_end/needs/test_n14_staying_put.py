"""N14: a session keeps its key, on the fallback too; affinity never keeps it from being served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.end_to_end.gateways import OPENAI_PATH, Client, Got, gateway
from tests.upstream import ScriptedUpstream, openai_error

TURNS = 10
FOURTH = 3
LIMITED = openai_error(429, "rate_limit_exceeded", headers={"retry-after": "300"})


def config(a: ScriptedUpstream, rotation: str) -> str:
    keys = ", ".join(f"{{name: {key}, key: k-{key}}}" for key in ("one", "two", "three"))
    return f"""
    providers:
      a:
        dialect: openai
        base_url: {a.openai_url}
        credentials: [{keys}]
        rotation: {rotation}
    routes:
      - {{name: coder, targets: [a/m]}}
    """


async def turn(client: Client, session: str, number: int) -> Got:
    """Histories grow with each turn."""
    said = [{"role": "user", "content": f"turn {n} of {session}"} for n in range(number + 1)]
    body = {"model": "coder", "messages": said}
    got = await client.post(OPENAI_PATH, body, x_session_id=session)
    assert got.status == 200
    return got


def key(got: Got) -> str:
    return got.headers["x-evenkeel-credential"]


async def two_sessions_apart(client: Client) -> tuple[str, str]:
    """Two that begin on different keys; new sessions spread."""
    first = key(await turn(client, "s0", 0))
    for n in range(1, 50):
        if key(await turn(client, f"s{n}", 0)) != first:
            return "s0", f"s{n}"
    raise AssertionError("all sessions began on one key")


async def test_a_session_uses_one_key_and_leaves_it_once_for_one_other(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, gateway(tmp_path, config(a, "balanced")) as g:
        ours, other = await two_sessions_apart(g.client)
        used: dict[str, list[str]] = {ours: [], other: []}
        home = ""
        for number in range(1, TURNS):
            if number == FOURTH:
                home = used[ours][0]
                a.plan(LIMITED, key=f"k-{home}")
            for session in (ours, other):
                used[session].append(key(await turn(g.client, session, number)))
        assert len(set(used[other])) == 1
        before, after = used[ours][: FOURTH - 1], used[ours][FOURTH - 1 :]
        assert set(before) == {home}
        assert len(set(after)) == 1
        assert set(after) != {home}
        moved: list[dict[str, Any]] = await g.client.all("events", kind="session_moved")
        assert [(row["session"], row["move"]) for row in moved] == [(ours, "detour")]
        assert (moved[0]["from_credential"], moved[0]["to_credential"]) == (home, after[0])
        assert not await g.client.all("switches")  # The route's pointer has not moved.


async def test_a_session_without_an_id_is_known_by_how_it_begins(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, gateway(tmp_path, config(a, "balanced")) as g:
        for name in ("first", "second", "third"):
            said = [{"role": "user", "content": f"I am the {name}."}]
            used = set()
            for _ in range(6):
                got = await g.client.post(OPENAI_PATH, {"model": "coder", "messages": said})
                used.add(key(got))
                said += [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "?"}]
            assert len(used) == 1


async def test_on_the_fallback_a_session_does_not_wander(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b, ScriptedUpstream() as c:
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
          b: {{dialect: openai, base_url: {b.openai_url}, credentials: [{{name: one, key: k-b}}]}}
          c: {{dialect: openai, base_url: {c.openai_url}, credentials: [{{name: one, key: k-c}}]}}
        routes:
          - {{name: coder, targets: [a/m, b/m, c/m]}}
        """
        async with gateway(tmp_path, text) as g:
            assert (await turn(g.client, "s", 0)).provider == "a"
            a.default = openai_error(503, "server_is_overloaded")
            served = [(await turn(g.client, "s", n)).provider for n in range(1, TURNS)]
            assert served == ["b"] * (TURNS - 1)
            assert len(await g.client.all("events", kind="session_moved")) == 1
            assert len(await g.client.all("switches")) == 1
