"""What the credentials of the dialect `code_assist` must hold: OAuth accounts of the operator's own.

Nothing is shipped for them, no client and no address: what is not written down is a problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.config import Dialect, OAuth, Provider
from gateway.config_urls import is_loopback, url_fault
from gateway.config_yaml import Problem

NOT_SHIPPED = "required: no OAuth client and no address is shipped; see docs/code-assist.md"


def problems(provider: Provider, path: str) -> Iterator[Problem]:
    """Of one provider, whatever its dialect."""
    if provider.dialect is not Dialect.CODE_ASSIST:
        for n, credential in enumerate(provider.credentials):
            if credential.oauth != OAuth():
                here = f"{path}.credentials[{n}].oauth"
                yield Problem(here, "only for the dialect 'code_assist'")
        return
    seen: dict[OAuth, str] = {}
    for n, credential in enumerate(provider.credentials):
        here = f"{path}.credentials[{n}]"
        if credential.key:
            yield Problem(f"{here}.key", "this dialect takes no key; give the account in `oauth`")
        elif credential.oauth in seen:
            yield Problem(f"{here}.oauth", f"is the same as that of {seen[credential.oauth]!r}")
        else:
            yield from _account(credential.oauth, f"{here}.oauth")
        seen.setdefault(credential.oauth, credential.name)


def terms(provider: Provider) -> Iterator[str]:
    """What whoever configures this dialect should know before anything is sent."""
    if provider.dialect is Dialect.CODE_ASSIST:
        yield (
            f"providers.{provider.name}: the terms of Code Assist forbid most programs but the "
            "vendor's own, and accounts have been closed for it; see docs/code-assist.md"
        )


def _account(oauth: OAuth, here: str) -> Iterator[Problem]:
    given = {
        "client_id": bool(oauth.client_id),
        "client_secret": bool(oauth.client_secret),
        "token_url": bool(oauth.token_url),
    }
    for name, there in given.items():
        if not there:
            yield Problem(f"{here}.{name}", NOT_SHIPPED)
    if bool(oauth.refresh_token) == bool(oauth.token_file):
        yield Problem(here, "needs either `refresh_token` or `token_file`")
    if oauth.token_url and (said := _token_url_fault(oauth.token_url)):
        yield Problem(f"{here}.token_url", said)


def _token_url_fault(url: str) -> str:
    """A refresh token is worth more than any key: it does not travel in the clear."""
    if url_fault(url):
        return "must be an https URL without a query, such as 'https://oauth2.example.com/token'"
    parts = urlsplit(url)
    if parts.scheme == "https" or is_loopback(parts.hostname or ""):
        return ""
    return "must be an https URL: a refresh token does not travel in the clear"
