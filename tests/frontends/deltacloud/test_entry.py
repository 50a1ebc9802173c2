import dataclasses
import hashlib

import pytest
from lxml import etree
from tests.frontends.deltacloud.conftest import HOST, Client, Serve

from nimbi.drivers.mock import DRIVER
from nimbi.drivers.mock.instances import MockInstances
from nimbi.drivers.mock.session import Session
from nimbi.frontends.deltacloud.selection import API_VERSION

COLLECTIONS = [
    "addresses",
    "buckets",
    "drivers",
    "firewalls",
    "hardware_profiles",
    "images",
    "instance_states",
    "instances",
    "keys",
    "load_balancers",
    "metrics",
    "network_interfaces",
    "networks",
    "realms",
    "storage_snapshots",
    "storage_volumes",
    "subnets",
]


async def test_the_entry_point_needs_no_login_and_links_to_all_collections(
    stranger: Client,
) -> None:
    api = await stranger.xml("GET", "/api")
    assert dict(api.attrib) == {"driver": "mock", "version": API_VERSION}
    assert [link.get("rel") for link in api] == COLLECTIONS
    assert [link.get("href") for link in api] == [f"{HOST}/api/{name}" for name in COLLECTIONS]


FEWER = dataclasses.replace(
    DRIVER,
    narrow=lambda _session: frozenset({"instances", "networks", "volumes"}),
    notes=lambda _session: {"network": "user: <no> networks"},
)
"""A driver whose sessions differ: this one has three collections, and something to tell."""


async def test_the_entry_point_tells_what_this_very_session_has(serve: Serve) -> None:
    async with serve({"mock": FEWER}) as client:
        root = await client.xml("GET", "/api")
        told = (await client.json("GET", "/api"))["api"]
    links = ["drivers", "instance_states", "instances", "networks", "storage_volumes"]
    assert root.xpath("link/@rel") == links
    assert [link["rel"] for link in told["links"]] == links


async def test_the_entry_point_names_what_this_very_session_lacks(serve: Serve) -> None:
    async with serve({"mock": FEWER}) as client:
        root = await client.xml("GET", "/api")
        told = (await client.json("GET", "/api"))["api"]
        page = (await client("GET", "/api", "text/html")).text
    assert root.xpath("note[@name='network']/text()") == ["user: <no> networks"]
    assert root.xpath("lacks[@rel='keys']/text()") == ["create destroy get page"]
    assert told["notes"] == {"network": "user: <no> networks"}
    assert told["lacks"]["keys"] == ["create", "destroy", "get", "page"]
    assert "instances" not in told["lacks"]
    assert "user: &lt;no&gt; networks" in page


class NameOnly(MockInstances):
    """Instances of a session that honours less than the driver could elsewhere."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        vars(self)["features"] = frozenset({"user_name"})


async def test_the_entry_point_tells_the_features_of_this_very_session(serve: Serve) -> None:
    driver = dataclasses.replace(FEWER, collections=(NameOnly,))
    async with serve({"mock": driver}) as client:
        root = await client.xml("GET", "/api")
    features = root.xpath("link[@rel='instances']/feature/@name")
    assert set(features) == {"user_name", "instance_count"}


async def test_the_entry_point_of_such_a_session_needs_no_login(serve: Serve) -> None:
    async with serve({"mock": FEWER}) as client:
        client.http.auth = None
        assert (await client("GET", "/api", "application/xml")).status_code == 200


async def test_the_entry_point_of_a_whole_session_tells_no_more(api: Client) -> None:
    root = await api.xml("GET", "/api")
    assert {child.tag for child in root} == {"link"}
    assert set((await api.json("GET", "/api"))["api"]) == {"version", "driver", "provider", "links"}


async def test_the_entry_point_tells_features_in_xml(api: Client) -> None:
    root = await api.xml("GET", "/api")
    names = root.xpath("link[@rel='instances']/feature[@rel='create']/@name")
    assert {"user_name", "metrics", "authentication_key"} <= set(names)
    assert root.xpath("//feature[@name='realm_filter'][@rel='index']/param/@name") == ["realm_id"]
    assert root.xpath("//feature[@name='bucket_location']/param/@name") == ["location"]


async def test_the_entry_point_tells_features_in_json(api: Client) -> None:
    told = (await api.json("GET", "/api"))["api"]
    assert (told["version"], told["driver"], told["provider"]) == (API_VERSION, "mock", "default")
    [instances] = [link for link in told["links"] if link["rel"] == "instances"]
    metrics = {
        "name": "metrics",
        "rel": "create",
        "params": ["metrics:string:optional"],
        "constraints": {},
    }
    assert [metrics] in instances["features"]


async def test_json_and_xml_tell_the_same_links(api: Client) -> None:
    in_xml = [link.get("href") for link in await api.xml("GET", "/api")]
    in_json = [link["href"] for link in (await api.json("GET", "/api"))["api"]["links"]]
    assert in_xml == in_json


async def test_the_answer_says_who_made_it_and_can_be_checked(api: Client) -> None:
    answer = await api("GET", "/api", "application/xml")
    assert answer.headers["server"] == f"Apache-Deltacloud/{API_VERSION}"
    assert answer.headers["x-deltacloud-driver"] == "mock"
    assert "x-deltacloud-provider" not in answer.headers
    assert answer.headers["cache-control"] == "max-age=0, private, must-revalidate"
    assert answer.headers["etag"] == f'"{hashlib.md5(answer.content).hexdigest()}"'


async def test_a_client_that_has_the_answer_is_told_so(api: Client) -> None:
    first = await api("GET", "/api", "application/xml")
    again = await api(
        "GET", "/api", "application/xml", headers={"If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


async def test_head_tells_what_get_tells_without_a_body(api: Client) -> None:
    shown = await api("GET", "/api/realms", "application/xml")
    told = await api("HEAD", "/api/realms", "application/xml")
    assert (told.status_code, told.content) == (200, b"")
    for name in ("etag", "content-length", "content-type", "server"):
        assert told.headers[name] == shown.headers[name]


async def test_a_trailing_slash_is_taken_at_the_entry_point_only(api: Client) -> None:
    assert (await api("GET", "/api/")).status_code == 200
    assert (await api("GET", "/api/realms/")).status_code == 404


@pytest.mark.parametrize(
    ("form", "referer", "location"),
    [
        ({"driver": "ec2"}, "", "/api;driver=ec2"),
        ({"provider": "eu-west-1"}, "", "/api;provider=eu-west-1"),
        ({"provider": "default"}, "", "/api/"),
        ({}, "", "/api/"),
        (
            {"provider": "eu"},
            f"{HOST}/api;driver=ec2/instances",
            "/api;driver=ec2;provider=eu",
        ),
        ({"provider": "eu"}, f"{HOST}/api;driver=%0d%0a", "/api;driver=%250d%250a;provider=eu"),
        ({"driver": "a/b;c='"}, "", "/api;driver=a%2Fb%3Bc%3D%27"),
    ],
)
async def test_the_form_leads_to_another_entry_point(
    api: Client, form: dict[str, str], referer: str, location: str
) -> None:
    answer = await api("POST", "/api", data=form, headers={"referer": referer})
    assert answer.status_code == 301
    assert answer.headers["location"] == HOST + location


async def test_a_forced_login_is_checked_against_the_cloud(api: Client, stranger: Client) -> None:
    assert (await api("GET", "/api?force_auth=1", "application/xml")).status_code == 200
    missing = await stranger("GET", "/api?force_auth=1", "application/xml")
    assert missing.status_code == 401
    assert missing.headers["www-authenticate"].startswith('Basic realm="mock-deltacloud@')
    assert etree.fromstring(missing.content).findtext("message") == "Unauthorized"
    wrong = await stranger("GET", "/api?force_auth=1", "application/xml", auth=("mockuser", "no"))
    assert (wrong.status_code, wrong.text) == (401, "Authentication failed")


async def test_the_start_page_lists_the_front_ends(api: Client) -> None:
    assert (await api("GET", "/", "text/html")).text.startswith("<!DOCTYPE html>")
    assert (await api.json("GET", "/"))["frontends"][0]["href"] == f"{HOST}/api"
    assert (await api.xml("GET", "/")).tag == "frontends"


async def test_robots_are_sent_away(api: Client) -> None:
    assert "Disallow: /" in (await api("GET", "/robots.txt")).text


async def test_options_list_collections_verbs_and_parameters(api: Client) -> None:
    entry = (await api("OPTIONS", "/api")).headers["allow"].split(",")
    assert "Deltacloud::Rabbit::DriversCollection" in entry
    assert "Deltacloud::Rabbit::StorageVolumesCollection" in entry
    instances = await api("OPTIONS", "/api/instances")
    assert instances.headers["allow"] == "OPTIONS,GET,POST,DELETE"
    index = await api("OPTIONS", "/api/instances/index")
    assert "realm_id:string:optional" in index.headers["allow"].split(",")
    create = (await api("OPTIONS", "/api/instances/create")).headers["allow"].split(",")
    assert {"image_id:string:required", "keyname:string:optional"} <= set(create)


@pytest.mark.parametrize("path", ["/api/instances/inst1", "/api/nope", "/api/keys/a/b", "/nope"])
async def test_options_of_what_is_no_collection_are_not_found(api: Client, path: str) -> None:
    assert (await api("OPTIONS", path)).status_code == 404


async def test_the_documentation_is_made_of_the_routes(stranger: Client) -> None:
    for name in [*COLLECTIONS, "blobs"]:
        page = await stranger("GET", f"/api/docs/{name}", "text/html")
        assert page.status_code == 200, name
    page = await stranger("GET", "/api/docs/instances/create", "text/html")
    assert "image_id" in page.text
    assert "create_instance" in page.text
    assert (await stranger("GET", "/api/docs/instances/no", "text/html")).status_code == 404
    assert (await stranger("GET", "/api/docs/no", "text/html")).status_code == 404
    assert (await stranger("GET", "/api/docs", "application/xml")).status_code == 406
