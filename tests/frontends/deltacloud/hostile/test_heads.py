"""Paths, verbs, headers and logins that are wrong or meant badly: right status, no change."""

import pytest
from tests.frontends.deltacloud.hostile.raw import (
    BLOB,
    FORM,
    LOGIN,
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

# More than the server reads at once, so that it sees the limit before the end.
OVER_LIMIT = 1_000_000

SELECTIONS: dict[str, Case] = {
    "a driver that is not there": (get("/api;driver=nope/realms"), 400),
    "a header with a driver that is not there": (
        get("/api/realms", "X-Deltacloud-Driver: nope"),
        400,
    ),
    "the last of two drivers": (get("/api;driver=mock;driver=nope/realms"), 400),
    "a path as a driver": (get("/api;driver=..%2f..%2fetc%2fpasswd"), 400),
    "a module as a driver": (get("/api;driver=nimbi.drivers.mock"), 400),
    "markup as a driver": (get("/api;driver=%3Cscript%3E?format=html"), 400),
    "a line end in a driver": (get("/api;driver=mock%0d%0aX-Evil:1"), 400),
    "a zero byte in a driver": (get("/api;driver=mock%00"), 400),
    "a very long driver": (get("/api;driver=" + "a" * 5000), 400),
    "a driver header that is not UTF-8": (get("/api", b"X-Deltacloud-Driver: \xff\xfe"), 400),
    "an empty driver": (get("/api;driver="), 200),
    "a driver in capitals": (get("/api", "X-Deltacloud-Driver: MOCK"), 200),
    "a driver on a later segment": (get("/api/realms;driver=nope"), 400),
    "a line end in a provider": (get("/api;provider=a%0d%0aX-Evil:1"), 400),
    "a zero byte in a provider": (get("/api;provider=%00"), 400),
    "a very long provider": (get("/api", "X-Deltacloud-Provider: " + "a" * 5000), 400),
    "a provider of any letters": (get("/api;provider=%C3%A9%E2%82%AC"), 200),
    "many matrix parameters": (get("/api" + ";a=b" * 5000 + "/realms"), 200),
    "a matrix parameter without a name": (get("/api;=x;;/realms"), 200),
    "a matrix parameter that is not known": (get("/api/realms;x=1"), 400),
    "a choice that splits headers": (post("/api", "driver=a%0d%0aX-Evil:1"), 400),
    "a choice that is not ASCII": (post("/api", "driver=%E2%82%AC%22%3E"), 301),
    "a referer that splits headers": (
        post("/api", "provider=a", "Referer: http://h/api;driver=%0d%0aX-Evil:1"),
        301,
    ),
}

PATHS: dict[str, Case] = {
    "an id that is not there": (get("/api/realms/nope"), 404),
    "dots in place of an id": (get("/api/realms/.."), 404),
    "encoded dots": (get("/api/realms/%2e%2e"), 404),
    "encoded dots and slashes": (get("/api/realms/..%2f..%2fetc%2fpasswd"), 404),
    "a way down and up again": (get("/api/x/../realms"), 404),
    "a dot on the way": (get("/api/./realms"), 404),
    "backslashes": (get("/api/realms/..%5c..%5cetc"), 404),
    "a zero byte in an id": (get("/api/realms/us%00"), 400),
    "a line end in an id": (get("/api/realms/us%0d%0aX-Evil:%201"), 400),
    "a delete character in an id": (get("/api/realms/%7f"), 400),
    "a C1 control character in an id": (get("/api/realms/%C2%85"), 404),
    "bytes that are not UTF-8": (get("/api/realms/%ff%fe"), 400),
    "an overlong zero byte": (get("/api/realms/%c0%80"), 400),
    "a surrogate": (get("/api/realms/%ed%a0%80"), 400),
    "raw bytes that are not ASCII": (get(b"/api/realms/\xc3\xa9"), 400),
    "an escape with letters": (get("/api/realms/%zz"), 400),
    "an escape cut off": (get("/api/realms/us%2"), 400),
    "an id of all planes": (get("/api/realms/%F0%9F%A6%84%E2%80%AE%EF%BF%BF"), 404),
    "an id that is twice encoded": (get("/api/realms/%2575%2573"), 404),
    "an id with a combining accent": (get("/api/realms/u%CC%81s"), 404),
    "a very long id": (get("/api/realms/" + "a" * 60_000), 404),
    "a path over the limit": (get("/api/realms/" + "a" * OVER_LIMIT), 431),
    "very many segments": (get("/api" + "/a" * 20_000), 404),
    "a slash at the end": (get("/api/realms/"), 404),
    "two slashes": (get("/api//realms"), 404),
    "an encoded slash between": (get("/api%2frealms"), 404),
    "an encoded letter": (get("/api/%72ealms"), 200),
    "capitals": (get("/API/realms"), 404),
    "a segment too many": (get("/api/realms/us/x/y"), 404),
    "a colon for the placeholder": (get("/api/:"), 404),
    "a collection of Python": (get("/api/__class__"), 404),
    "a file of the server": (get("/stylesheets/..%2fapp.py"), 404),
    "a file by an absolute path": (get("//etc/passwd"), 404),
    "a whole address": (get("http://evil.example/api/realms/us"), 200),
    "a path that is no path": (get("api"), 400),
    "an empty path": (request("GET ", LOGIN), 400),
    "a fragment": (get("/api/realms/us#x"), 200),
    "documentation that is not there": (get("/api/docs/nope"), 404),
    "documentation of dots": (get("/api/docs/%2e%2e/x"), 404),
}

VERBS: dict[str, Case] = {
    "a verb of another place": (request("DELETE /api/realms/us", LOGIN), 405),
    "a verb that nothing has": (request("PATCH /api/realms", LOGIN), 405),
    "PUT to a collection": (put("/api/instances"), 405),
    "TRACE": (request("TRACE /api", LOGIN), 405),
    "a verb that is not known": (request("BREW /api", LOGIN), 400),
    "a verb in small letters": (request("get /api", LOGIN), 400),
    "CONNECT": (request("CONNECT h:80", LOGIN), 400),
    "OPTIONS of all": (request("OPTIONS *", LOGIN), 400),
    "OPTIONS of nothing": (request("OPTIONS /api/nope", LOGIN), 404),
    "a verb to stand in that is not known": (
        post("/api/keys", "", "X-HTTP-Method-Override: PATCH"),
        400,
    ),
    "a verb to stand in with a line end": (post("/api/keys", "_method=GET%0d%0a"), 400),
    "a verb to stand in for GET": (
        get("/api/keys/test-key", "X-HTTP-Method-Override: DELETE"),
        200,
    ),
    "a verb to stand in for GET by query": (get("/api/keys/test-key?_method=delete"), 200),
    "a verb to stand in at the wrong place": (post("/api/realms/us", "_method=delete"), 405),
    "a form of another site": (
        post("/api/keys/test-key", "_method=delete", "Origin: http://evil.example"),
        403,
    ),
    "a form of nowhere": (post("/api/keys", "name=x", "Origin: null"), 403),
    "a form of a neighbour": (post("/api/keys", "name=x", "Sec-Fetch-Site: same-site"), 403),
    "an action of another site": (
        post("/api/instances/inst1/stop", "", "Sec-Fetch-Site: cross-site"),
        403,
    ),
}

FORMATS: dict[str, Case] = {
    "a format that is not there": (get("/api/realms?format=exe"), 406),
    "a format in capitals": (get("/api/realms?format=XML"), 406),
    "an empty format": (get("/api/realms?format="), 406),
    "a path as a format": (get("/api/realms?format=../../etc/passwd"), 406),
    "the last of two formats": (get("/api/realms?format=xml&format=exe"), 406),
    "a picture where there is none": (get("/api/realms?format=png"), 406),
    "a page as XML": (get("/api/instances/new?format=xml"), 406),
    "a type that is not there": (get("/api/realms", "Accept: application/unknown"), 406),
    "a header of noise": (get("/api/realms", "Accept: ;;;q=,,/;q=x"), 406),
    "a header that is not UTF-8": (get("/api/realms", b"Accept: \xff\xff"), 406),
    "a weight that is no number": (get("/api/realms", "Accept: application/xml;q=nan"), 406),
    "a weight beyond all": (get("/api/realms", "Accept: application/xml;q=1e999"), 406),
    "very many types": (get("/api/realms", "Accept: " + "a/b," * 15_000), 406),
    "two headers": (get("/api/realms", "Accept: x/y", "Accept: application/json"), 200),
}

LOGINS: dict[str, Case] = {
    "none": (request("GET /api/instances"), 401),
    "a wrong password": (request("GET /api/instances", login(password="wrong")), 401),
    "an empty password": (request("GET /api/instances", login(password="")), 401),
    "a user of another letter case": (request("GET /api/instances", login(user="MockUser")), 401),
    "an empty login": (request("GET /api/instances", "Authorization: Basic"), 401),
    "noise": (request("GET /api/instances", "Authorization: Basic !!!"), 401),
    "base64 without an end": (request("GET /api/instances", LOGIN.rstrip("=") + "x"), 401),
    "no colon": (request("GET /api/instances", "Authorization: Basic bW9ja3VzZXI="), 401),
    "a zero byte": (request("GET /api/instances", login(password="mockpassword\0")), 401),
    "a line end": (request("GET /api/instances", login(password="mockpassword\r\n")), 401),
    "not UTF-8": (request("GET /api/instances", "Authorization: Basic /zr/"), 401),
    "a very long one": (request("GET /api/instances", login(password="x" * 30_000)), 401),
    "another scheme": (request("GET /api/instances", "Authorization: Bearer x"), 401),
    "a wrong one before the right one": (
        request("GET /api/instances", login(password="wrong"), LOGIN),
        401,
    ),
    "one in the address": (request("GET http://mockuser:mockpassword@h/api/instances"), 401),
    "one in the query": (request("GET /api/instances?user=mockuser&password=mockpassword"), 400),
    "a wrong one that is to be checked": (
        request("GET /api?force_auth=1", login(password="wrong")),
        401,
    ),
    "none for a change": (request("POST /api/keys", FORM, body="name=x"), 401),
    "none for an upload": (request(f"PUT {BLOB}", body=b"evil"), 401),
    "none for an upload by form": (
        request(
            "POST /api/buckets/bucket1",
            "Content-Type: multipart/form-data; boundary=b",
            body='--b\r\nContent-Disposition: form-data; name="blob_id"\r\n\r\nx\r\n--b--\r\n',
        ),
        401,
    ),
}

HEADS: dict[str, Case] = {
    "no host": (b"GET /api HTTP/1.0\r\n\r\n", 400),
    "no host in HTTP/1.1": (b"GET /api HTTP/1.1\r\n\r\n", 400),
    "an empty host": (request("GET /api", host="Host:"), 400),
    "two hosts": (request("GET /api", "Host: evil.example"), 400),
    "a host with a blank": (request("GET /api", host="Host: a b"), 400),
    "a host with markup": (request("GET /api", host="Host: h'><x"), 400),
    "a host with a path": (request("GET /api", host="Host: h/x"), 400),
    "a host with a user": (request("GET /api", host="Host: u@h"), 400),
    "a very long host": (request("GET /api", host="Host: " + "h" * 300), 400),
    "a host with a port beyond all": (request("GET /api", host="Host: h:999999"), 400),
    "a zero byte": (request("GET /api", b"X-A: \0"), 400),
    "a header without a colon": (request("GET /api", "nonsense"), 400),
    "a blank before the colon": (request("GET /api", "X-A : b"), 400),
    "a name that is not ASCII": (request("GET /api", "Xé: b"), 400),
    "a folded header": (request("GET /api", "X-A: b\r\n c"), 400),
    "headers over the limit": (request("GET /api", "X-A: " + "a" * OVER_LIMIT), 431),
    "very many headers": (request("GET /api", *(f"X-{n}: a" for n in range(2000))), 200),
    "a version that is not there": (b"GET /api HTTP/9.9\r\nHost: h\r\n\r\n", 400),
    "no version": (b"GET /api\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64, 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "noise": (bytes(range(256)) * 4, 400),
    "an upgrade": (request("GET /api", "Connection: Upgrade", "Upgrade: websocket"), 200),
    "a request id that splits lines": (request("GET /api", 'X-Request-Id: a"}\t{"b'), 200),
    "what a proxy would tell": (
        request("GET /api", "X-Forwarded-Proto: javascript", "X-Forwarded-For: evil"),
        200,
    ),
}

QUERIES: dict[str, Case] = {
    "a parameter that is not known": (get("/api/instances?nope=1"), 400),
    "a parameter of another operation": (get("/api/keys?state=RUNNING"), 400),
    "bytes that are not UTF-8": (get("/api/instances?id=%ff"), 400),
    "a raw byte that is not ASCII": (get(b"/api/instances?id=\xff"), 400),
    "an escape cut off": (get("/api/instances?id=%"), 200),
    "a zero byte": (get("/api/instances?id=%00"), 400),
    "a line end in a name": (get("/api/instances?a%0d%0aX-Evil:1"), 400),
    "very many parameters": (get("/api/instances?" + "id=x&" * 5000), 400),
    "no name": (get("/api/instances?=x"), 400),
    "nothing but signs": (get("/api/instances?&&&;;"), 400),
    "a list": (get("/api/instances?id[]=inst1"), 400),
    "an object": (get("/api/instances?id[__proto__]=inst1"), 400),
    "the same twice": (get("/api/instances?id=nope&id=inst1"), 200),
    "a statement of SQL": (get("/api/instances?id=%27%20OR%201=1--"), 200),
    "a template": (get("/api/instances?id={{7*7}}${7*7}"), 200),
}


@pytest.mark.usefixtures("kept")
class TestWhateverIsSent:
    @cases(SELECTIONS)
    def test_as_driver_or_provider(self, server: Server, data: bytes, status: int) -> None:
        check(server.asked(data), status)

    @cases(PATHS)
    def test_as_a_path(self, server: Server, data: bytes, status: int) -> None:
        check(server.asked(data), status)

    @cases(VERBS)
    def test_as_a_verb(self, server: Server, data: bytes, status: int) -> None:
        check(server.asked(data), status)

    @cases(FORMATS)
    def test_as_a_format(self, server: Server, data: bytes, status: int) -> None:
        check(server.asked(data), status)

    @cases(LOGINS)
    def test_as_a_login(self, server: Server, data: bytes, status: int) -> None:
        answer = server.asked(data)
        check(answer, status)
        assert b"inst1" not in answer.body

    @cases(HEADS)
    def test_as_headers(self, server: Server, data: bytes, status: int) -> None:
        check(server.asked(data, ended=True), status)

    @cases(QUERIES)
    def test_as_a_query(self, server: Server, data: bytes, status: int) -> None:
        check(server.asked(data), status)
