"""Wishes that contradict themselves."""

from datetime import UTC, datetime

import pytest

from nimbi.model.errors import Invalid
from nimbi.model.images import NewImage
from nimbi.model.instances import InstanceFilter, NewAttachment, NewInstance
from nimbi.model.keys import NewKey
from nimbi.model.networks import NewNetworkInterface
from nimbi.model.resource import NewResource


@pytest.mark.parametrize(
    "wish",
    [
        NewImage(instance_id="i"),
        NewImage(snapshot_id="s"),
        NewImage(snapshot_id="s", architecture="arm64"),
        NewImage(source_image_id="a"),
        NewImage(source_image_id="a", source_provider="p"),
        NewInstance(image_id="a"),
        NewInstance(image_id="a", spot=True, spot_max_price="0.05"),
        NewInstance(image_id="a", volumes=(NewAttachment(device="a"), NewAttachment(device="b"))),
        NewInstance(boot_volume_id="v"),
        NewInstance(volumes=(NewAttachment(device="a", snapshot_id="s", boot=True),)),
        NewInstance(image_id="a", volumes=(NewAttachment(device="a", boot=True),)),
        NewInstance(image_id="a", network_ids=("n",), fixed_address="10.0.0.7"),
        NewNetworkInterface(instance_id="i"),
        NewNetworkInterface(unattached=True),
        NewKey(name=""),
    ],
)
def test_a_wish_that_makes_sense_passes(wish: NewResource):
    assert wish.check() is None


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        (NewImage(), "one instance, one snapshot or one other image"),
        (NewImage(instance_id="i", snapshot_id="s"), "one instance, one snapshot"),
        (NewImage(snapshot_id="s", source_image_id="a"), "one instance, one snapshot"),
        (NewImage(instance_id="i", architecture="arm64"), "only of a snapshot"),
        (NewImage(instance_id="i", source_provider="p"), "only of an image to copy"),
        (NewInstance(image_id="a", spot_max_price="1"), "only of a spot instance"),
        (NewInstance(image_id="a", spot=False, spot_max_price="1"), "only of a spot instance"),
        (
            NewInstance(image_id="a", volumes=(NewAttachment(device="a"),) * 2),
            "each device takes one volume",
        ),
        (NewInstance(), "boots from one image, one volume or one snapshot"),
        (NewInstance(image_id="a", boot_volume_id="v"), "boots from one image"),
        (
            NewInstance(volumes=(NewAttachment(device="a", boot=True),)),
            "boots from one image",
        ),
        (
            NewInstance(
                image_id="a",
                volumes=(
                    NewAttachment(device="a", boot=True),
                    NewAttachment(device="b", boot=True),
                ),
            ),
            "boots from one image",
        ),
        (
            NewInstance(boot_volume_id="v", volumes=(NewAttachment(device="a", boot=True),)),
            "an old volume or a new one",
        ),
        (
            NewInstance(image_id="a", network_ids=("n", "m"), fixed_address="10.0.0.7"),
            "only for one network",
        ),
        (NewNetworkInterface(), "for one instance, or unattached"),
        (NewNetworkInterface(instance_id="i", unattached=True), "for one instance"),
    ],
)
def test_a_wish_that_contradicts_itself_is_invalid(wish: NewResource, text: str):
    with pytest.raises(Invalid, match=text):
        wish.check()


def test_a_time_of_change_needs_a_time_zone():
    assert InstanceFilter(changed_since=datetime(2026, 1, 1, tzinfo=UTC)) != InstanceFilter()
    with pytest.raises(Invalid, match="time zone"):
        InstanceFilter(changed_since=datetime(2026, 1, 1))  # noqa: DTZ001  what is tested
