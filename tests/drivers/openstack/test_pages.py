"""Pages of lists, in the order of the service, whatever comes and goes between them."""

from typing import Any

import pytest

from nimbi.drivers.openstack.pages import next_marker, sliced
from nimbi.model.errors import Invalid
from nimbi.model.realms import Realm, RealmState


@pytest.mark.parametrize(
    ("told", "marker"),
    [
        ({"things_links": [{"rel": "next", "href": "http://h/x?marker=m%201&limit=2"}]}, "m 1"),
        ({"next": "/v2/images?limit=2&marker=i1"}, "i1"),
        ({"things_links": [{"rel": "previous", "href": "http://h/x?marker=m"}]}, None),
        ({"things_links": [{"rel": "next", "href": "http://[?marker=m"}]}, None),
        ({"things_links": "x"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_next_marker_stands_in_a_link(told: Any, marker: str | None) -> None:
    assert next_marker(told, "things") == marker


def test_a_list_that_comes_whole_is_cut_into_pages() -> None:
    def realm(id: str) -> Realm:
        return Realm(id=id, name=id, state=RealmState.AVAILABLE)

    realms = [realm(id) for id in "abcde"]
    first = sliced(realms, None, 2)
    assert [each.id for each in first.items] == ["a", "b"]
    del realms[1]
    second = sliced(realms, first.next, 2)
    assert [each.id for each in second.items] == ["c", "d"]
    last = sliced(realms, second.next, 2)
    assert ([each.id for each in last.items], last.next) == (["e"], None)
    with pytest.raises(Invalid):
        sliced(realms, "x", 2)
    assert sliced(realms, None, 4).next is None
