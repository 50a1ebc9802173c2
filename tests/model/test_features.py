"""Optional fields of requests."""

import importlib
import pkgutil
from typing import Annotated, Any, get_type_hints

import msgspec
import pytest

from nimbi import model
from nimbi.model.features import Feature, asked_features, features_of
from nimbi.model.firewalls import NewRule, Protocol
from nimbi.model.instances import InstanceFilter, NewAttachment, NewInstance, UserFile
from nimbi.model.networks import NewNetwork
from nimbi.model.resource import NewResource

REQUESTS: list[type[msgspec.Struct]] = sorted(
    {
        kind
        for module in pkgutil.iter_modules(model.__path__)
        for kind in vars(importlib.import_module(f"nimbi.model.{module.name}")).values()
        if isinstance(kind, type) and kind is not NewResource
        if issubclass(kind, NewResource) or kind.__name__.endswith("Filter")
    },
    key=lambda kind: kind.__name__,
)


def test_there_are_requests():
    assert NewInstance in REQUESTS
    assert InstanceFilter in REQUESTS


@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda kind: kind.__name__)
def test_marked_fields_are_optional_and_explained(request_type: type[msgspec.Struct]):
    fields = {field.name: field for field in msgspec.structs.fields(request_type)}
    for name, feature in features_of(request_type).items():
        assert not fields[name].required
        assert fields[name].default in (None, (), "ingress") or fields[name].default_factory is dict
        assert feature.text.endswith(".")
        assert feature.name.replace("_", "").isalnum()


@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda kind: kind.__name__)
def test_a_request_that_gives_only_what_it_must_asks_for_no_feature(
    request_type: type[msgspec.Struct],
):
    required = [f.name for f in msgspec.structs.fields(request_type) if f.required]
    assert asked_features(request_type(**dict.fromkeys(required, "x"))) == {}


@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda kind: kind.__name__)
def test_each_field_that_is_given_asks_for_its_feature(request_type: type[msgspec.Struct]):
    required = [f.name for f in msgspec.structs.fields(request_type) if f.required]
    for name, feature in features_of(request_type).items():
        given = dict.fromkeys([*required, name], "x")
        assert asked_features(request_type(**given)) == {name: feature}


@pytest.mark.parametrize(
    ("field", "value", "asked"),
    [
        ("user_data", b"", True),
        ("metrics", False, True),
        ("user_files", (), False),
        ("user_files", (UserFile("/a", b""),), True),
        ("name", None, False),
        ("name", "", True),
    ],
)
def test_a_value_is_asked_for_unless_it_is_none_or_an_empty_list(
    field: str, value: Any, asked: bool
):
    found = asked_features(NewInstance(image_id="a", **{field: value}))
    assert list(found) == ([field] if asked else [])


def test_a_value_that_is_the_default_is_not_asked_for():
    rule = {"protocol": Protocol.TCP, "port_from": 1, "port_to": 2, "sources": ()}
    assert asked_features(NewRule(**rule, direction="ingress")) == {}
    assert list(asked_features(NewRule(**rule, direction="egress"))) == ["direction"]
    assert asked_features(NewInstance(image_id="a", tags={})) == {}
    assert list(asked_features(NewInstance(image_id="a", tags={"a": ""}))) == ["tags"]


def test_fields_of_what_is_in_a_field_are_asked_for_with_it():
    plain, boot = NewAttachment(device="a"), NewAttachment(device="b", boot=True)
    assert list(asked_features(NewInstance(volumes=(plain,)))) == ["volumes"]
    asked = asked_features(NewInstance(volumes=(plain, boot)))
    assert list(asked) == ["volumes", "volumes.boot"]
    assert asked["volumes.boot"].name == "boot_from_volume"


def test_a_request_without_marks_has_no_features():
    assert features_of(NewNetwork) == {}


def test_other_annotations_are_no_features():
    class Bounded(msgspec.Struct):
        size: Annotated[int, msgspec.Meta(ge=0), Feature("size", "How big.")] = 0
        age: Annotated[int, msgspec.Meta(ge=0)] = 0

    Bounded.__annotations__ = get_type_hints(Bounded, include_extras=True)
    assert list(features_of(Bounded)) == ["size"]
