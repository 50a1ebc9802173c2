"""Bodies, values and ranges that are wrong or meant badly: the right status, and no change."""

import gzip

import pytest
from tests.frontends.deltacloud.hostile.raw import (
    BLOB,
    FORM,
    LOGIN,
    MAX_BODY_BYTES,
    SILENCE,
    Case,
    Server,
    cases,
    check,
    get,
    login,
    post,
    put,
    request,
)

XML = "Content-Type: application/xml"
JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
MULTIPART = "Content-Type: multipart/form-data; boundary=b"
BOMB = '<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'
TOO_MUCH = "name=" + "x" * MAX_BODY_BYTES


def part(headers: str, content: str = "x", end: str = "--b--\r\n") -> str:
    """Return a form of one part."""
    return f"--b\r\n{headers}\r\n\r\n{content}\r\n{end}"


NAMED = 'Content-Disposition: form-data; name="name"'
FILE = 'Content-Disposition: form-data; name="name"; filename="../../etc/passwd"'

FORMS: dict[str, Case] = {
    "JSON": (post("/api/keys", '{"name":"x"}', JSON), 415),
    "broken JSON": (post("/api/keys", '{"name":', JSON), 415),
    "XML": (post("/api/keys", "<key><name>x</name></key>", XML), 415),
    "broken XML": (post("/api/keys", "<key><name>", XML), 415),
    "entities": (post("/api/keys", BOMB, XML), 415),
    "text": (post("/api/keys", "name=x", "Content-Type: text/plain"), 415),
    "an unknown type": (post("/api/keys", "name=x", "Content-Type: x/y"), 415),
    "a type that is no type": (post("/api/keys", "name=x", b"Content-Type: \xff\xff/*"), 415),
    "JSON in place of a form": (post("/api/keys", '{"name":"x"}'), 400),
    "nothing": (post("/api/keys", ""), 400),
    "nothing but signs": (post("/api/keys", "&&==&&"), 400),
    "a form that is too large": (post("/api/keys", TOO_MUCH), 413),
    "a form that is far too large": (
        request("POST /api/keys", LOGIN, FORM, "Content-Length: 99999999999", body="name=x"),
        413,
    ),
    "a form that is too large in chunks": (
        post("/api/keys", f"{len(TOO_MUCH):x}\r\n{TOO_MUCH}\r\n0\r\n\r\n", CHUNKED),
        413,
    ),
    "very many fields": (post("/api/keys", "name=x&" * 1001), 400),
    "bytes that are not UTF-8": (post("/api/keys", b"name=\xff\xfe"), 400),
    "escapes that are not UTF-8": (post("/api/keys", "name=%ff%fe"), 400),
    "an encoded surrogate": (post("/api/keys", "name=%ed%a0%80"), 400),
    "a zero byte": (post("/api/keys", "name=a%00b"), 400),
    "a line end": (post("/api/keys", "name=a%0d%0aX-Evil:%201"), 400),
    "a compressed form": (
        post("/api/keys", gzip.compress(b"name=x"), "Content-Encoding: gzip"),
        400,
    ),
    "parts without a boundary": (
        post("/api/keys", part(NAMED), "Content-Type: multipart/form-data"),
        400,
    ),
    "parts with an empty boundary": (
        post("/api/keys", part(NAMED), "Content-Type: multipart/form-data; boundary="),
        400,
    ),
    "parts with a boundary over the limit": (
        post("/api/keys", part(NAMED), "Content-Type: multipart/form-data; boundary=" + "b" * 9000),
        400,
    ),
    "parts with another boundary": (
        post("/api/keys", part(NAMED), "Content-Type: multipart/form-data; boundary=c"),
        400,
    ),
    "parts of noise": (post("/api/keys", bytes(range(256)), MULTIPART), 400),
    "parts that do not end": (post("/api/keys", part(NAMED, end=""), MULTIPART), 400),
    "no part": (post("/api/keys", "--b--\r\n", MULTIPART), 400),
    "a part without a name": (post("/api/keys", part("X: y"), MULTIPART), 400),
    "a part of a broken header": (post("/api/keys", part("\0: \r"), MULTIPART), 400),
    "a part of a zero byte": (post("/api/keys", part(NAMED, "\0"), MULTIPART), 400),
    "very many parts": (
        post("/api/keys", part(NAMED, end="") * 1100 + "--b--\r\n", MULTIPART),
        400,
    ),
    "parts of another charset": (
        post("/api/keys", part(NAMED), MULTIPART + "; charset=utf-7"),
        415,
    ),
    "parts of a charset that is not there": (
        post("/api/keys", part(NAMED), MULTIPART + "; charset=x"),
        415,
    ),
    "a part that is too large": (
        post("/api/keys", part(NAMED, "x" * MAX_BODY_BYTES), MULTIPART),
        413,
    ),
    "a file where a text is wanted": (post("/api/keys", part(FILE), MULTIPART), 400),
    "a file in place of an id": (
        post("/api/instances", part(FILE.replace('"name"', '"image_id"')), MULTIPART),
        400,
    ),
    "a file with a path of the instance that climbs": (
        post(
            "/api/instances?image_id=img1",
            part('Content-Disposition: form-data; name="user_files1"; filename="/a/../../b"'),
            MULTIPART,
        ),
        400,
    ),
    "parts with a form's verb": (
        post("/api/realms/us", part(NAMED.replace('"name"', '"_method"'), "delete"), MULTIPART),
        405,
    ),
}

LENGTHS: dict[str, Case] = {
    "no number": (post("/api/keys", "name=x", "Content-Length: x"), 400),
    "a negative one": (post("/api/keys", "name=x", "Content-Length: -1"), 400),
    "one with a sign": (post("/api/keys", "name=x", "Content-Length: +6"), 400),
    "one beyond all": (post("/api/keys", "name=x", "Content-Length: " + "9" * 30), 400),
    "two that differ": (post("/api/keys", "name=x", "Content-Length: 6", "Content-Length: 5"), 400),
    "a list": (post("/api/keys", "name=x", "Content-Length: 6, 6"), 400),
    "one beside chunks": (
        post("/api/keys", "6\r\nname=x\r\n0\r\n\r\n", CHUNKED, "Content-Length: 6"),
        400,
    ),
    "a coding that is not known": (post("/api/keys", "name=x", "Transfer-Encoding: rot13"), 400),
    "chunks that are not last": (
        post("/api/keys", "0\r\n\r\n", "Transfer-Encoding: chunked, gzip"),
        400,
    ),
    "chunks of noise": (post("/api/keys", "zz\r\nname=x\r\n", CHUNKED), 400),
    "a negative chunk": (post("/api/keys", "-6\r\nname=x\r\n0\r\n\r\n", CHUNKED), 400),
    "a chunk beyond all": (post("/api/keys", "f" * 40 + "\r\nname=x\r\n", CHUNKED), 400),
    "a chunk that is longer than told": (
        post("/api/keys", "1\r\nname=x\r\n0\r\n\r\n", CHUNKED),
        400,
    ),
}

# The client goes away in the middle, and nobody is left to answer.
BROKEN_OFF: dict[str, bytes] = {
    "a form": request("POST /api/keys", LOGIN, FORM, "Content-Length: 9", body="name=x"),
    "a form in chunks": post("/api/keys", "6\r\nname=x\r\n", CHUNKED),
    "parts": request("POST /api/keys", LOGIN, MULTIPART, "Content-Length: 999", body=part(NAMED)),
    "an upload": request(f"PUT {BLOB}", LOGIN, "Content-Length: 9", body="evil"),
    "an upload in chunks": request(f"PUT {BLOB}", LOGIN, CHUNKED, body="4\r\nevil\r\n"),
    "an upload by form": request(
        "POST /api/buckets/bucket1?blob_id=blob1",
        LOGIN,
        MULTIPART,
        "Content-Length: 999",
        body=part(NAMED.replace('"name"', '"blob_data"')),
    ),
    "a head": b"GET /api HTTP/1.1\r\nHost: h\r\n",
}

IMAGE = "image_id=img1&"
RULE = "protocol=tcp&port_from=1&port_to=2&ip_address1=10.0.0.0/8"
BALANCER = (
    "name=x&realm_id=us&listener_protocol={}&listener_balancer_port={}&listener_instance_port=1"
)

VALUES: dict[str, Case] = {
    "an image that is not there": (post("/api/instances", "image_id=nope"), 400),
    "a profile that is not there": (post("/api/instances", IMAGE + "hwp_id=nope"), 400),
    "a realm that is not there": (post("/api/instances", IMAGE + "realm_id=nope"), 400),
    "a key that is not there": (post("/api/instances", IMAGE + "keyname=nope"), 400),
    "a firewall that is not there": (post("/api/instances", IMAGE + "firewalls1=nope"), 400),
    "a balancer that is not there": (post("/api/instances", IMAGE + "load_balancer_id=nope"), 400),
    "a snapshot that is not there": (post("/api/instances", IMAGE + "snapshot_id=nope"), 400),
    "a parameter that is not known": (post("/api/instances", IMAGE + "hwp_gpu=1"), 400),
    "no memory": (post("/api/instances", IMAGE + "hwp_memory=0"), 400),
    "infinite memory": (post("/api/instances", IMAGE + "hwp_memory=Infinity"), 400),
    "memory of many digits": (post("/api/instances", IMAGE + "hwp_memory=" + "9" * 5000), 400),
    "processors in words": (post("/api/instances", IMAGE + "hwp_cpu=two"), 400),
    "processors in other digits": (post("/api/instances", IMAGE + "hwp_cpu=%D9%A1"), 400),
    "processors in hexadecimal": (post("/api/instances", IMAGE + "hwp_cpu=0x1"), 400),
    "processors with a line": (post("/api/instances", IMAGE + "hwp_cpu=0_1"), 400),
    "fewer than none": (post("/api/instances", IMAGE + "instance_count=-1"), 400),
    "one and a half": (post("/api/instances", IMAGE + "instance_count=1.5"), 400),
    "a password of a zero byte": (post("/api/instances", IMAGE + "password=a%00"), 400),
    "an action of nobody": (post("/api/instances/nope/start", ""), 404),
    "an action at the wrong time": (post("/api/instances/inst1/start", ""), 405),
    "an action that is not there": (post("/api/instances/inst1/explode", ""), 404),
    "a destroy at the wrong time": (request("DELETE /api/instances/inst1", LOGIN), 405),
    "a command without a login": (post("/api/instances/inst1/run", "cmd=ls"), 400),
    "a key of a name in use": (post("/api/keys", "name=test-key"), 409),
    "a key of nobody": (request("DELETE /api/keys/nope", LOGIN), 404),
    "a volume of negative size": (post("/api/storage_volumes", "capacity=-1"), 400),
    "a volume beyond all": (post("/api/storage_volumes", "capacity=1e99"), 400),
    "a volume of nothing": (post("/api/storage_volumes", "snapshot_id=nope"), 404),
    "an address to nothing": (post("/api/addresses/192.168.0.1/associate", "instance_id="), 400),
    "a rule of nothing": (post("/api/firewalls/nope/rules", RULE), 404),
    "a rule without a source": (post("/api/firewalls/nope/rules", RULE.rpartition("&")[0]), 400),
    "a rule of a port beyond all": (
        post("/api/firewalls/nope/rules", RULE.replace("port_to=2", "port_to=65536")),
        400,
    ),
    "a rule of ports in the wrong order": (
        post("/api/firewalls/nope/rules", RULE.replace("port_to=2", "port_to=0")),
        400,
    ),
    "a rule of an unknown protocol": (
        post("/api/firewalls/nope/rules", RULE.replace("tcp", "xxx")),
        400,
    ),
    "a rule of no address": (
        post("/api/firewalls/nope/rules", RULE.replace("10.0.0.0/8", "999.1.1.1")),
        400,
    ),
    "a balancer of an unknown protocol": (
        post("/api/load_balancers", BALANCER.format("gopher", 80)),
        400,
    ),
    "a balancer of port 0": (post("/api/load_balancers", BALANCER.format("tcp", 0)), 400),
    "a network of no block": (post("/api/networks", "address_block=10.0.0.0/99"), 400),
    "a subnet of nothing": (post("/api/subnets", "network_id=nope&address_block=10.9.0.0/16"), 404),
    "a subnet outside of its network": (
        post("/api/subnets", "network_id=net1&address_block=172.16.0.0/16"),
        400,
    ),
    "a bucket in use": (request("DELETE /api/buckets/bucket1", LOGIN), 409),
    "a bucket of two places": (
        post("/api/buckets", "name=x&location=EU&bucket_location=US"),
        400,
    ),
    "a bucket that a path cannot name": (post("/api/buckets", "name=.."), 400),
    "a blob of nowhere": (put("/api/buckets/nope/x"), 404),
    "a blob that a path cannot name": (
        post("/api/buckets/bucket1", "blob_id=..&blob_data=x"),
        400,
    ),
    "metadata with a line end": (
        post(
            "/api/buckets/bucket1", "blob_id=x&blob_data=x&meta_name1=a&meta_value1=%0d%0aX-Evil:1"
        ),
        400,
    ),
    "metadata of a name that is none": (
        post("/api/buckets/bucket1", "blob_id=x&blob_data=x&meta_name1=a%20b:&meta_value1=x"),
        400,
    ),
    "very much metadata": (put(BLOB, "X-Deltacloud-Blobmeta-A: " + "x" * 9000), 400),
    "metadata to nothing": (post("/api/buckets/bucket1/nope", ""), 404),
    "a type of content that is none": (put(BLOB, b"Content-Type: \xff"), 400),
    "a type of blob that is not there": (put(BLOB, "X-Deltacloud-BlobType: evil"), 400),
    "a segment of nothing": (
        put(BLOB + "?blob_type=segmented&segmented_blob=x&segment_order=1"),
        404,
    ),
    "segment 0": (put(BLOB + "?blob_type=segmented&segmented_blob=x&segment_order=0"), 400),
    "segment -1": (put(BLOB + "?blob_type=segmented&segmented_blob=x&segment_order=-1"), 400),
    "a list of segments of noise": (
        put(BLOB + "?blob_type=segmented&segmented_blob=x", body=b"\xff"),
        400,
    ),
    "a list of a segment twice": (
        put(BLOB + "?blob_type=segmented&segmented_blob=x", body=b"1=a, 1=b"),
        400,
    ),
}

RANGES: dict[str, Case] = {
    "the first byte": (get(BLOB + "/content", "Range: bytes=0-0"), 206),
    "the last byte": (get(BLOB + "/content", "Range: bytes=-1"), 206),
    "more than there is": (get(BLOB + "/content", "Range: bytes=0-99999999"), 206),
    "more of the end than there is": (get(BLOB + "/content", "Range: bytes=-99999999"), 206),
    "from beyond the end": (get(BLOB + "/content", "Range: bytes=99-"), 416),
    "no byte of the end": (get(BLOB + "/content", "Range: bytes=-0"), 416),
    "in the wrong order": (get(BLOB + "/content", "Range: bytes=5-2"), 200),
    "negative": (get(BLOB + "/content", "Range: bytes=--1"), 200),
    "many digits": (get(BLOB + "/content", "Range: bytes=0-" + "9" * 9000), 200),
    "other digits": (get(BLOB + "/content", "Range: bytes=0-٣"), 200),
    "two ranges": (get(BLOB + "/content", "Range: bytes=0-1,3-4"), 200),
    "very many ranges": (get(BLOB + "/content", "Range: bytes=" + "0-," * 9000), 200),
    "another unit": (get(BLOB + "/content", "Range: lines=0-1"), 200),
    "nothing": (get(BLOB + "/content", "Range: bytes="), 200),
    "bytes that are not UTF-8": (get(BLOB + "/content", b"Range: \xff\xff"), 200),
    "a condition that does not hold": (
        get(BLOB + "/content", "Range: bytes=0-0", 'If-Range: "x"'),
        200,
    ),
    "a condition of noise": (get(BLOB + "/content", "If-Modified-Since: yesterday"), 200),
    "a date beyond all": (
        get(BLOB + "/content", "If-Modified-Since: Mon, 01 Jan 99999 00:00:00 GMT"),
        200,
    ),
    "a range of nothing": (get("/api/buckets/bucket1/nope/content", "Range: bytes=0-0"), 404),
    "a range of a list": (get("/api/realms", "Range: bytes=0-0"), 200),
    "content that is asked for as XML": (get(BLOB + "/content?format=xml"), 200),
}


@pytest.mark.usefixtures("kept")
class TestWhateverIsSent:
    @cases(FORMS)
    def test_as_a_form(self, server: Server, data: bytes, status: int) -> None:
        check(server.asked(data), status)

    @cases(LENGTHS)
    def test_as_a_length(self, server: Server, data: bytes, status: int) -> None:
        check(server.asked(data, ended=True), status)

    @cases(VALUES)
    def test_as_a_value(self, server: Server, data: bytes, status: int) -> None:
        check(server.asked(data), status)

    @cases(RANGES)
    def test_as_a_range(self, server: Server, data: bytes, status: int) -> None:
        check(server.asked(data), status)

    @pytest.mark.parametrize("data", BROKEN_OFF.values(), ids=BROKEN_OFF.keys())
    def test_and_broken_off_is_not_answered(self, server: Server, data: bytes) -> None:
        assert server.asked(data, ended=True) == SILENCE


@pytest.mark.usefixtures("kept")
class TestOneConnection:
    def test_answers_requests_in_their_order(self, server: Server) -> None:
        paths = ["/api/realms/us", "/api/realms/nope", "/api/nope", "/api/realms/eu"]
        with server.connected() as connection:
            connection.send(b"".join(get(f"{path}?format=json") for path in paths))
            answers = [connection.answer() for _ in paths]
        assert [answer.status for answer in answers] == [200, 404, 404, 200]
        assert answers[3].json["realm"]["id"] == "eu"

    def test_forgets_the_login_of_the_request_before(self, server: Server) -> None:
        with server.connected() as connection:
            connection.send(get("/api/instances") + request("GET /api/instances"))
            connection.send(request("GET /api/instances", login(password="wrong")))
            statuses = [connection.answer().status for _ in range(3)]
        assert statuses == [200, 401, 401]

    def test_forgets_the_driver_of_the_request_before(self, server: Server) -> None:
        with server.connected() as connection:
            connection.send(get("/api;driver=local?format=json") + get("/api?format=json"))
            drivers = [connection.answer().json["api"]["driver"] for _ in range(2)]
        assert drivers == ["local", "mock"]

    def test_goes_on_after_a_refused_body(self, server: Server) -> None:
        with server.connected() as connection:
            connection.send(post("/api/keys", "{}", JSON) + get("/api/realms/us"))
            assert [connection.answer().status for _ in range(2)] == [415, 200]

    def test_takes_what_follows_a_short_body_as_another_request(self, server: Server) -> None:
        hidden = "GET /api/instances HTTP/1.1\r\nHost: h\r\n\r\n"
        with server.connected() as connection:
            connection.send(post("/api/keys", "nope=1" + hidden, "Content-Length: 6"))
            assert [connection.answer().status for _ in range(2)] == [400, 401]
