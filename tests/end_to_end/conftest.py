from __future__ import annotations

import pytest

from tests.end_to_end.gateways import Settings
from tests.storage.servers import new_database


@pytest.fixture(params=["sqlite", "postgresql"])
async def storage(request: pytest.FixtureRequest) -> Settings:
    """The section of the configuration: a test that uses this runs on both kinds of database."""
    if request.param == "sqlite":
        return {}
    return {"url": await new_database(request.getfixturevalue("postgres"))}
