"""A token endpoint and a Code Assist server in one, played by the scripted upstream."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from gateway.config import OAuth
from gateway.units import Secret
from gateway.upstream.direct import open_session
from gateway.upstream.oauth import Accounts, accounts
from tests.fakes import FakeClock
from tests.upstream import Answer, Hit, ScriptedUpstream

REFRESH = "refresh-token-1"
TOKEN_PATH = "/token"


def gemini_answer(*texts: str, model: str = "gemini-3-pro") -> dict[str, Any]:
    """What stands in `response`."""
    parts = [{"text": text} for text in texts]
    content = {"role": "model", "parts": parts}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18},
        "modelVersion": model,
    }


def enveloped(*texts: str, **more: Any) -> dict[str, Any]:
    return {"response": gemini_answer(*texts), "traceId": "trace-1", **more}


def events(*values: Any) -> list[bytes]:
    return [b"data: " + json.dumps(each).encode() + b"\r\n\r\n" for each in values]


@dataclass
class TokenEndpoint:
    """Gives tokens `access-1`, `access-2`, …; what comes to other paths is left to `decide`."""

    upstream: ScriptedUpstream
    expires_in: Any = 3600
    rotates: bool = False
    answer: Answer | None = None
    """Instead of a token."""
    decide: Callable[[Hit], Answer | None] = lambda hit: None
    forms: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.upstream.decide = self._decide

    @property
    def asked(self) -> int:
        return len(self.forms)

    def account(self, **values: Any) -> OAuth:
        fields: dict[str, Any] = {
            "client_id": "client-1",
            "client_secret": Secret("client-secret-1"),
            "token_url": f"{self.upstream.url}{TOKEN_PATH}",
            "project": "project-1",
        }
        if "token_file" not in values:
            fields["refresh_token"] = Secret(REFRESH)
        return OAuth(**{**fields, **values})

    def _decide(self, hit: Hit) -> Answer | None:
        if hit.path != TOKEN_PATH:
            return self.decide(hit)
        self.forms.append({name: each[0] for name, each in parse_qs(hit.body.decode()).items()})
        if self.answer is not None:
            return self.answer
        given = {"access_token": f"access-{self.asked}", "expires_in": self.expires_in}
        if self.rotates:
            given["refresh_token"] = f"refresh-token-{self.asked + 1}"
        return Answer(json=given)


@asynccontextmanager
async def opened(clock: FakeClock, folder: Path) -> AsyncIterator[Accounts]:
    async with open_session() as session, accounts(session, clock=clock, folder=folder) as found:
        yield found
