from __future__ import annotations

from tests.gateway.api.serving import api

NAMES = ["coder", "sunny/large", "sunny/small", "bare/any"]
AUTH = {
    "clients": [{"name": "me", "key": "k", "routes": ["cod*", "bare/*"]}],
    "admin_key": "a",
}
ANTHROPIC = {"anthropic_version": "2023-06-01"}


async def test_routes_come_first_then_targets_in_the_sdk_s_shape() -> None:
    async with api() as a:
        _, found = await a.get("/v1/models")
        assert found["object"] == "list"
        assert [each["id"] for each in found["data"]] == NAMES
        assert {each["object"] for each in found["data"]} == {"model"}
        _, found = await a.get("/v1/models", **ANTHROPIC)
        assert [each["id"] for each in found["data"]] == NAMES
        assert (found["first_id"], found["last_id"]) == (NAMES[0], NAMES[-1])
        assert found["has_more"] is False


async def test_one_model_is_found_by_its_name_listed_or_not() -> None:
    async with api() as a:
        for name in ("coder", "sunny/large", "bare/unlisted", "bare/with/slashes"):
            status, found = await a.get(f"/v1/models/{name}")
            assert (status, found["id"], found["object"]) == (200, name, "model")
            status, found = await a.get(f"/v1/models/{name}", **ANTHROPIC)
            assert (status, found["type"]) == (200, "model")
        for name in ("codr", "sunny/unlisted", "nobody/large"):
            assert (await a.get(f"/v1/models/{name}"))[0] == 404


async def test_a_client_sees_only_what_it_may_use() -> None:
    async with api({"auth": AUTH}) as a:
        _, found = await a.get("/v1/models", x_api_key="k")
        assert [each["id"] for each in found["data"]] == ["coder", "bare/any"]
        assert (await a.get("/v1/models/bare/x", x_api_key="k"))[0] == 200
        assert (await a.get("/v1/models/sunny/large", x_api_key="k"))[0] == 404


async def test_strangers_are_refused_in_the_sdk_s_shape() -> None:
    async with api({"auth": AUTH}) as a:
        status, found = await a.get("/v1/models", x_api_key="wrong")
        assert (status, found["error"]["type"]) == (401, "authentication_error")
        status, found = await a.get("/v1/models", **ANTHROPIC)
        assert (status, found["error"]["type"]) == (401, "authentication_error")
    async with api() as a:
        assert (await a.get("/v1/models", host="evil.example"))[0] == 403


async def test_google_s_clients_get_their_own_shape_wherever_they_ask() -> None:
    async with api() as a:
        for path, headers in (
            ("/v1beta/models", {}),
            ("/v1alpha/models", {}),
            ("/v1/models", {"x_goog_api_client": "google-genai-sdk/3"}),
        ):
            status, found = await a.get(path, **headers)
            assert status == 200
            assert [each["name"] for each in found["models"]] == [f"models/{n}" for n in NAMES]
            status, found = await a.get(f"{path}/sunny/large", **headers)
            assert (status, found["name"]) == (200, "models/sunny/large")
            status, found = await a.get(f"{path}/nobody", **headers)
            assert (status, found["error"]["status"]) == (404, "NOT_FOUND")
