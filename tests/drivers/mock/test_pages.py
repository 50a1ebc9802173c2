"""Lists cut into pages."""

import base64

import pytest

from nimbi.drivers.mock.addresses import MockAddresses
from nimbi.drivers.mock.blobs import MockBlobs
from nimbi.drivers.mock.instances import MockInstances
from nimbi.drivers.mock.realms import MockRealms
from nimbi.drivers.mock.session import Session
from nimbi.drivers.mock.table import Table
from nimbi.model.errors import Invalid
from nimbi.model.instances import NewInstance
from nimbi.model.resource import Resource


async def test_pages_of_any_size_tell_the_same(session: Session) -> None:
    instances = MockInstances(session)
    await instances.create_many(NewInstance(image_id="img1"), 9)
    for limit in (1, 2, 3, 12, 13, 1000):
        found: list[str] = []
        marker = None
        while True:
            page = await instances.page(marker, limit)
            assert len(page.items) <= limit
            found += [instance.id for instance in page.items]
            marker = page.next
            if marker is None:
                break
        assert found == [f"inst{n}" for n in range(13)]


async def test_pages_go_on_while_things_come_and_go(session: Session) -> None:
    instances = MockInstances(session)
    page = await instances.page(None, 2)
    for id in ("inst0", "inst1"):
        await instances.stop(id)
        await instances.destroy(id)
    await instances.create(NewInstance(image_id="img1"))
    assert [i.id for i in (await instances.page(page.next, 9)).items] == ["inst2", "inst3"]


async def test_a_fixed_list_has_pages_too(session: Session) -> None:
    realms = MockRealms(session)
    first = await realms.page(None, 1)
    second = await realms.page(first.next, 1)
    assert [realm.id for realm in (*first.items, *second.items)] == ["us", "eu"]
    assert second.next is None


async def test_a_marker_never_given_is_invalid(session: Session) -> None:
    instances = MockInstances(session)
    given = (await instances.page(None, 1)).next or ""
    made_up = base64.urlsafe_b64encode(b"inst2").decode() + given[given.index(".") :]
    for marker in ("", "inst0", "ä", "\ud800", ".", "A", given[:-1], given + "0", made_up):
        with pytest.raises(Invalid):
            await instances.page(marker, 1)
    with pytest.raises(Invalid):
        await MockAddresses(session).page(given, 1)


async def test_a_marker_of_another_bucket_is_invalid(session: Session) -> None:
    blobs = MockBlobs(session)
    given = (await blobs.page("bucket1", None, 1)).next
    with pytest.raises(Invalid):
        await blobs.page("bucket2", given, 1)


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_limit_out_of_range_is_invalid(session: Session, limit: int) -> None:
    with pytest.raises(Invalid):
        await MockInstances(session).page(None, limit)


def test_numbers_in_ids_are_counted_and_every_text_has_a_place() -> None:
    ids = ["a10", "a2", "a02", "10", "9", "", "a", "9" * 5000, "b1c2", "b1c10", "ä2"]
    order = [item.id for item in Table(Resource(id=id) for id in ids).whole.items]
    assert order.index("a2") < order.index("a10")
    assert order.index("9") < order.index("10") < order.index("9" * 5000)
    assert order.index("b1c2") < order.index("b1c10")
    assert sorted(order) == sorted(ids)
