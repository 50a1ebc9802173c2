"""What holds for all resources."""

import importlib
import pkgutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from nimbi import model
from nimbi.driver.interface import Account, UserAndPassword
from nimbi.model.buckets import Blob, BlobContent
from nimbi.model.instances import Command, Instance, InstanceState, Login, NewInstance, UserFile
from nimbi.model.keys import Key
from nimbi.model.page import Page
from nimbi.model.resource import NewResource, Resource
from nimbi.model.volumes import Volume, VolumeState

SECRET = "hunter2"

STRUCTS: list[type[msgspec.Struct]] = sorted(
    {
        kind
        for module in pkgutil.iter_modules(model.__path__)
        for kind in vars(importlib.import_module(f"nimbi.model.{module.name}")).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    }
    - {msgspec.Struct},
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_structs_cannot_be_changed(kind: type[msgspec.Struct]):
    assert kind.__struct_config__.frozen


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_structs_have_a_json_schema(kind: type[msgspec.Struct]):
    assert msgspec.json.schema(kind)


@pytest.mark.parametrize("kind", [k for k in STRUCTS if issubclass(k, NewResource)])
def test_an_unknown_field_of_a_wish_is_refused(kind: type[msgspec.Struct]):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"surprise": 1}, kind)


@pytest.mark.parametrize("kind", [k for k in STRUCTS if issubclass(k, Resource)])
def test_a_resource_has_an_id_and_the_clouds_own_answer(kind: type[msgspec.Struct]):
    assert {"id", "extra"} <= set(kind.__struct_fields__)


@pytest.mark.parametrize(
    "holder",
    [
        NewInstance(image_id="a", password=SECRET, user_data=SECRET.encode()),
        Command(line="id", password=SECRET, private_key=SECRET),
        Login(user="root", password=SECRET),
        Key(id="k", name="k", password=SECRET, private_key=SECRET),
        UserAndPassword("u", SECRET),
        Account(UserAndPassword("u", SECRET)),
        Account({"token": SECRET}),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_secrets_are_not_shown(holder: Any):
    assert SECRET not in repr(holder)
    assert SECRET not in f"{holder}"


def test_a_volume_survives_a_round_trip_through_json():
    volume = Volume(
        id="v1",
        name="data",
        description=None,
        state=VolumeState.IN_USE,
        size_gib=1.5,
        created_at=datetime(2024, 2, 29, 12, tzinfo=UTC),
        realm_id="us",
    )
    assert msgspec.json.decode(msgspec.json.encode(volume), type=Volume) == volume


def test_bytes_survive_a_round_trip_through_json():
    new = NewInstance(image_id="a", user_data=b"\x00\xff", user_files=(UserFile("/a", b"\xfe"),))
    assert msgspec.json.decode(msgspec.json.encode(new), type=NewInstance) == new


def test_an_unknown_state_is_refused():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"id": "i", "state": "flying"}, Instance)
    assert InstanceState("running") is InstanceState.RUNNING


async def nothing() -> AsyncIterator[bytes]:
    yield b""


def test_the_size_of_a_part_of_a_blob_counts_both_ends():
    blob = Blob(id="b", bucket_id="u", size_bytes=9, content_type=None, modified_at=None, etag=None)
    assert BlobContent(blob, 2, 5, nothing()).size_bytes == 4


def test_a_page_without_marker_is_the_last():
    assert Page((1, 2)).next is None
