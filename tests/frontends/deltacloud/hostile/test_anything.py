"""Made-up bytes, headers, paths and names: the server answers, and goes on answering."""

from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.frontends.deltacloud.hostile.raw import (
    INNARDS,
    LOGIN,
    Answer,
    Server,
    get,
    post,
    put,
    request,
)

bounded = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

LINE_ENDS = b"\r\n\0"
HEADERS = (
    *("Accept", "Authorization", "Content-Type", "Host", "If-Modified-Since", "If-None-Match"),
    *("If-Range", "Origin", "Range", "Referer", "Sec-Fetch-Site", "X-Deltacloud-Blobmeta-A"),
    *("X-Deltacloud-BlobType", "X-Deltacloud-Driver", "X-Deltacloud-Provider"),
    *("X-Deltacloud-SegmentOrder", "X-HTTP-Method-Override", "X-Request-Id"),
)
# Requests that change nothing as they are.
HARMLESS = (
    get("/api?format=json"),
    get("/api;driver=mock;provider=a/instances?state=RUNNING"),
    get("/api/buckets/bucket1/blob1/content", "Range: bytes=0-3"),
    request("HEAD /api/buckets/bucket1/blob1", LOGIN),
    request("OPTIONS /api/instances/create", LOGIN),
)
PLACES = ("/api/{}", "/api/instances/{}", "/api/buckets/{}/{}/content", "/api/docs/{}", "/api;{}")

values = st.binary(max_size=60).map(lambda b: bytes(c for c in b if c not in LINE_ENDS))
segments = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
# What can be the name of a thing: no control character, none that XML cannot hold.
names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=30
)


def is_sound(answer: Answer) -> None:
    """Assert that this is an answer, that it can be read, and shows nothing that it should not."""
    assert answer.status < 500, answer
    assert INNARDS.search(answer.body) is None, answer
    kind = answer.headers.get("content-type", "")
    if answer.body and kind == "application/xml":
        etree.fromstring(answer.body)
    if answer.body and kind == "application/json":
        assert answer.json is not None


@pytest.mark.usefixtures("kept")
class TestAnything:
    @bounded
    @given(data=st.binary(max_size=300))
    @example(data=b"\r\n" * 100)
    @example(data=b"GET " + b"/" * 1000)
    def test_as_bytes_is_refused_at_most(self, server: Server, data: bytes) -> None:
        assert server.asked(data, ended=True).status in {0, 400}

    @bounded
    @given(
        data=st.sampled_from(HARMLESS),
        at=st.integers(0, 150),
        gone=st.integers(0, 10),
        new=st.binary(max_size=10),
    )
    def test_in_a_good_request_gets_a_sound_answer(
        self, server: Server, data: bytes, at: int, gone: int, new: bytes
    ) -> None:
        is_sound(server.asked(data[:at] + new + data[at + gone :], ended=True))

    @bounded
    @given(name=st.sampled_from(HEADERS), value=values)
    def test_in_a_header_gets_a_sound_answer(self, server: Server, name: str, value: bytes) -> None:
        header = name.encode() + b": " + value
        for path in ("/api/realms", "/api/buckets/bucket1/blob1/content", "/api/realms/nope"):
            is_sound(server.asked(get(path, header), ended=True))
        is_sound(server.asked(post("/api/keys?nope=1", "", header), ended=True))

    @bounded
    @given(place=st.sampled_from(PLACES), segment=segments, format=st.sampled_from(["xml", "json"]))
    @example(place="/api/{}", segment="]]>", format="xml")
    @example(place="/api;{}", segment="driver=]]>", format="xml")
    @example(place="/api/instances/{}", segment="<!--\ufffe\uffff", format="xml")
    def test_in_a_path_gets_a_sound_answer(
        self, server: Server, place: str, segment: str, format: str
    ) -> None:
        path = place.replace("{}", quote(segment, safe=""))
        is_sound(server.asked(get(f"{path}?format={format}")))

    @bounded
    @given(name=segments, value=segments, collection=st.sampled_from(["instances", "keys"]))
    @example(name="id", value="\ud7ff\ue000", collection="keys")
    def test_in_a_query_gets_a_sound_answer(
        self, server: Server, name: str, value: str, collection: str
    ) -> None:
        query = f"{quote(name, safe='')}={quote(value, safe='')}"
        for format in ("xml", "json", "html"):
            is_sound(server.asked(get(f"/api/{collection}?{query}&format={format}")))


@bounded
@given(name=names, content=st.binary(max_size=100))
@example(name="a/b", content=b"")
@example(name="%2e%2e", content=b"x")
@example(name="new_blob_form_d15cfd90", content=b"x")
@example(name=" a+b&c=d;e#f?g ", content=b"x")
@example(name="e\u0301", content=b"x")
def test_a_blob_of_any_name_is_found_where_its_link_leads(
    server: Server, name: str, content: bytes
) -> None:
    if name in {".", ".."}:
        return
    made = server.asked(
        put(f"/api/buckets/bucket2/{quote(name, safe='')}?format=json", body=content)
    )
    assert made.status == 200, made
    assert made.json["blob"]["id"] == name
    link = urlsplit(made.json["blob"]["content_href"]).path
    listed = server.get("/api/buckets/bucket2")[0]["bucket"]["blob_list"]
    assert [blob["id"] for blob in listed].count(name) == 1
    assert server.asked(get(link)).body == content
    assert server.asked(request(f"DELETE {link.removesuffix('/content')}", LOGIN)).status == 204
    assert server.asked(get(link)).status == 404
