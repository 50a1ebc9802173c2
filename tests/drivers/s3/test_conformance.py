"""The driver s3 against the conformance suite, on moto."""

import pytest
from tests.drivers.s3.listed import TellsLess

from nimbi.drivertest import ConformsToBlobs, ConformsToBuckets, ConformsToDriver


class TestDriver(ConformsToDriver):
    @pytest.mark.skip("moto takes any login; those of other stores are looked at on Swift")
    async def test_a_wrong_login_is_unauthorized(self) -> None:
        """Not on moto."""


class TestBuckets(TellsLess, ConformsToBuckets):
    pass


class TestBlobs(TellsLess, ConformsToBlobs):
    pass
