"""Operations, and what a driver supports."""

import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from nimbi.driver import capabilities
from nimbi.driver.blobs import Blobs
from nimbi.driver.capabilities import (
    BY_ID,
    INTERFACES,
    OPERATIONS,
    collection_classes,
    features,
    interface_of,
    supported,
)
from nimbi.driver.compute import Instances, Keys
from nimbi.driver.interface import Driver, NoSettings
from nimbi.driver.operation import Collection
from nimbi.driver.states import StateMachine
from nimbi.driver.storage import Volumes

READING = {"page", "get", "read", "link", "console", "console_link", "screenshot"}


@asynccontextmanager
async def nothing(*_args: object) -> AsyncIterator[None]:
    yield


class ParentInstances(Instances):
    features = frozenset({"user_data"})

    async def get(self, id):
        return id

    async def start(self, id):
        return None


class DialectInstances(ParentInstances):
    features = ParentInstances.features | {"user_name"}

    async def stop(self, id):
        return None

    async def unknown_to_the_interface(self):
        return None


def driver(*collections) -> Driver:
    return Driver(
        name="d",
        title="D",
        start=nothing,
        open=nothing,
        collections=collections,
        instance_states=StateMachine((), ()),
    )


def operations_of(interface: type[Collection]) -> list[str]:
    return [
        name
        for name, member in inspect.getmembers(interface, inspect.iscoroutinefunction)
        if not name.startswith("_")
    ]


def test_every_operation_belongs_to_one_interface():
    assert len(OPERATIONS) == sum(len(operations_of(interface)) for interface in INTERFACES)
    assert len(BY_ID) == len(OPERATIONS)


def test_every_interface_is_listed():
    defined = {
        kind
        for kind in vars(capabilities).values()
        if isinstance(kind, type) and issubclass(kind, Collection) and kind is not Collection
    }
    assert set(INTERFACES) == defined == set(Collection.__subclasses__()) & defined
    assert len({interface.name for interface in INTERFACES}) == len(INTERFACES)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.id)
async def test_an_interface_itself_can_do_nothing(operation):
    arguments = list(inspect.signature(operation.function).parameters)[1:]
    with pytest.raises(NotImplementedError):
        await operation.function(operation.interface(), *arguments)


def test_an_operation_is_named_by_its_collection_and_verb():
    assert OPERATIONS[Instances.create].id == "instances.create"
    assert BY_ID["blobs.write"].function is Blobs.write
    assert OPERATIONS[Instances.start].text == "Start a stopped instance."
    assert OPERATIONS[Keys.get].text == ""


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.id)
def test_what_reads_is_safe_and_what_is_safe_is_repeatable(operation):
    verb = operation.id.partition(".")[2]
    assert operation.is_safe == (verb in READING)
    assert operation.is_repeatable or not operation.is_safe


@pytest.mark.parametrize("verb", ["create", "destroy"])
def test_creating_and_destroying_can_be_repeated(verb: str):
    found = [o for o in OPERATIONS.values() if o.id.endswith(f".{verb}")]
    assert len(found) > 5
    assert all(o.is_repeatable and not o.is_safe for o in found)


@pytest.mark.parametrize("id", ["instances.reboot", "instances.run", "volumes.attach"])
def test_what_acts_again_each_time_cannot_be_repeated(id: str):
    assert not BY_ID[id].is_repeatable


def test_a_driver_supports_what_it_overrides_and_nothing_else():
    assert supported(driver(ParentInstances)) == {"instances.get", "instances.start"}


def test_a_dialect_inherits_what_its_parent_supports():
    assert supported(driver(DialectInstances)) == {
        "instances.get",
        "instances.start",
        "instances.stop",
    }


def test_a_driver_without_collections_supports_nothing():
    assert supported(driver()) == frozenset()


def test_features_are_those_of_the_drivers_collection():
    dialect = driver(DialectInstances)
    assert features(dialect, Instances) == {"user_data", "user_name"}
    assert features(dialect, Volumes) == frozenset()


def test_collections_are_found_by_their_interface():
    assert collection_classes(driver(DialectInstances)) == {Instances: DialectInstances}
    assert interface_of(DialectInstances) is Instances


def test_a_driver_needs_no_settings_and_maps_no_error_by_itself():
    plain = driver()
    assert plain.settings is NoSettings
    assert plain.to_error(ValueError()) is None
    assert plain.own_login(None, None) is None
    assert plain.in_process(None) is False
