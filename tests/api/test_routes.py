"""The routes of the native API: one for each operation, and each is found again."""

from collections.abc import AsyncIterator

import pytest

from nimbi.api.requests import ApiRequest, request_of, segment
from nimbi.api.routes import LISTS, ROUTES
from nimbi.driver.capabilities import BY_ID
from nimbi.model.buckets import (
    BlobCondition,
    BlobPlace,
    ByteRange,
    NewBlob,
    Segment,
    Upload,
)
from nimbi.model.firewalls import AddressSource, NewRule, Protocol
from nimbi.model.images import NewUpload, Visibility
from nimbi.model.instances import InstanceFilter, InstanceState, NewInstance
from nimbi.model.volumes import VolumeTarget


async def _content() -> AsyncIterator[bytes]:
    yield b"x"


def written(id: str, *args: object, **named: object) -> ApiRequest:
    return request_of(ROUTES[id], "a", args, named)


def test_each_operation_has_a_route_and_no_two_have_the_same() -> None:
    assert set(ROUTES) == set(BY_ID)
    assert len({(r.method, r.template) for r in ROUTES.values()}) == len(ROUTES)


def test_what_reads_is_a_get_and_what_changes_is_none() -> None:
    for route in ROUTES.values():
        assert route.operation.is_safe == (route.method == "GET"), route.id


def test_each_argument_is_told_in_one_place() -> None:
    for route in ROUTES.values():
        places = [v.argument for v in (*route.path, *route.query, *route.headers)]
        told = {*places, *(a.name for a in route.inside)}
        streams = {"chunks"} if route.body == "stream" else set()
        assert told | streams == {a.name for a in route.arguments}, route.id


def test_all_collections_but_blobs_have_a_list_over_all_accounts() -> None:
    assert {r.collection for r in ROUTES.values()} - set(LISTS) == {"blobs"}


@pytest.mark.parametrize(
    ("id", "args", "method", "path"),
    [
        ("instances.page", (None, 5), "GET", "/instances"),
        ("instances.create", (NewInstance(image_id="i"),), "POST", "/instances"),
        ("instances.get", ("é/ü",), "GET", "/instances/%C3%A9%2F%C3%BC"),
        ("instances.destroy", ("..",), "DELETE", "/instances/%2E%2E"),
        ("instances.start", ("x",), "POST", "/instances/x/start"),
        ("instances.console", ("x",), "GET", "/instances/x/console"),
        ("firewalls.destroy_rule", ("f", "r"), "DELETE", "/firewalls/f/rules/r"),
        ("blobs.page", ("b", None, 9), "GET", "/buckets/b/blobs"),
        ("blobs.link", ("b", "x", 60), "GET", "/buckets/b/blobs/x/link"),
        ("images.read", ("x",), "GET", "/images/x/content"),
    ],
)
def test_an_operation_is_where_the_rules_say(
    id: str, args: tuple[object, ...], method: str, path: str
) -> None:
    request = written(id, *args)
    assert (request.method, request.path) == (method, f"/v1/accounts/a{path}")


def test_a_wish_is_the_body_without_its_token_and_without_what_is_not_wished() -> None:
    request = written("instances.create", NewInstance(image_id="i", token="t", user_data=b"a"))
    assert request.body == b'{"image_id":"i","user_data":"YQ=="}'
    many = written("instances.create_many", NewInstance(image_id="i"), count=3)
    assert many.body == b'{"new":{"image_id":"i"},"count":3}'


def test_filters_are_in_the_query_and_those_of_many_values_are_several() -> None:
    where = InstanceFilter(state=InstanceState.RUNNING, tags={"a b": "c"})
    request = written("instances.page", None, 7, where)
    assert request.query == (("limit", "7"), ("state", "running"), ("tags.a b", "c"))


def test_what_moves_bytes_tells_of_them_in_headers() -> None:
    part = written("blobs.read", "b", "x", ByteRange(2, 5), BlobCondition(etag="e"))
    assert part.headers == (("Range", "bytes=2-5"), ("If-Match", '"e"'))
    tail = written("blobs.read", "b", "x", ByteRange(-5))
    assert tail.headers == (("Range", "bytes=-5"),)
    new = NewBlob(bucket_id="b", id="x", size_bytes=1, metadata={"a": "ü"}, only_new=True)
    put = written("blobs.write", new, _content())
    assert put.body is None
    assert put.chunks is not None
    assert set(put.headers) == {
        ("Content-Length", "1"),
        ("x-nimbi-meta-a", "ü"),
        ("If-None-Match", "*"),
    }
    image = NewUpload(name="n", format="raw", visibility=Visibility.SHARED, properties={"k": "v"})
    upload = written("images.upload", image, _content())
    assert upload.query == (
        ("name", "n"),
        ("format", "raw"),
        ("visibility", "shared"),
        ("properties.k", "v"),
    )


def test_what_the_path_tells_is_not_told_in_the_body() -> None:
    upload = Upload(id="u/1", blob_id="x", bucket_id="b")
    finish = written("blobs.finish_upload", upload, (Segment(order=1, id="s"),))
    assert finish.path == "/v1/accounts/a/buckets/b/blobs/x/uploads/u%2F1/finish"
    assert finish.body == b'{"segments":[{"order":1,"id":"s"}]}'
    copy = written("blobs.copy", BlobPlace("b", "x"), NewBlob(bucket_id="c", id="y"))
    assert copy.path == "/v1/accounts/a/buckets/b/blobs/x/copy"
    assert copy.body == b'{"bucket_id":"c","id":"y"}'
    begin = written("blobs.begin_upload", NewBlob(bucket_id="b", id="x", content_type="t"))
    assert begin.path.endswith("/b/blobs/x/uploads")
    assert begin.body == b'{"content_type":"t"}'


def test_the_one_struct_that_is_left_gives_its_fields_to_the_body() -> None:
    attach = written("volumes.attach", "v", VolumeTarget(instance_id="i"))
    assert attach.body == b'{"instance_id":"i"}'
    rule = NewRule(protocol=Protocol.TCP, port_from=1, port_to=2, sources=(AddressSource("::", 0),))
    assert b'"sources":[{"type":"address","address":"::"' in (
        written("firewalls.create_rule", "f", rule).body or b""
    )
    assert written("volumes.detach", "v").body == b"{}"


@pytest.mark.parametrize(
    ("args", "named"), [((), {}), (("x", "y"), {}), (("x",), {"id": "y"}), (("x",), {"z": "y"})]
)
def test_arguments_that_an_operation_does_not_take_are_refused(
    args: tuple[object, ...], named: dict[str, object]
) -> None:
    with pytest.raises(TypeError):
        written("instances.start", *args, **named)


def test_a_segment_holds_any_text() -> None:
    assert segment("a b/c?#%") == "a%20b%2Fc%3F%23%25"
