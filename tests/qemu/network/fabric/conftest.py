"""A world that nothing leaves, and the rungs of the ladder that this machine has."""

import os
from collections.abc import Iterator

import pytest
from tests.qemu.network.fabric import lab

from nimbi.qemu import Image
from nimbi.qemu.network.rungs import Rung


@pytest.fixture(scope="module")
def world(image: Image) -> Iterator[lab.World]:
    """Give a world of the tests' own, in place of this machine's network.

    The image is made before: its kernel may have to be fetched.
    """
    if os.geteuid() != 0:
        pytest.skip("making a world of one's own needs root")
    with lab.world() as made:
        yield made


@pytest.fixture(scope="module", params=[Rung.ROOT, Rung.USERNS])
def rung(request: pytest.FixtureRequest) -> Rung:
    found: Rung = request.param
    return found
