"""What holds for the Driver object itself: it tells nothing that its code does not do."""

import inspect
import re
from typing import Any, get_type_hints

import msgspec
import pytest

from nimbi.driver.capabilities import (
    INTERFACES,
    OPERATIONS,
    collection_classes,
    interface_of,
    supported,
)
from nimbi.driver.compute import Instances
from nimbi.driver.operation import Collection
from nimbi.drivertest.conformance import Conformance
from nimbi.drivertest.moves import ENDS
from nimbi.drivertest.samples import requests
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.registry import Registry
from nimbi.model.errors import CloudError
from nimbi.model.features import features_of
from nimbi.model.instances import InstanceState

# Operations that move an instance from one state to another.
MOVES = ("create", "start", "stop", "reboot", "destroy")

FOREIGN = [
    Exception("something"),
    Exception(),
    ValueError("x"),
    KeyError("x"),
    OSError(2, "No such file"),
    OSError("no number"),
    ConnectionResetError(),
    TimeoutError(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    ExceptionGroup("several", [ValueError("x")]),
]


class ConformsToDriverFacts(Conformance):
    async def test_the_driver_is_installed_under_its_name(self, cloud: Cloud) -> None:
        assert cloud.driver.name in Registry().names()

    async def test_the_name_can_be_in_a_url(self, cloud: Cloud) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", cloud.driver.name)
        assert cloud.driver.title.strip()

    async def test_each_collection_is_of_one_interface(self, cloud: Cloud) -> None:
        for collection in cloud.driver.collections:
            assert isinstance(collection, type)
            assert issubclass(collection, Collection)
            assert sum(issubclass(collection, interface) for interface in INTERFACES) == 1
        assert len(collection_classes(cloud.driver)) == len(cloud.driver.collections)

    async def test_an_operation_takes_what_its_interface_says(self, cloud: Cloud) -> None:
        for operation in OPERATIONS.values():
            if operation.id in supported(cloud.driver):
                own = collection_classes(cloud.driver)[operation.interface]
                mine = getattr(own, operation.id.partition(".")[2])
                assert inspect.iscoroutinefunction(mine), operation.id
                assert _parameters(mine) == _parameters(operation.function), operation.id

    async def test_a_collection_has_no_operations_of_its_own(self, cloud: Cloud) -> None:
        ours = {operation.id for operation in OPERATIONS.values()}
        for collection in cloud.driver.collections:
            assert isinstance(collection, type)
            for name, member in inspect.getmembers(collection, inspect.iscoroutinefunction):
                id = f"{interface_of(collection).name}.{name}"
                assert name.startswith("_") or id in ours, f"{member.__qualname__} is no operation"

    async def test_a_list_has_a_look_at_one_thing(self, cloud: Cloud) -> None:
        names = {id.partition(".")[0] for id in supported(cloud.driver)}
        lists = {f"{name}.page" for name in names} & supported(cloud.driver)
        looks = {id.replace(".page", ".get") for id in lists}
        assert looks <= supported(cloud.driver)

    async def test_every_feature_is_one_of_the_model(self, cloud: Cloud) -> None:
        for interface, collection in collection_classes(cloud.driver).items():
            known = {
                feature.name
                for _verb, request in requests(interface)
                for feature in features_of(request).values()
            }
            assert collection.features <= known, interface.name

    async def test_every_feature_has_an_operation_that_can_ask_for_it(self, cloud: Cloud) -> None:
        for interface in collection_classes(cloud.driver):
            askable = {
                feature.name
                for verb, request in requests(interface)
                if f"{interface.name}.{verb}" in supported(cloud.driver)
                for feature in features_of(request).values()
            }
            assert cloud.features(interface) <= askable, interface.name

    async def test_a_login_narrows_what_the_driver_supports(self, cloud: Cloud) -> None:
        assert cloud.operations <= supported(cloud.driver)

    async def test_states_are_told_once_and_transitions_are_between_them(
        self, cloud: Cloud
    ) -> None:
        machine = cloud.driver.instance_states
        assert len(set(machine.states)) == len(machine.states)
        assert len(set(machine.transitions)) == len(machine.transitions)
        assert {s for t in machine.transitions for s in (t.state, t.to)} <= set(machine.states)

    async def test_transitions_are_by_operations_that_are_supported(self, cloud: Cloud) -> None:
        verbs = {t.by for t in cloud.driver.instance_states.transitions} - {None}
        assert {f"instances.{verb}" for verb in verbs} <= supported(cloud.driver)

    async def test_supported_moves_have_a_transition(self, cloud: Cloud) -> None:
        verbs = {t.by for t in cloud.driver.instance_states.transitions}
        moves = {verb for verb in MOVES if f"instances.{verb}" in supported(cloud.driver)}
        assert moves <= verbs

    async def test_each_operation_leads_from_a_state_to_one_other(self, cloud: Cloud) -> None:
        machine = cloud.driver.instance_states
        pairs = [(t.state, t.by) for t in machine.transitions if t.by is not None]
        assert len(set(pairs)) == len(pairs)

    async def test_every_state_comes_after_the_start(self, cloud: Cloud) -> None:
        machine = cloud.driver.instance_states
        if Instances not in collection_classes(cloud.driver):
            pytest.skip(f"{cloud.driver.name} has no instances")
        met = {InstanceState.START}
        while more := {t.to for t in machine.transitions if t.state in met} - met:
            met |= more
        # What fails does so from anywhere, and no cloud says how.
        assert set(machine.states) <= met | {InstanceState.ERROR}

    async def test_nothing_comes_after_the_end(self, cloud: Cloud) -> None:
        machine = cloud.driver.instance_states
        assert not machine.leaving(InstanceState.FINISH)
        assert not [t for t in machine.transitions if t.to is InstanceState.START]
        assert set(machine.operations(InstanceState.START)) <= {"create"}
        ends = {t.to for t in machine.transitions if t.by == "destroy"}
        assert not ends or InstanceState.FINISH in ends | _followers(cloud, ends)
        assert set(machine.states) >= ENDS or not machine.states

    @pytest.mark.parametrize("error", FOREIGN, ids=lambda error: repr(error)[:40])
    async def test_the_table_of_errors_breaks_at_no_error(
        self, cloud: Cloud, error: Exception
    ) -> None:
        assert isinstance(cloud.driver.to_error(error), CloudError | None)

    async def test_credentials_are_a_struct_of_texts_that_no_repr_shows(self, cloud: Cloud) -> None:
        kind = cloud.driver.credentials
        assert issubclass(kind, msgspec.Struct)
        hints = get_type_hints(kind)
        told = {name: f"s3cret-{name}" for name, hint in hints.items() if hint in {str, str | None}}
        try:
            shown = repr(msgspec.convert(told, kind))
        except msgspec.ValidationError:
            pytest.skip(f"credentials of {cloud.driver.name} are more than texts")
        assert "s3cret-password" not in shown
        assert not re.search("s3cret-(secret|token|key|private)", shown)

    async def test_every_setting_has_a_default(self, cloud: Cloud) -> None:
        settings = cloud.driver.settings
        assert issubclass(settings, msgspec.Struct)
        assert isinstance(cloud.driver.in_process(settings()), bool)

    async def test_entry_points_are_texts_by_kind_and_provider(self, cloud: Cloud) -> None:
        msgspec.convert(cloud.driver.entrypoints, dict[str, dict[str, str]], strict=True)


def _parameters(function: Any) -> list[tuple[str, Any]]:
    found = list(inspect.signature(function).parameters.values())[1:]
    return [(parameter.name, parameter.default) for parameter in found]


def _followers(cloud: Cloud, states: set[InstanceState]) -> set[InstanceState]:
    machine = cloud.driver.instance_states
    found: set[InstanceState] = set()
    while (
        more := {t.to for state in states | found for t in machine.leaving(state) if t.by is None}
        - found
    ):
        found |= more
    return found
