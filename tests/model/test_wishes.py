"""Wishes that contradict themselves."""

import pytest

from nimbi.model.errors import Invalid
from nimbi.model.images import NewImage
from nimbi.model.instances import NewAttachment, NewInstance
from nimbi.model.keys import NewKey


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
        NewKey(name=""),
    ],
)
def test_a_wish_that_makes_sense_passes(wish: NewImage | NewInstance | NewKey):
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
    ],
)
def test_a_wish_that_contradicts_itself_is_invalid(wish: NewImage | NewInstance, text: str):
    with pytest.raises(Invalid, match=text):
        wish.check()
