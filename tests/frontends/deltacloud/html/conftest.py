import pytest

from nimbi.driver.capabilities import BY_ID
from nimbi.frontends.deltacloud.html.view import PageView

BASE = "http://127.0.0.1:3001"


@pytest.fixture
def view() -> PageView:
    """A driver that can do everything, chosen by matrix parameters."""
    return PageView(
        base_url=BASE,
        path="/api/instances?realm_id=us",
        driver="mock",
        operations=frozenset(BY_ID),
        features=frozenset({"instances.user_name", "instances.user_data", "keys.import_key"}),
        request_id="req-1",
        user="mockuser",
        root="/api;driver=mock",
    )


@pytest.fixture
def bare() -> PageView:
    """A driver that can only list and show."""
    reads = frozenset(id for id in BY_ID if id.endswith((".page", ".get")))
    return PageView(base_url=BASE, path="/api", driver="bare", operations=reads)
