"""What drivers tell about their clouds to whoever watches over the server."""

import dataclasses
from pathlib import Path

import pytest

from nimbi.driver.measurements import GAUGE, Measurement
from nimbi.drivers.mock import DRIVER
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry

ONE = Measurement("guests", "Guests.", GAUGE, {}, 1)


def clouds(tmp_path: Path, measurements: object) -> Clouds:
    driver = dataclasses.replace(DRIVER, measurements=measurements)  # type: ignore[arg-type]
    return Clouds(Registry({"mock": driver}), {}, tmp_path)


def test_a_driver_is_asked_with_its_settings_and_place(tmp_path: Path) -> None:
    told = clouds(tmp_path, lambda _, place: [ONE] if place.state_dir.parent == tmp_path else [])
    assert told.measurements("mock") == [ONE]


def test_a_driver_has_nothing_to_tell_unless_it_says_so(tmp_path: Path) -> None:
    assert Clouds(Registry({"mock": DRIVER}), {}, tmp_path).measurements("mock") == []


@pytest.mark.parametrize("name", ["mock", "no-such-driver"])
def test_what_cannot_be_had_is_left_out(tmp_path: Path, name: str) -> None:
    def broken(*_: object) -> list[Measurement]:
        raise OSError("a secret")

    assert clouds(tmp_path, broken).measurements(name) == []


def test_only_drivers_in_use_are_loaded() -> None:
    registry = Registry()
    assert registry.loaded() == ()
    registry.driver("mock")
    assert registry.loaded() == ("mock",)
