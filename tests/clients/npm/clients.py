"""The npm clients: how each is started against a gateway, and which of its tools is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.clients.answers import Call
from tests.clients.programs import NODE_MODULES, npm_program
from tests.clients.scenes import ROUTE, Ran, Scene

KEY = "a-key-of-the-client"


@dataclass(frozen=True, slots=True)
class Program:
    name: str
    package: str
    dialect: str
    """Of a provider that serves it without translation."""
    other: str
    """Of a provider that serves it by translation."""
    ask: Callable[[Scene, str], Coroutine[Any, Any, Ran]]
    calls: Callable[[Path], tuple[Call, ...]]
    """By the file to be read: the tools that read it; the client has one of them."""
    names_its_session: bool = False
    route: str = ROUTE


async def _claude(s: Scene, prompt: str) -> Ran:
    return await s.run(
        *(npm_program("claude"), "-p", prompt, "--model", ROUTE, "--allowedTools", "Read"),
        ANTHROPIC_BASE_URL=s.url,
        ANTHROPIC_AUTH_TOKEN=KEY,
        ANTHROPIC_DEFAULT_HAIKU_MODEL=ROUTE,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
    )


async def _codex(s: Scene, prompt: str) -> Ran:
    folder = s.home / "codex"
    folder.mkdir()
    (folder / "config.toml").write_text(
        f'model = "{ROUTE}"\nmodel_provider = "evenkeel"\n'
        '[model_providers.evenkeel]\nname = "evenkeel"\n'
        f'base_url = "{s.url}/v1"\nenv_key = "EVENKEEL_KEY"\nwire_api = "responses"\n'
    )
    return await s.run(
        npm_program("codex"),
        "exec",
        "--skip-git-repo-check",
        # Its sandbox needs rights that a container may not have; the folder is the test's own.
        "--dangerously-bypass-approvals-and-sandbox",
        prompt,
        CODEX_HOME=str(folder),
        EVENKEEL_KEY=KEY,
    )


async def _opencode(s: Scene, prompt: str) -> Ran:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{s.url}/v1", "apiKey": KEY},
        "models": {ROUTE: {}},
    }
    settings = {
        "provider": {"evenkeel": provider},
        "model": f"evenkeel/{ROUTE}",
        "autoupdate": False,
        "share": "disabled",
    }
    (s.folder / "opencode.json").write_text(json.dumps(settings))
    return await s.run(npm_program("opencode"), "run", prompt)


async def _gemini(s: Scene, prompt: str) -> Ran:
    folder = s.home / ".gemini"
    folder.mkdir()
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"disableAutoUpdate": True},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    return await s.run(
        *(npm_program("gemini"), "--skip-trust", "--approval-mode", "yolo"),
        *("-m", "gemini-2.5-flash", "-p", prompt),
        GOOGLE_GEMINI_BASE_URL=s.url,
        GEMINI_API_KEY=KEY,
    )


async def _ai_sdk(kind: str, s: Scene, prompt: str) -> Ran:
    script = Path(__file__).with_name("ai_sdk.mjs")
    environ = {"CLIENTS_FOLDER": str(NODE_MODULES.parent)}
    return await s.run("node", str(script), kind, s.url, ROUTE, prompt, **environ)


def _ai_sdk_calls(file: Path) -> tuple[Call, ...]:
    return (Call("read_file", {"path": str(file)}),)


def _codex_calls(_: Path) -> tuple[Call, ...]:
    return (
        Call("exec_command", {"cmd": "cat harbour.txt"}),
        Call("shell_command", {"command": "cat harbour.txt"}),
        Call("shell", {"command": ["cat", "harbour.txt"]}),
    )


PROGRAMS = (
    Program(
        "Codex CLI",
        "@openai/codex",
        "responses",
        "anthropic",
        _codex,
        _codex_calls,
        names_its_session=True,
    ),
    Program(
        "Claude Code",
        "@anthropic-ai/claude-code",
        "anthropic",
        "openai",
        _claude,
        lambda file: (Call("Read", {"file_path": str(file)}),),
        names_its_session=True,
    ),
    Program(
        "opencode",
        "opencode-ai",
        "openai",
        "anthropic",
        _opencode,
        lambda file: (Call("read", {"filePath": str(file)}),),
        names_its_session=True,
    ),
    Program(
        "Gemini CLI",
        "@google/gemini-cli",
        "gemini",
        "openai",
        _gemini,
        lambda file: (Call("read_file", {"file_path": str(file)}),),
        route="gemini-2.5-flash",
    ),
    Program(
        "AI SDK, openai (responses)",
        "@ai-sdk/openai",
        "responses",
        "anthropic",
        partial(_ai_sdk, "openai"),
        _ai_sdk_calls,
    ),
    Program(
        "AI SDK, openai-compatible (chat)",
        "@ai-sdk/openai-compatible",
        "openai",
        "anthropic",
        partial(_ai_sdk, "compatible"),
        _ai_sdk_calls,
    ),
    Program(
        "AI SDK, anthropic (messages)",
        "@ai-sdk/anthropic",
        "anthropic",
        "openai",
        partial(_ai_sdk, "anthropic"),
        _ai_sdk_calls,
    ),
)
