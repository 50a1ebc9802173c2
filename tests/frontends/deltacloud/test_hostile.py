"""What strangers send: the right status, a clear message, never a 500."""

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.frontends.deltacloud.conftest import Client, Serve

from nimbi.frontends.deltacloud.features import FEATURES
from nimbi.frontends.deltacloud.routes.table import ROUTES

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        # Paths
        ("GET", "/api/realms/%00", 400),
        ("GET", "/api/realms/a%0d%0aX-Evil:%20y", 400),
        ("GET", "/api/realms/%ff", 400),
        ("GET", "/api/realms/%zz", 400),
        ("GET", "/api;driver=%ff", 400),
        ("GET", "/api;driver=a%00b", 400),
        ("GET", "/api/realms/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/api/realms/%2e%2e", 404),
        ("GET", "/api/realms//us", 404),
        ("GET", "/api/realms/us/", 404),
        ("GET", "http://h:3001//api", 404),
        ("GET", "/api/:id", 404),
        ("GET", "/api/realms/:", 404),
        ("GET", "/api/realms/%E2%98%83", 404),
        ("GET", "/api/realms/%F0%9F%92%A9", 404),
        ("GET", "/api/realms/" + "a" * 5000, 404),
        ("GET", "/api/realms/%3Cscript%3E", 404),
        ("GET", "/api/realms/'%20or%201=1--", 404),
        # Parameters
        ("POST", "/api/instances", 400),
        ("POST", "/api/instances?image_id=", 400),
        ("POST", "/api/instances?image_id=%00", 400),
        ("POST", "/api/instances?image_id=img1&name=a%0ab", 400),
        ("POST", "/api/instances?image_id=img1&nmae=x", 400),
        ("POST", "/api/instances?image_id=img1&hwp_memory=lots", 400),
        ("POST", "/api/instances?image_id=img1&hwp_memory=1e999", 400),
        ("POST", "/api/instances?image_id=img1&hwp_memory=-1", 400),
        ("POST", "/api/instances?image_id=img1&hwp_memory=NaN", 400),
        ("POST", "/api/instances?image_id=img1&hwp_memory=7", 400),
        ("POST", "/api/instances?image_id=img1&hwp_id=none", 400),
        ("POST", "/api/instances?image_id=img1&user_data=%25%25%25", 400),
        ("POST", "/api/instances?image_id=img1&user_data=abc", 400),
        ("POST", "/api/instances?image_id=img1&instance_count=0", 400),
        ("POST", "/api/instances?image_id=img1&instance_count=101", 400),
        ("POST", "/api/instances?image_id=img1&instance_count=two", 400),
        ("POST", "/api/instances?image_id=img1&instance_count=%D9%A3", 400),
        ("POST", "/api/instances?image_id=img1&user_files1=relative=eA==", 400),
        ("POST", "/api/instances?image_id=img1&user_files1=/a/../b=eA==", 400),
        ("POST", "/api/keys", 400),
        ("POST", "/api/keys?name=", 400),
        ("POST", "/api/keys?name=a%00", 400),
        ("POST", "/api/keys?name=a&public_key=nonsense", 400),
        ("POST", "/api/storage_volumes?capacity=x", 400),
        ("POST", "/api/storage_volumes?capacity=0", 400),
        ("POST", "/api/storage_volumes/vol1/attach", 400),
        ("POST", "/api/storage_volumes/vol1/attach?instance_id=inst1", 400),
        ("POST", "/api/storage_volumes/vol1/attach?instance_id=none&device=", 404),
        ("POST", "/api/storage_volumes/vol3/attach?instance_id=inst1&device=", 409),
        ("POST", "/api/storage_volumes/vol1/detach", 409),
        ("POST", "/api/storage_snapshots?volume_id=none", 404),
        ("POST", "/api/addresses/192.168.0.1/associate", 400),
        ("POST", "/api/addresses/192.168.0.1/associate?instance_id=none", 404),
        ("POST", "/api/addresses/192.168.0.1/disassociate", 409),
        ("POST", "/api/firewalls?name=x", 400),
        ("POST", "/api/networks?address_block=x", 400),
        ("POST", "/api/subnets?network_id=net1&address_block=10.0.0.0/99", 400),
        ("POST", "/api/network_interfaces?instance=inst1&network=", 400),
        ("POST", "/api/load_balancers?name=x", 400),
        ("POST", "/api/images?instance_id=none", 404),
        ("POST", "/api/images?instance_id=inst3&name=x", 409),
        ("GET", "/api/instances?realm=us", 400),
        ("GET", "/api/instances?%ff=1", 400),
        ("GET", "/api/instances?realm_id=%ff", 400),
        ("GET", "/api/instances?realm_id=a%0d%0ab", 400),
        ("GET", "/api/instances?" + "&".join(f"a{n}=1" for n in range(2000)), 400),
        ("POST", "/api/instances/inst1/run", 400),
        ("POST", "/api/instances/inst1/run?cmd=&password=x", 400),
        ("POST", "/api/instances/inst1/run?cmd=ls&password=x&port=99999", 400),
        ("POST", "/api?driver=a%0d%0ab", 400),
        ("POST", "/api/keys/test-key?_method=brew", 400),
    ],
)
async def test_bad_requests_get_the_right_status(
    api: Client, method: str, path: str, status: int
) -> None:
    answer = await api(method, path, "application/xml")
    assert answer.status_code == status, answer.text
    assert "Traceback" not in answer.text
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/api/instances", "Required parameter 'image_id' not found in []"),
        ("/api/instances?name=x", "Required parameter 'image_id' not found in [name]"),
        (
            "/api/storage_volumes/vol1/attach?device=x",
            "Required parameter 'instance_id' not found in [id, device]",
        ),
        ("/api/keys?x%0d%0ay=1", "Required parameter 'name' not found in [x\ufffd\ufffdy]"),
    ],
)
async def test_a_missing_parameter_is_told_in_one_plain_line(
    stranger: Client, path: str, line: str
) -> None:
    answer = await stranger("POST", path, "application/xml")
    assert (answer.status_code, answer.text) == (400, line)
    assert answer.headers["content-type"] == "text/html;charset=utf-8"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b'{"name": "x"}', 415),
        ("application/xml", b"<name>x</name>", 415),
        ("text/plain", b"name=x", 415),
        (FORM, b"name=\xff", 400),
        (FORM, b"name=%ff", 400),
        (FORM, b"&".join(b"a%d=1" % n for n in range(2000)), 400),
        (FORM, b"name=" + b"x" * (1 << 20), 413),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=b", b"no boundary here", 400),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nx", 400),
        ("multipart/form-data; boundary=b; charset=utf-7", b"--b--", 415),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="name"; filename="f"\r\n'
            b"\r\nx\r\n--b--\r\n",
            400,
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n'
            + b"x" * (1 << 20)
            + b"\r\n--b--\r\n",
            413,
        ),
    ],
)
async def test_bodies_that_are_no_forms_are_refused(
    api: Client, content_type: str, body: bytes, status: int
) -> None:
    answer = await api(
        "POST",
        "/api/keys",
        "application/json",
        content=body,
        headers={"content-type": content_type},
    )
    assert answer.status_code == status, answer.text
    assert answer.json()["message"]


@pytest.mark.parametrize("content_type", [FORM, f"{FORM}; charset=UTF-8", ""])
async def test_a_form_is_read_from_the_body_too(api: Client, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = await api(
        "POST", "/api/keys?name=query", "application/xml", content=b"name=k%C3%A9y", headers=headers
    )
    assert answer.status_code in {201, 400}
    assert "query" not in etree.fromstring(answer.content).xpath("string(name)")


async def test_a_form_in_parts_is_read_too(api: Client) -> None:
    answer = await api("POST", "/api/keys", "application/xml", files={"name": (None, "k9")})
    assert answer.status_code == 201
    assert etree.fromstring(answer.content).get("id") == "k9"


async def test_an_empty_body_of_any_type_is_no_body(api: Client) -> None:
    headers = {"content-type": "application/json"}
    answer = await api("POST", "/api/keys?name=k", "application/xml", headers=headers)
    assert answer.status_code == 201


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "", "9" * 40, "\u0663"])
async def test_a_content_length_that_is_no_number_is_refused(api: Client, length: str) -> None:
    headers = {"content-length": length.encode(), "content-type": FORM.encode()}
    answer = await api("POST", "/api/keys", "application/xml", content=b"", headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize("length", ["3", "7"])
async def test_a_body_of_another_size_than_told_is_refused(api: Client, length: str) -> None:
    headers = {"content-length": length, "content-type": FORM}
    answer = await api("POST", "/api/keys", "application/xml", content=b"name=k", headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "host", ["", "h'><x", "a b", "h:99999999", "h/path", "user@h", "h\\x", "[::1", "a" * 300]
)
async def test_a_host_that_is_none_is_refused(api: Client, host: str) -> None:
    answer = await api("GET", "/api", "application/xml", headers={"host": host})
    assert answer.status_code == 400
    assert "Host header" in answer.text


@pytest.mark.parametrize("host", ["h", "h:80", "10.0.0.1:3001", "[::1]:3001", "a-b.c_d.example"])
async def test_links_are_built_of_the_host_that_was_asked(api: Client, host: str) -> None:
    root = await api.xml("GET", "/api", headers={"host": host})
    assert root[0].get("href") == f"http://{host}/api/addresses"


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=NAMES)
async def test_a_name_of_any_letters_is_kept_or_refused(serve: Serve, name: str) -> None:
    async with serve() as api:
        made = await api(
            "POST",
            "/api/instances",
            "application/xml",
            data={
                "image_id": "img1",
                "name": name,
            },
        )
        assert made.status_code in {201, 400}, made.text
        if made.status_code == 201:
            assert etree.fromstring(made.content).findtext("name") == name
            id = etree.fromstring(made.content).get("id")
            told = await api.json("GET", f"/api/instances/{id}")
            assert told["instance"]["name"] == name
            page = await api("GET", f"/api/instances/{id}", "text/html")
            assert page.status_code == 200


PATHS = sorted({route.path for route in ROUTES})
PARAMETERS = sorted(
    {p.name for route in ROUTES for p in (*route.parameters, *route.features)}
    | {f"{p.name}1" for group in FEATURES.values() for f in group for p in f.parameters}
)
VALUES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["img1", "inst1", "vol1", "us", "net1", "1", "-1", "10.0.0.0/8", "\x00", "%"]),
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_no_request_is_answered_by_a_500(serve: Serve, data: st.DataObject) -> None:
    method = data.draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]))
    pattern = data.draw(st.sampled_from(PATHS))
    ids = st.one_of(
        st.sampled_from(["inst1", "img1", "bucket1", "blob1", "us"]), st.text(max_size=9)
    )
    path = "/".join(
        quote(data.draw(ids), safe="") if part.startswith(":") else part
        for part in pattern.split("/")
    )
    parameters = data.draw(
        st.dictionaries(st.sampled_from(PARAMETERS) | st.text(max_size=5), VALUES, max_size=4)
    )
    accept = data.draw(
        st.sampled_from(["application/xml", "application/json", "text/html", "image/png"])
    )
    async with serve() as api:
        answer = await api(method, path, accept, params=parameters)
        assert answer.status_code < 500 or answer.status_code == 501, answer.text
        if answer.content and answer.headers.get("content-type") == "application/xml":
            etree.fromstring(answer.content)
