"""Taking secrets, keys and account names out of what providers say, before anyone sees it."""

from __future__ import annotations

import re

MASK = "***"
_WORD = r"(?:api[_ -]?key|key|token|secret|password|authorization|credentials?|signature)"
PRIVATE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), mask)
    for pattern, mask in (
        (r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+", MASK),
        (r"\b(bearer)\s+(?!(?:tokens?|auth\w*|scheme|header)\b)[^\s\"',;]+", rf"\1 {MASK}"),
        (r"\b(?:sk|pk|rk|csk|xai|nvapi|pplx)-[\w*.…-]*[\w*…]", MASK),
        (r"\b(?:gsk|hf|fw|ghp|gho|ghu|github_pat|tgp|r8)_\w{8,}", MASK),
        (r"\bAIza[\w*-]+|\bya29\.[\w.-]+|\bAKIA[0-9A-Z]{8,}|\beyJ[\w-]{8,}(?:\.[\w-]*)*", MASK),
        (rf"\b({_WORD}[\"']?=)[\"']?[^\s\"'&,;)}}]+", rf"\1{MASK}"),
        (rf"\b({_WORD}\b[^\w]{{1,4}}(?:\w+[^\w]{{1,4}}){{0,3}}?)[\w+/=-]{{32,}}", rf"\1{MASK}"),
        (r"(?<![\w-])[\w-]*\*{3,}[\w*-]*", MASK),  # What a provider left of a key it masked itself.
        (r"\borg-(?!(?:level|wide|specific|owned|scoped)\b)\w{4,}", MASK),
        (r"\b(?:user-|user_|org_)(?=[a-z]*[0-9])\w{8,}", MASK),
        (r"\b(?:proj|acct|wrkspc)_\w{4,}", MASK),
        (r"\b(projects?(?:/|[_ ]?(?:number|id)?[\s:=#'\"]{1,3}))[0-9]{5,}", rf"\1{MASK}"),
        (r"\barn:aws:[^\s\"',;)]+", MASK),
        (
            r"\b((?:organi[sz]ation|org|account|workspace|team|project|user)(?:[ _-]?id)?\W{1,4})"
            r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
            rf"\1{MASK}",
        ),
    )
)
"""What is masked wherever it stands. Request ids stay: support asks for them."""


def redact(text: str, *secrets: str) -> str:
    """`text` in one printable line without `secrets` and what looks like keys or accounts."""
    text = _printable(text)
    for secret in secrets:
        if shown := _printable(secret):
            text = text.replace(shown, MASK)
    for pattern, mask in PRIVATE:
        text = pattern.sub(mask, text)
    return text


def _printable(text: str) -> str:
    if not text.isprintable():  # Lone surrogates of JSON escapes are among the unprintable.
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())
