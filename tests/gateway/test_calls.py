"""What is refused, completed and mapped around each call."""

from typing import Any

import pytest

from nimbi.driver.blobs import Blobs
from nimbi.driver.capabilities import INTERFACES
from nimbi.driver.compute import Images, Instances
from nimbi.driver.operation import Collection
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.clouds import collections_of
from nimbi.model.buckets import NewBlob
from nimbi.model.errors import (
    CloudError,
    Conflict,
    Forbidden,
    Invalid,
    Timeout,
    Unauthorized,
    Unsupported,
)
from nimbi.model.images import ImageFilter, NewImage
from nimbi.model.instances import InstanceFilter, InstanceState, NewInstance, UserFile
from nimbi.model.page import Page


async def test_a_call_gives_the_drivers_own_answer(cloud, script, instance):
    script["instances.get"] = [instance("i-7")]
    assert await cloud.call(Instances.get, "i-7") is script.answers["instances.get"][0]
    assert script.calls == [("instances.get", "i-7")]


async def test_arguments_can_be_named(cloud, script):
    await cloud.call(Instances.page, marker="m", limit=3, where=InstanceFilter())
    assert script.calls == [("instances.page", "m", 3, InstanceFilter())]


async def test_a_bound_collection_makes_the_same_call(cloud, script, instance):
    script["instances.get"] = [instance()]
    assert await cloud.instances.get(id="i-1") == instance()
    assert cloud.instances.name == "instances"
    assert cloud.instances.features == {"user_data"}


def test_a_bound_collection_has_the_operations_of_its_interface_and_no_others(cloud):
    with pytest.raises(AttributeError, match="instances has no operation 'fly'"):
        _ = cloud.instances.fly


@pytest.mark.parametrize("interface", INTERFACES)
def test_each_collection_is_an_attribute_of_a_cloud(cloud, interface: type[Collection]):
    assert getattr(cloud, interface.name).name == interface.name


async def test_an_operation_that_the_driver_lacks_is_refused_without_traffic(cloud, script):
    with pytest.raises(Unsupported, match=r"scripted does not support instances\.start") as refusal:
        await cloud.call(Instances.start, "i-1")
    assert refusal.value.capability == "instances.start"
    assert not cloud.supports(Instances.start)
    assert script.calls == []


async def test_a_collection_that_the_driver_lacks_is_refused(cloud):
    with pytest.raises(Unsupported) as refusal:
        await cloud.images.get("img1")
    assert refusal.value.capability == "images.get"
    assert cloud.features(Images) == frozenset()


async def test_what_is_no_operation_is_an_error_of_the_program(cloud):
    with pytest.raises(TypeError, match="no operation"):
        await cloud.call(print, "x")


async def test_arguments_that_do_not_fit_are_an_error_of_the_program(cloud):
    with pytest.raises(TypeError, match="id"):
        await cloud.call(Instances.get)


@pytest.mark.parametrize(
    ("field", "value", "feature"),
    [
        ("name", "web", "user_name"),
        ("key_id", "k", "authentication_key"),
        ("user_files", (UserFile("/a", b""),), "user_files"),
        ("metrics", False, "metrics"),
    ],
)
async def test_a_field_that_the_driver_does_not_honour_is_refused(
    cloud, script, field: str, value: Any, feature: str
):
    with pytest.raises(Unsupported, match=f"cannot honour {field}") as refusal:
        await cloud.call(Instances.create, NewInstance(image_id="a", **{field: value}))
    assert refusal.value.capability == f"instances.{feature}"
    assert script.calls == []


async def test_a_field_that_the_driver_honours_reaches_it(cloud, script):
    await cloud.instances.create(NewInstance(image_id="a", user_data=b"x"))
    assert script.calls[0][1].user_data == b"x"


@pytest.mark.parametrize("named", [False, True])
async def test_a_filter_that_the_driver_does_not_honour_is_refused(cloud, script, named: bool):
    where = InstanceFilter(realm_id="us")
    with pytest.raises(Unsupported) as refusal:
        if named:
            await cloud.call(Instances.page, None, 10, where=where)
        else:
            await cloud.call(Instances.page, None, 10, where)
    assert refusal.value.capability == "instances.realm_filter"
    assert script.calls == []


async def test_each_create_gets_a_token_of_its_own(cloud, script):
    new = NewInstance(image_id="a")
    await cloud.instances.create(new)
    await cloud.instances.create(new=new)
    tokens = {call[1].token for call in script.calls}
    assert len(tokens) == 2
    assert None not in tokens


async def test_a_token_that_the_caller_chose_is_kept(cloud, script):
    await cloud.instances.create(NewInstance(image_id="a", token="mine"))
    assert script.calls[0][1].token == "mine"


async def test_a_blob_that_is_written_gets_a_token_too(cloud, script):
    async def chunks():
        yield b""

    await cloud.blobs.write(NewBlob(bucket_id="u", id="b"), chunks())
    assert script.calls[0][1].token is not None


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_page_has_1_to_1000_items(cloud, script, limit: int):
    with pytest.raises(Invalid, match=r"limit of instances\.page is 1 to 1000"):
        await cloud.instances.page(None, limit)
    assert script.calls == []


@pytest.mark.parametrize("count", [0, 101])
async def test_1_to_100_instances_are_made_at_once(cloud, count: int):
    with pytest.raises(Invalid, match="count"):
        await cloud.instances.create_many(NewInstance(image_id="a"), count=count)


async def test_an_error_that_the_drivers_table_knows_is_mapped_and_chained(cloud, script):
    script["instances.get"] = [KeyError("x")]
    with pytest.raises(Conflict, match="known to the table") as raised:
        await cloud.instances.get("i-1")
    assert isinstance(raised.value.__cause__, KeyError)


@pytest.mark.parametrize("error", [ValueError("password=hunter2"), ZeroDivisionError("hunter2")])
async def test_an_unknown_error_tells_its_kind_and_nothing_of_its_text(cloud, script, error):
    script["instances.get"] = [error]
    with pytest.raises(CloudError) as raised:
        await cloud.instances.get("i-1")
    assert type(raised.value) is CloudError
    assert raised.value.message == f"scripted failed with an unexpected {type(error).__name__}"
    assert raised.value.__cause__ is error


async def test_a_missing_library_is_told_with_the_extra_that_brings_it(cloud, script):
    script["instances.get"] = [ModuleNotFoundError("No module named 'x'", name="x")]
    with pytest.raises(CloudError, match=r"package 'x'.*pip install 'nimbi\[scripted\]'"):
        await cloud.instances.get("i-1")


async def test_a_timeout_of_the_drivers_own_is_a_timeout(cloud, script):
    script["instances.stop"] = [TimeoutError()]
    with pytest.raises(Timeout, match="scripted gave no answer in time"):
        await cloud.instances.stop("i-1")


async def test_an_error_of_the_clouds_is_raised_as_it_is(cloud, script):
    script["instances.get"] = [Forbidden("no")]
    with pytest.raises(Forbidden) as raised:
        await cloud.instances.get("i-1")
    assert raised.value is script.answers["instances.get"][0]
    assert raised.value.__cause__ is None


def test_operations_of_an_instance_are_those_of_its_state_that_the_driver_has(cloud, instance):
    running, stopped = instance(), instance(state=InstanceState.STOPPED)
    assert cloud.instance_operations(running) == ("reboot", "stop")
    assert cloud.instance_operations(stopped) == ()
    assert cloud.instance_operations(running) == ("reboot", "stop")


def test_operations_of_a_locked_instance_are_not_those_of_its_state(cloud, instance):
    assert cloud.instance_operations(instance(locked=True)) == ()
    assert cloud.instance_operations(instance()) == ("reboot", "stop")


def test_a_session_that_lacks_a_collection_lacks_its_operations(make_driver, script):
    narrowed = make_driver(narrow=lambda _session: frozenset({"blobs"}))
    cloud = Cloud(narrowed, collections_of(narrowed, script))
    assert cloud.supports(Blobs.read)
    assert not cloud.supports(Instances.page)
    assert cloud.features(Instances) == frozenset()


def test_a_cloud_shows_no_secret(cloud):
    assert repr(cloud) == "Cloud('scripted', provider=None)"


async def test_verify_asks_for_the_first_list_that_needs_a_login(cloud, script):
    script["instances.page"] = [Page(())]
    await cloud.verify()
    assert script.calls == [("instances.page", None, 1, InstanceFilter())]


async def test_verify_raises_unauthorized(cloud, script):
    script["instances.page"] = [Unauthorized("no")]
    with pytest.raises(Unauthorized):
        await cloud.verify()


async def test_a_login_that_may_not_list_is_a_right_login(cloud, script):
    script["instances.page"] = [Forbidden("no")]
    await cloud.verify()
    assert len(script.calls) == 1


async def test_verify_of_a_cloud_without_lists_asks_nothing(make_driver, script):
    driver = make_driver(collections=(type(collections_of(make_driver(), script)["blobs"]),))
    await Cloud(driver, collections_of(driver, script)).verify()
    assert script.calls == []


async def test_a_request_of_another_collection_is_checked_by_its_own_features(make_driver, script):
    class OnlyImages(Images):
        features = frozenset({"image_name"})

        def __init__(self, _session: object) -> None: ...

        async def page(self, marker, limit, where=ImageFilter()):
            return Page(())

        async def create(self, new):
            return new

    driver = make_driver(collections=(OnlyImages,))
    cloud = Cloud(driver, collections_of(driver, script))
    made = await cloud.images.create(NewImage(instance_id="i", name="n"))
    assert made.name == "n"
    with pytest.raises(Unsupported) as refusal:
        await cloud.images.create(NewImage(instance_id="i", description="d"))
    assert refusal.value.capability == "images.image_description"
    with pytest.raises(Unsupported):
        await cloud.images.page(None, 1, ImageFilter(owner_id="self"))
