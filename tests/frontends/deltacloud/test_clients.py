"""Requests as the stock clients of Deltacloud send them: the Ruby gem, the Python one, curl."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.frontends.deltacloud.stock_clients import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a mock cloud; each test leaves its cloud as it found it."""
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_the_gem_connects_and_finds_what_it_caches(server: Server) -> None:
    answer = server.gem("GET", "")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/xml"
    assert answer.root.attrib == {"driver": "mock", "version": "1.1.3"}
    assert answer.headers["server"] == "Apache-Deltacloud/1.1.3"
    assert {"instances", "buckets"} <= {link.attrib["rel"] for link in answer.root.iter("link")}


@pytest.mark.parametrize("path", ["", "/", ";driver=mock", ";driver=mock;provider=p"])
def test_a_login_is_checked_wherever_the_entry_point_is_asked(server: Server, path: str) -> None:
    assert server.gem("GET", path, force_auth="true").status == 200
    assert server.gem("GET", path, "mockuser:wrong", force_auth="true").status == 401
    assert server.gem("GET", path, None, force_auth="true").status == 401


def test_the_gem_starts_an_instance_with_all_parameters_in_the_query(server: Server) -> None:
    told = server.gem(
        "POST",
        "/instances",
        image_id="img1",
        name='web & <1> "é"',
        hwp_id="m1-large",
        hwp_memory="9000",
        realm_id="eu",
        keyname="test-key",
        user_data="IyEvYmluL3NoCg==",
    )
    assert told.status == 201
    id = told.root.attrib["id"]
    assert told.headers["location"] == f"{server.url}/instances/{id}"
    assert told.text("name") == 'web & <1> "é"'
    for part, chosen in (("image", "img1"), ("realm", "eu"), ("hardware_profile", "m1-large")):
        assert told.id_of(part) == chosen

    refused = server.gem("POST", f"/instances/{id}/start")
    assert (refused.status, refused.text("message")) == (405, "Method Not Allowed")
    for action, state in (("stop", "STOPPED"), ("start", "RUNNING"), ("reboot", "RUNNING")):
        acted = server.gem("POST", f"/instances/{id}/{action}")
        assert (acted.status, acted.root.tag, acted.text("state")) == (202, "instance", state)
    server.gem("POST", f"/instances/{id}/stop")
    gone = server.gem("DELETE", f"/instances/{id}")
    assert (gone.status, gone.body) == (204, b"")
    assert server.gem("GET", f"/instances/{id}").status == 404


def test_the_gem_may_leave_parameters_empty(server: Server) -> None:
    told = server.gem("POST", "/instances", image_id="img1", name="", realm_id="", hwp_id="")
    assert told.status == 201
    id = told.root.attrib["id"]
    server.gem("POST", f"/instances/{id}/stop")
    assert server.gem("DELETE", f"/instances/{id}").status == 204


def test_the_gem_attaches_a_volume_without_telling_a_device(server: Server) -> None:
    attached = server.gem("POST", "/storage_volumes/vol1/attach", instance_id="inst1", device="")
    assert attached.status == 202
    assert attached.text("state") == "IN-USE"
    assert attached.id_of("mount/instance") == "inst1"
    detached = server.gem("POST", "/storage_volumes/vol1/detach")
    assert (detached.status, detached.text("state")) == (202, "AVAILABLE")
    assert detached.root.find("mount") is None


def test_the_gem_points_an_address_at_an_instance(server: Server) -> None:
    ip = server.gem("POST", "/addresses").text("ip")
    for path, parameters in (("associate", {"instance_id": "inst1"}), ("disassociate", {})):
        answer = server.gem("POST", f"/addresses/{ip}/{path}", **parameters)
        assert (answer.status, answer.body) == (202, b"")
    assert server.gem("DELETE", f"/addresses/{ip}").status == 204


def test_the_gem_stores_a_blob_and_its_metadata_by_the_query(server: Server) -> None:
    assert server.gem("POST", "/buckets", name="gem").status == 201
    text = "content & <é> +%"
    told = server.gem(
        "POST",
        "/buckets/gem",
        meta_name1="Color",
        meta_value1="dark red & <b>",
        meta_params="1",
        blob_id="b.1",
        blob_data=text,
    )
    assert told.status == 201
    assert told.root.attrib["id"] == "b.1"
    assert told.text("bucket") == "gem"
    assert told.text("content_type") == "text/plain"
    assert told.text("content_length") == str(len(text.encode()))
    assert told.text("user_metadata/entry[@key='color']") == "dark red & <b>"
    assert server.gem("GET", "/buckets/gem/b.1/content").body == text.encode()
    assert server.gem("DELETE", "/buckets/gem/b.1").status == 204
    assert server.gem("DELETE", "/buckets/gem").status == 204


def test_the_gem_makes_and_removes_a_key(server: Server) -> None:
    told = server.gem("POST", "/keys", name="gem")
    assert told.status == 201
    assert (told.text("pem") or "").startswith("-----BEGIN")
    again = server.gem("POST", "/keys", name="gem")
    assert 400 <= again.status < 410, "the gem knows no other status of a client's mistake"
    assert server.gem("DELETE", "/keys/gem").status == 204


FILTERS = [
    ("realms", {"id": "us"}, ["us"]),
    ("realms", {"state": "AVAILABLE"}, ["us", "eu"]),
    ("realms", {"state": "UNAVAILABLE"}, []),
    ("images", {"id": "img2"}, ["img2"]),
    ("images", {"architecture": "x86_64"}, ["img1"]),
    ("images", {"state": "PENDING"}, []),
    ("instances", {"id": "unknown"}, []),
    ("instances", {"state": "STOPPED"}, []),
    ("instances", {"realm_id": "eu"}, ["inst3"]),
    ("storage_volumes", {"state": "IN-USE"}, ["vol3"]),
    ("drivers", {"id": "mock"}, ["mock"]),
]


@pytest.mark.parametrize(("collection", "given", "ids"), FILTERS)
def test_the_gem_filters_as_its_own_pages_describe(
    server: Server, collection: str, given: dict[str, str], ids: list[str]
) -> None:
    answer = server.gem("GET", f"/{collection}", **given)
    assert answer.status == 200
    assert answer.ids == ids


MEMBERS = ("realms", "images", "instances", "keys", "addresses", "buckets", "storage_volumes")


@pytest.mark.parametrize("collection", [*MEMBERS, "drivers"])
def test_the_gem_is_told_404_for_no_id_and_for_an_unknown_one(
    server: Server, collection: str
) -> None:
    assert server.gem("GET", f"/{collection}/").status == 404
    assert server.gem("GET", f"/{collection}/foo").status == 404


@pytest.mark.parametrize("collection", MEMBERS)
def test_the_gem_reads_what_went_wrong_from_the_error_document(
    server: Server, collection: str
) -> None:
    answer = server.gem("GET", f"/{collection}", "foo:bar")
    assert answer.status == 401
    assert answer.root.tag == "error"
    assert answer.text("message")
    backend = answer.root.find("backend")
    assert backend is not None
    assert backend.attrib == {"driver": "mock", "provider": "default"}


def test_the_python_client_follows_the_links_of_the_entry_point(server: Server) -> None:
    status, entry = server.python("GET", "/api")
    assert status == 200
    links = {link["rel"]: urlsplit(link["href"]).path for link in entry["api"]["links"]}
    status, made = server.python("POST", links["instances"], image_id="img1", name="py")
    assert status == 201
    id = made["instance"]["id"]
    path = f"{links['instances']}/{id}"
    for wish in ("stop", "destroy"):
        instance = server.python("GET", path)[1]["instance"]
        action = next(link for link in instance["actions"] if link["rel"] == wish)
        verb = action["method"].upper()
        assert server.python(verb, urlsplit(action["href"]).path)[0] in {202, 204}
    assert server.python("GET", path)[0] == 404


# What people have in their scripts: forms, files, pipes, and nothing but exit codes to go by.
SCRIPT = r"""
set -eu
api() {
    curl -q --silent --show-error --fail --user mockuser:mockpassword \
        --header 'Accept: application/xml' "$@"
}

id=$(api --data image_id=img1 --data-urlencode 'name=a & b' "$URL/instances" |
    sed -n "s/^<instance.* id='\([^']*\)'.*/\1/p")
api --request POST "$URL/instances/$id/stop" | grep '<state>STOPPED</state>'
api --request DELETE "$URL/instances/$id"

api --request POST "$URL/buckets?name=curl" --output /dev/null
head -c 300000 /dev/zero > "$PLACE/up"
api --form blob_id=form --form "blob_data=@$PLACE/up;type=image/png" "$URL/buckets/curl" |
    grep '<content_type>image/png</content_type>'
api --upload-file "$PLACE/up" --header 'X-Deltacloud-Blobmeta-Author: me' "$URL/buckets/curl/put" |
    grep '<content_length>300000</content_length>'
api --head "$URL/buckets/curl/put" | tr A-Z a-z | grep '^x-deltacloud-blobmeta-author: me'
for blob in form put; do
    api --output "$PLACE/down" "$URL/buckets/curl/$blob/content"
    cmp "$PLACE/up" "$PLACE/down"
    api --request DELETE "$URL/buckets/curl/$blob"
done
api --data _method=delete "$URL/buckets/curl"

api "$URL/realms?format=json" | grep '"name":"Europe"'
api "$URL;driver=mock;provider=here" | grep "provider='here'"
api --request POST --header 'X-Deltacloud-Provider: there' "$URL/addresses" --include |
    tr A-Z a-z | grep '^x-deltacloud-provider: there'
if api --user mockuser:wrong "$URL/realms" 2> "$PLACE/refused"; then exit 1; fi
grep 401 "$PLACE/refused"
"""


def test_a_script_of_curls_gets_through(server: Server, tmp_path: Path) -> None:
    if shutil.which("curl") is None and not os.environ.get("CI"):
        pytest.skip("curl is not installed")
    ended = subprocess.run(
        ["/bin/sh", "-xc", SCRIPT],
        env=os.environ | {"URL": server.url, "PLACE": str(tmp_path), "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
