from __future__ import annotations

import pytest

from gateway.api.access import Access, Bucket, RateExceeded, may_use
from gateway.config import Auth, Client
from gateway.units import Instant, Secret
from gateway.wire.base import ClientError

ONE = Client(name="one", key=Secret("key-one"))
SLOW = Client(name="slow", key=Secret("key-slow"), requests_per_minute=2)
KEYED = Access(Auth(clients=(ONE, SLOW), admin_key=Secret("key-admin")), host="127.0.0.1")
OPEN = Access(Auth(), host="gateway.lan")


def test_a_client_is_known_by_any_of_its_keys() -> None:
    assert KEYED.client(["key-one"]) is ONE
    assert KEYED.client(["of-somebody-else", "key-slow"]) is SLOW
    assert OPEN.client(["anything"]) is None
    assert OPEN.client([]) is None


@pytest.mark.parametrize("keys", [[], ["wrong"], ["key-admin"], ["KEY-ONE"], [" key-one"], ["é"]])
def test_another_key_is_refused(keys: list[str]) -> None:
    with pytest.raises(ClientError, match="does not know this API key") as caught:
        KEYED.client(keys)
    assert caught.value.status == 401
    assert not any(key in caught.value.message for key in keys)


def test_the_admin_key_is_no_client_key_and_the_reverse() -> None:
    KEYED.admin(["wrong", "key-admin"])
    OPEN.admin([])
    for keys in (["key-one"], []):
        with pytest.raises(ClientError) as caught:
            KEYED.admin(keys)
        assert (caught.value.status, caught.value.code) == (401, "invalid_admin_key")


def test_a_limit_is_refilled_evenly() -> None:
    bucket = Bucket(2, 2.0, Instant(0.0))
    assert [bucket.take(Instant(t)) for t in (0.0, 0.0)] == [0.0, 0.0]
    assert bucket.take(Instant(0.0)) == 30.0
    assert bucket.take(Instant(10.0)) == pytest.approx(20.0)
    assert bucket.take(Instant(30.0)) == 0.0
    assert bucket.take(Instant(30.0)) == pytest.approx(30.0)
    assert [bucket.take(Instant(1000.0)) for _ in range(2)] == [0.0, 0.0]
    assert bucket.take(Instant(1000.0)) > 0


def test_each_client_has_a_limit_of_its_own() -> None:
    access = Access(Auth(clients=(ONE, SLOW)), host="")
    for _ in range(100):
        access.spend(ONE, Instant(5.0))
    access.spend(SLOW, Instant(5.0))
    access.spend(SLOW, Instant(5.0))
    with pytest.raises(RateExceeded, match=r"'slow' may send 2 requests a minute") as caught:
        access.spend(SLOW, Instant(5.0))
    assert caught.value.retry_after_seconds == pytest.approx(30.0)
    assert caught.value.status == 429


@pytest.mark.parametrize(
    ("routes", "allowed", "refused"),
    [
        (("*",), ["coder", "a/b"], []),
        (("cod*", "a/*"), ["coder", "a/b/c"], ["writer", "b/a", "Coder"]),
        ((), [], ["coder"]),
    ],
)
def test_globs_say_what_a_client_may_ask_for(
    routes: tuple[str, ...], allowed: list[str], refused: list[str]
) -> None:
    client = Client(name="x", key=Secret("k"), routes=routes)
    assert [may_use(client, name) for name in allowed + refused] == [
        *(True for _ in allowed),
        *(False for _ in refused),
    ]
    assert all(may_use(None, name) for name in allowed + refused)


LOCAL = ["127.0.0.1", "127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:80", "a.localhost"]
LOCAL += ["gateway.lan", "gateway.lan:8080", "127.1.2.3"]
FOREIGN = ["evil.example", "10.0.0.1", "localhost.evil.example", "127.0.0.1.nip.io", "x@localhost"]


def test_without_keys_only_this_machine_s_names_are_served() -> None:
    for host in LOCAL:
        OPEN.guard_clients({"host": host})
        OPEN.guard_admin({"host": host})
    for host in FOREIGN:
        for guard in (OPEN.guard_clients, OPEN.guard_admin):
            with pytest.raises(ClientError) as caught:
                guard({"host": host})
            assert (caught.value.status, caught.value.code) == (403, "foreign_host")


@pytest.mark.parametrize(
    ("origin", "foreign"),
    [
        ("http://localhost:8080", False),
        ("http://LOCALHOST:8080", False),
        ("vscode-file://vscode-app", False),
        ("http://localhost:3000", True),
        ("https://evil.example", True),
        ("null", True),
    ],
)
def test_without_keys_pages_of_other_sites_stay_out(origin: str, *, foreign: bool) -> None:
    headers = {"host": "localhost:8080", "origin": origin}
    if not foreign:
        OPEN.guard_clients(headers)
        return
    with pytest.raises(ClientError) as caught:
        OPEN.guard_clients(headers)
    assert caught.value.code == "foreign_origin"


def test_with_keys_nobody_is_kept_out_by_name() -> None:
    KEYED.guard_clients({"host": "evil.example", "origin": "https://evil.example"})
    KEYED.guard_admin({"host": "evil.example", "origin": "null"})
    half = Access(Auth(clients=(ONE,)), host="127.0.0.1")
    half.guard_clients({"host": "evil.example"})
    with pytest.raises(ClientError):  # State and history are open then: to this machine only.
        half.guard_admin({"host": "evil.example"})
