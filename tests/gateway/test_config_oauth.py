"""OAuth accounts in the configuration: what is missing is a problem, and nothing is taken for granted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway import config_file
from gateway.config import Config, Credential, Dialect, OAuth, Provider
from gateway.config_file import ConfigError
from gateway.config_oauth import NOT_SHIPPED
from gateway.config_rules import check, warn
from gateway.units import Secret

ACCOUNT = OAuth(
    client_id="client-1",
    client_secret=Secret("the-client-secret"),
    refresh_token=Secret("the-refresh-token"),
    token_url="https://oauth2.example.com/token",
    project="project-1",
)


def provider(*accounts: OAuth, **more: Any) -> Provider:
    credentials = tuple(
        Credential(name=f"account-{n}", key=Secret(""), oauth=each)
        for n, each in enumerate(accounts)
    )
    fields: dict[str, Any] = {
        "dialect": Dialect.CODE_ASSIST,
        "base_url": "https://code.example.com/v1internal",
        "credentials": credentials,
        **more,
    }
    return Provider(name="gemini_cli", **fields)


def lines(it: Provider) -> list[str]:
    config = Config(providers={it.name: it})
    return [f"{each.path}: {each.text}" for each in check(config, providers={it.name})]


def test_an_account_that_names_everything_is_sound() -> None:
    it = provider(ACCOUNT)
    assert lines(it) == []
    [said] = warn(Config(providers={it.name: it}))
    assert said.startswith("providers.gemini_cli: the terms of Code Assist forbid")
    assert (
        lines(provider(replace(ACCOUNT, refresh_token=Secret(""), token_file="token.json"))) == []
    )
    assert lines(provider(replace(ACCOUNT, token_url="http://127.0.0.1:1/token"))) == []


WHERE = "providers.gemini_cli.credentials[0].oauth"


@pytest.mark.parametrize(
    ("account", "said"),
    [
        (replace(ACCOUNT, client_id=""), f"{WHERE}.client_id: {NOT_SHIPPED}"),
        (replace(ACCOUNT, client_secret=Secret("")), f"{WHERE}.client_secret: {NOT_SHIPPED}"),
        (replace(ACCOUNT, token_url=""), f"{WHERE}.token_url: {NOT_SHIPPED}"),
        (
            replace(ACCOUNT, refresh_token=Secret("")),
            f"{WHERE}: needs either `refresh_token` or `token_file`",
        ),
        (
            replace(ACCOUNT, token_file="token.json"),
            f"{WHERE}: needs either `refresh_token` or `token_file`",
        ),
        (
            replace(ACCOUNT, token_url="http://oauth2.example.com/token"),
            f"{WHERE}.token_url: must be an https URL: "
            "a refresh token does not travel in the clear",
        ),
        (
            replace(ACCOUNT, token_url="https://user:word@oauth2.example.com/token"),
            f"{WHERE}.token_url: must be an https URL without a query, "
            "such as 'https://oauth2.example.com/token'",
        ),
    ],
)
def test_what_an_account_lacks_is_said(account: OAuth, said: str) -> None:
    assert lines(provider(account)) == [said]


def test_an_account_stands_in_one_credential_only() -> None:
    [said] = lines(provider(ACCOUNT, ACCOUNT))
    assert said == "providers.gemini_cli.credentials[1].oauth: is the same as that of 'account-0'"


def test_an_address_is_not_shipped_either() -> None:
    [said] = lines(provider(ACCOUNT, base_url=""))
    assert said.startswith("providers.gemini_cli.base_url: required")
    assert said.endswith("that ends in the version, such as /v1internal")


def test_accounts_and_keys_do_not_take_each_other_s_place() -> None:
    keyed = Credential(name="a", key=Secret("k"), oauth=ACCOUNT)
    [said] = lines(provider(credentials=(keyed,)))
    assert said.startswith("providers.gemini_cli.credentials[0].key: this dialect takes no key")
    openai = provider(credentials=(keyed,), dialect=Dialect.OPENAI, base_url="https://a.b/v1")
    assert lines(openai) == [f"{WHERE}: only for the dialect 'code_assist'"]


FILE = """
providers:
  gemini_cli:
    dialect: code_assist
    base_url: https://code.example.com/v1internal
    credentials:
      - name: mine
        oauth:
          client_id: client-1
          client_secret: ${SECRET}
          refresh_token: ${TOKEN}
          token_url: https://oauth2.example.com/token
"""


def test_a_file_s_account_is_read_and_its_secrets_are_masked() -> None:
    environ = {"SECRET": "the-client-secret", "TOKEN": "the-refresh-token"}
    config = config_file.parse(FILE, environ=environ)
    account = config.providers["gemini_cli"].credentials[0].oauth
    assert account == replace(ACCOUNT, project="")
    assert "the-" not in str(config_file.masked(config)) + repr(config)


def test_without_an_account_nothing_starts() -> None:
    text = "providers: {gemini_cli: {dialect: code_assist, base_url: 'https://a.example.com/v1'}}"
    with pytest.raises(ConfigError) as caught:
        config_file.parse(text, environ={"GEMINI_CLI_API_KEY": "key-that-is-none"})
    assert any("takes no key" in each for each in caught.value.problems)
    with pytest.raises(ConfigError) as caught:
        config_file.parse(text, environ={})
    assert any(NOT_SHIPPED in each for each in caught.value.problems)
