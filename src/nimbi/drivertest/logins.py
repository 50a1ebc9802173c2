"""What holds for logins: wrong ones are refused, and no secret is ever told."""

import traceback
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from nimbi.driver.capabilities import BY_ID
from nimbi.driver.interface import UserAndPassword
from nimbi.drivertest.access import opened
from nimbi.drivertest.conformance import Conformance
from nimbi.gateway.cloud import NEED_LOGIN, Cloud
from nimbi.model.errors import CloudError, Unauthorized, Unsupported

SECRET = "wr0ng-s3cret-of-a-test"

Open = Callable[[Any | None], AbstractAsyncContextManager[Cloud]]


class ConformsToLogins(Conformance):
    """A cloud that asks for no login overrides `open_as` by one that skips."""

    @pytest.fixture
    async def open_as(self, cloud: Cloud, tmp_path: Path) -> Open:
        """What opens the same cloud with other credentials, None being no login."""
        return lambda credentials: opened(
            cloud.driver, tmp_path / "another", credentials=credentials, provider=cloud.provider
        )

    @pytest.fixture
    async def wrong_login(self, cloud: Cloud) -> Any:
        """Credentials of nobody, with SECRET in them."""
        if cloud.driver.credentials is not UserAndPassword:
            pytest.skip(f"override `wrong_login` for the credentials of {cloud.driver.name}")
        return UserAndPassword(user="nobody", password=SECRET)

    async def test_the_right_login_is_verified(self, cloud: Cloud) -> None:
        await cloud.verify()

    async def test_a_wrong_login_is_unauthorized(self, open_as: Open, wrong_login: Any) -> None:
        with pytest.raises(Unauthorized):
            async with open_as(wrong_login) as stranger:
                await stranger.verify()

    async def test_a_missing_login_is_unauthorized(self, open_as: Open) -> None:
        with pytest.raises(Unauthorized):
            async with open_as(None) as stranger:
                await stranger.verify()

    async def test_a_missing_login_shows_no_list(self, cloud: Cloud, open_as: Open) -> None:
        for operation in NEED_LOGIN:
            if cloud.supports(operation) and "instances" in repr(operation).lower():
                with pytest.raises(Unauthorized):
                    async with open_as(None) as stranger:
                        await stranger.call(operation, None, 10)

    @pytest.mark.parametrize(
        ("user", "password"),
        [
            ("", ""),
            ("nobody", ""),
            ("ünïcödé", "☃"),
            ("x" * 10_000, "y" * 10_000),
            ("a\x00b", "\n"),
        ],
        ids=["empty", "no password", "unicode", "long", "control"],
    )
    async def test_an_odd_login_is_unauthorized(
        self, cloud: Cloud, open_as: Open, user: str, password: str
    ) -> None:
        if cloud.driver.credentials is not UserAndPassword:
            pytest.skip(f"{cloud.driver.name} has no user and password")
        with pytest.raises(Unauthorized):
            async with open_as(UserAndPassword(user=user, password=password)) as stranger:
                await stranger.verify()

    async def test_a_refusal_does_not_tell_the_secret(
        self, open_as: Open, wrong_login: Any
    ) -> None:
        with pytest.raises(CloudError) as refused:
            async with open_as(wrong_login) as stranger:
                await stranger.verify()
        told = "".join(traceback.format_exception(refused.value))
        assert SECRET not in told
        assert SECRET not in refused.value.message

    async def test_what_the_driver_lacks_is_unsupported(self, cloud: Cloud) -> None:
        for id, operation in BY_ID.items():
            if id not in cloud.operations:
                with pytest.raises(Unsupported) as refused:
                    await cloud.call(operation.function, "id")
                assert refused.value.capability == id
