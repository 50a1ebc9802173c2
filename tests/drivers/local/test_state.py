"""A state directory that can't be used: told to clients without its place, and left alone."""

import json
from pathlib import Path

import pytest

from nimbi.drivers.local import DRIVER
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.model.errors import CloudUnavailable


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """Give a directory of the local cloud that a newer program has written."""
    root = tmp_path / "local"
    root.mkdir()
    (root / "schema.json").write_text(json.dumps({"version": 1000}))
    return root


def names(root: Path) -> list[str]:
    return [path.name for path in root.iterdir()]


async def test_a_state_of_a_newer_version_is_refused_and_left_alone(
    newer: Path, tmp_path: Path
) -> None:
    clouds = Clouds(Registry({"local": DRIVER}), {}, tmp_path)
    try:
        with pytest.raises(CloudUnavailable, match="written by a newer Nimbi") as refused:
            async with clouds.use("local", None, None):
                pass
    finally:
        await clouds.aclose()
    assert str(tmp_path) not in refused.value.message
    assert names(newer) == ["schema.json"]
