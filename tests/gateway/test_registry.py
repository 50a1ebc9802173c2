"""Drivers found by their entry points."""

import subprocess
import sys
from pathlib import Path

import pytest

from nimbi.gateway.registry import Registry, UnknownDriver
from nimbi.model.errors import Invalid

MODULES = {
    "good_cloud": "from contextlib import nullcontext\n"
    "from nimbi.driver.interface import Driver\n"
    "from nimbi.driver.states import StateMachine\n"
    "DRIVER = Driver(name='good', title='Good', start=nullcontext, open=nullcontext,\n"
    "                collections=(), instance_states=StateMachine((), ()))\n",
    "needy_cloud": "import a_module_that_is_not_there\n",
    "broken_cloud": "raise OSError('/a/path/of/this/machine')\n",
    "strange_cloud": "DRIVER = 5\n",
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package of drivers, most of them faulty."""
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    info = tmp_path / "clouds-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: clouds\nVersion: 1\n")
    points = "".join(f"{m.removesuffix('_cloud')} = {m}:DRIVER\n" for m in MODULES)
    (info / "entry_points.txt").write_text(f"[nimbi.drivers]\n{points}")
    monkeypatch.syspath_prepend(tmp_path)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("installed")
def test_drivers_of_other_packages_are_found():
    registry = Registry()
    assert {"good", "mock"} < set(registry.names())
    assert list(registry.names()) == sorted(registry.names())
    assert registry.driver("good").title == "Good"
    assert registry.driver("good") is registry.driver("good")


@pytest.mark.usefixtures("installed")
def test_a_driver_whose_module_is_missing_says_what_to_install():
    with pytest.raises(UnknownDriver, match=r"'a_module_that_is_not_there'.*nimbi\[needy\]"):
        Registry().driver("needy")


@pytest.mark.usefixtures("installed")
def test_a_broken_driver_is_unknown_and_its_reason_is_only_logged(caplog):
    with pytest.raises(UnknownDriver) as raised:
        Registry().driver("broken")
    assert raised.value.message == "driver 'broken' cannot be loaded"
    assert "/a/path/of/this/machine" in caplog.text


@pytest.mark.usefixtures("installed")
def test_what_is_no_driver_cannot_be_loaded():
    with pytest.raises(UnknownDriver, match="not a Driver"):
        Registry().driver("strange")


def test_an_unknown_driver_is_an_invalid_request(driver):
    with pytest.raises(Invalid) as raised:
        Registry({"scripted": driver}).driver("x" * 5000)
    assert len(raised.value.message) < 200


def test_drivers_that_are_given_are_all_there_are(driver):
    assert Registry({"scripted": driver}).names() == ("scripted",)


def test_what_a_driver_supports_is_told_by_name(driver):
    registry = Registry({"scripted": driver})
    assert "instances.get" in registry.supported("scripted")
    assert "instances.start" not in registry.supported("scripted")
    assert registry.supported("scripted") is registry.supported("scripted")
    with pytest.raises(UnknownDriver):
        registry.supported("other")


def test_naming_the_drivers_imports_none():
    code = (
        "import sys; from nimbi.gateway.registry import Registry; names = Registry().names();"
        "assert 'mock' in names; print([m for m in sys.modules if m.startswith('nimbi.drivers')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
