"""Every operation over the wire, with the statuses and headers that clients rely on."""

import pytest
from lxml import etree
from tests.frontends.deltacloud.conftest import HOST, Client, Serve
from tests.frontends.deltacloud.drivers import INWARD, LISTING, PLAIN

from nimbi.driver.blobs import Blobs
from nimbi.driver.capabilities import OPERATIONS
from nimbi.driver.compute import Instances
from nimbi.frontends.deltacloud.features import FEATURES
from nimbi.frontends.deltacloud.routes.table import ROUTES
from nimbi.model.features import features_of
from nimbi.model.images import ImageFilter, NewImage
from nimbi.model.instances import InstanceFilter, NewInstance
from nimbi.model.keys import NewKey
from nimbi.model.volumes import NewVolume

# Deltacloud has no way to ask for these.
NOT_IN_DELTACLOUD = {
    "blobs.abort_upload",
    "blobs.copy",
    "blobs.destroy_many",
    "images.read",
    "images.share",
    "images.unshare",
    "images.upload",
    "instances.console",
    "instances.console_link",
    "instances.lock",
    "instances.open_console",
    "instances.pause",
    "instances.rebuild",
    "instances.rescue",
    "instances.resize",
    "instances.resume",
    "instances.screenshot",
    "instances.shelve",
    "instances.unlock",
    "instances.unrescue",
    "instances.unshelve",
    "quotas.get",
    "quotas.page",
    "routers.connect",
    "routers.create",
    "routers.destroy",
    "routers.disconnect",
    "routers.get",
    "routers.page",
    "volumes.resize",
    "volumes.retype",
}

FEATURES_NOT_IN_DELTACLOUD = {
    "boot_from_volume",
    "changed_since",
    "config_drive",
    "fixed_address",
    "image_copy",
    "image_of_snapshot",
    "network_interfaces",
    "networks",
    "open_metadata",
    "scheduler_hints",
    "tag_filter",
    "visibility_filter",
    "volume_mappings",
    "volume_of_image",
    "volume_sharing",
}

# These go to a cloud that honours them; the wish itself every cloud grants.
PASSED_ON = {"architecture_filter", "state_filter"}

# These are asked for by parameters of another operation's route.
BY_PARAMETERS = {
    OPERATIONS[function].id
    for function in (
        Instances.create_many,
        Blobs.page,
        Blobs.begin_upload,
        Blobs.write_segment,
        Blobs.finish_upload,
        Blobs.link,
    )
}


def test_every_operation_is_on_the_wire_or_known_to_be_absent() -> None:
    routed = {id for route in ROUTES for id in route.need_ids}
    every = {operation.id for operation in OPERATIONS.values()}
    assert routed | BY_PARAMETERS | NOT_IN_DELTACLOUD == every
    assert not routed & NOT_IN_DELTACLOUD


def test_every_feature_of_the_model_is_on_the_wire() -> None:
    on_wire = {feature.name for features in FEATURES.values() for feature in features}
    requests = (NewInstance, NewImage, NewKey, NewVolume, InstanceFilter, ImageFilter)
    in_model = {mark.name for kind in requests for mark in features_of(kind).values()}
    assert in_model == (in_model & on_wire) | FEATURES_NOT_IN_DELTACLOUD | PASSED_ON
    assert not on_wire & (FEATURES_NOT_IN_DELTACLOUD | PASSED_ON)


def test_what_can_be_missing_has_a_name_to_be_told() -> None:
    assert [route for route in ROUTES if route.needs and not route.capability] == []


async def created(api: Client, path: str, *, located: bool = True) -> str:
    """Make a thing, check the answer, and return its id."""
    answer = await api("POST", path, "application/xml")
    assert answer.status_code == 201, answer.text
    root = etree.fromstring(answer.content)
    assert ("location" in answer.headers) == located
    if located:
        assert answer.headers["location"] == root.get("href")
    assert len(answer.headers["etag"]) == 34
    return str(root.get("id"))


async def destroyed(api: Client, path: str) -> None:
    answer = await api("DELETE", path, "application/xml")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await api("DELETE", path, "application/xml")).status_code == 404
    assert (await api("GET", path, "application/xml")).status_code == 404


async def test_the_life_of_an_instance(api: Client) -> None:
    id = await created(api, "/api/instances?image_id=img1&name=web1")
    path = f"/api/instances/{id}"
    for action, state in (("reboot", "RUNNING"), ("stop", "STOPPED"), ("start", "RUNNING")):
        answer = await api("POST", f"{path}/{action}", "application/xml")
        assert answer.status_code == 202
        assert float(answer.headers["x-backend-runtime"]) >= 0
        assert etree.fromstring(answer.content).findtext("state") == state
    assert (await api("DELETE", path, "application/xml")).status_code == 405
    await api("POST", f"{path}/stop")
    await destroyed(api, path)


@pytest.mark.parametrize("action", ["start", "stop", "reboot", "run?cmd=ls&password=x"])
async def test_an_action_on_an_unknown_instance_is_not_found(api: Client, action: str) -> None:
    answer = await api("POST", f"/api/instances/none/{action}", "application/xml")
    assert answer.status_code == 404


async def test_several_instances_at_once_are_answered_as_a_list(api: Client) -> None:
    answer = await api("POST", "/api/instances?image_id=img1&instance_count=3", "application/json")
    assert answer.status_code == 201
    assert "location" not in answer.headers
    assert len(answer.json()["instances"]) == 3


async def test_one_instance_at_once_is_answered_as_one(api: Client) -> None:
    answer = await api("POST", "/api/instances?image_id=img1&instance_count=1", "application/xml")
    assert etree.fromstring(answer.content).tag == "instance"


async def test_a_command_is_run(api: Client) -> None:
    root = await api.xml("POST", "/api/instances/inst1/run?cmd=ls%20-l&password=x")
    assert root.get("id") == "inst1"
    assert root.findtext("command") == "ls -l"
    assert root.findtext("public_address")
    assert root.findtext("output")
    told = await api.json("POST", "/api/instances/inst1/run?cmd=ls&private_key=k")
    assert set(told["instance"]) == {"id", "public_address", "command", "output"}


async def test_a_command_needs_a_way_to_log_in(api: Client) -> None:
    answer = await api("POST", "/api/instances/inst1/run?cmd=ls", "application/xml")
    assert answer.status_code == 400


async def test_instances_are_filtered(api: Client) -> None:
    await api("POST", "/api/instances/inst2/stop")

    async def ids(query: str) -> list[str | None]:
        return [i.get("id") for i in await api.xml("GET", f"/api/instances?{query}")]

    assert await ids("realm_id=eu") == ["inst3"]
    assert await ids("state=STOPPED") == ["inst2"]
    assert await ids("state=stopped&realm_id=eu") == []
    assert await ids("id=inst1") == ["inst1"]
    assert await ids("owner_id=nobody") == []
    assert await ids("id=") == ["inst0", "inst1", "inst2", "inst3"]


async def test_images_are_filtered(api: Client) -> None:
    async def ids(query: str) -> list[str | None]:
        return sorted(str(i.get("id")) for i in await api.xml("GET", f"/api/images?{query}"))

    assert await ids("owner_id=fedoraproject") == ["img1", "img2"]
    assert await ids("owner_id=self") == ["img3"]
    assert await ids("architecture=i386") == ["img2", "img3"]
    assert await ids("architecture=i386&owner_id=mockuser") == ["img3"]


async def test_a_filter_that_the_driver_lacks_is_applied_here(serve: Serve) -> None:
    async with serve({"plain": PLAIN}, default="plain") as api:
        listed = await api.xml("GET", "/api/instances?realm_id=eu")
        assert [i.get("id") for i in listed] == ["inst3"]
        images = await api.xml("GET", "/api/images?owner_id=mockuser")
        assert [i.get("id") for i in images] == ["img3"]
        # Whose login this is only the cloud knows.
        answer = await api("GET", "/api/images?owner_id=self", "application/xml")
        assert answer.status_code == 501


@pytest.mark.parametrize(
    "query", ["name=x", "metrics=true", "keyname=test-key", "firewalls1=f", "user_data=eA=="]
)
async def test_a_feature_that_the_driver_lacks_is_refused_not_dropped(
    serve: Serve, query: str
) -> None:
    async with serve({"plain": PLAIN}, default="plain") as api:
        answer = await api("POST", f"/api/instances?image_id=img1&{query}", "application/xml")
        assert answer.status_code == 501
        told = await api.json("GET", "/api/instances")
        assert len(told["instances"]) == 4


async def test_a_feature_without_a_value_is_no_wish(serve: Serve) -> None:
    async with serve({"plain": PLAIN}, default="plain") as api:
        query = "image_id=img1&name=&user_data=&firewalls1=&realm_id=&instance_count="
        assert (await api("POST", f"/api/instances?{query}")).status_code == 201
        several = await api("POST", "/api/instances?image_id=img1&instance_count=2")
        assert several.status_code == 501


async def test_features_follow_the_driver(serve: Serve) -> None:
    async with serve({"plain": PLAIN}, default="plain") as api:
        root = await api.xml("GET", "/api")
        assert root.xpath("//feature") == []
        rels = root.xpath("link/@rel")
        assert "keys" not in rels
        assert "instances" in rels
        create = await api("OPTIONS", "/api/instances/create")
        assert "keyname" not in create.headers["allow"]
        assert (await api("POST", "/api/instances/inst1/stop")).status_code == 412


async def test_images_keys_and_addresses_come_and_go(api: Client) -> None:
    image = await created(api, "/api/images?instance_id=inst1&name=mine&description=d")
    await destroyed(api, f"/api/images/{image}")
    key = await created(api, "/api/keys?name=k1")
    again = await api("POST", "/api/keys?name=k1", "application/xml")
    assert again.status_code == 409
    await destroyed(api, f"/api/keys/{key}")
    address = await created(api, "/api/addresses")
    await destroyed(api, f"/api/addresses/{address}")


async def test_an_address_is_pointed_at_an_instance_and_freed(api: Client) -> None:
    path = "/api/addresses/192.168.0.2"
    answer = await api("POST", f"{path}/associate?instance_id=inst1", "application/xml")
    assert (answer.status_code, answer.content) == (202, b"")
    shown = await api.xml("GET", path)
    assert shown.xpath("instance/@id") == ["inst1"]
    assert shown.xpath("actions/link/@rel") == ["destroy", "disassociate"]
    assert (await api.json("GET", path))["address"]["instance_id"] == "inst1"
    freed = await api("POST", f"{path}/disassociate", "application/xml")
    assert (freed.status_code, freed.content) == (202, b"")
    assert (await api.json("GET", path))["address"]["associated"] is False


async def test_volumes_and_snapshots_come_and_go(api: Client) -> None:
    volume = await created(api, "/api/storage_volumes?capacity=2&name=data&realm_id=us")
    path = f"/api/storage_volumes/{volume}"
    attached = await api(
        "POST", f"{path}/attach?instance_id=inst1&device=/dev/sdx", "application/xml"
    )
    assert attached.status_code == 202
    assert etree.fromstring(attached.content).xpath("mount/device/@name") == ["/dev/sdx"]
    detached = await api("POST", f"{path}/detach", "application/json")
    assert (detached.status_code, detached.json()["storage_volume"]["instance"]) == (202, {})
    snapshot = await created(api, f"/api/storage_snapshots?volume_id={volume}&name=s")
    await destroyed(api, f"/api/storage_snapshots/{snapshot}")
    await destroyed(api, path)


async def test_firewalls_have_rules(api: Client) -> None:
    await created(api, "/api/firewalls?name=web&description=The%20web")
    await created(api, "/api/firewalls?name=db&description=d")
    answer = await api(
        "POST",
        "/api/firewalls/db/rules?protocol=tcp&port_from=5432&port_to=5433"
        "&ip_address1=10.0.0.0/8&ip-address2=2001:db8::/32&group1=web",
        "application/xml",
    )
    assert answer.status_code == 201
    [rule] = etree.fromstring(answer.content).findall("rules/rule")
    assert (rule.findtext("port_from"), rule.findtext("port_to")) == ("5432", "5433")
    sources = [(s.get("type"), s.get("address"), s.get("prefix")) for s in rule.iter("source")]
    assert set(sources) == {
        ("address", "10.0.0.0", "8"),
        ("address", "2001:db8::", "32"),
        ("group", None, None),
    }
    href = str(rule.get("href")).removeprefix(HOST)
    assert (await api("DELETE", href, "application/xml")).status_code == 204
    await destroyed(api, "/api/firewalls/db")


async def test_rules_of_new_kinds_read_as_the_old_ones(api: Client) -> None:
    await created(api, "/api/firewalls?name=web&description=d")
    path = "/api/firewalls/web/rules"
    for query in (
        "protocol=any&port_from=-1&port_to=-1&ip_address1=0.0.0.0/0&direction=egress",
        "protocol=icmpv6&port_from=128&port_to=0&ip_address1=::/0",
    ):
        assert (await api("POST", f"{path}?{query}")).status_code == 201
    rules = (await api.xml("GET", "/api/firewalls/web")).findall("rules/rule")
    told = [[r.findtext(n) for n in ("allow_protocol", "port_from", "direction")] for r in rules]
    assert told == [["any", "-1", "egress"], ["icmpv6", "128", "ingress"]]


@pytest.mark.parametrize(
    "query",
    [
        "protocol=tcp&port_from=1&port_to=2&direction=sideways",
        "protocol=any&port_from=1&port_to=2",
        "protocol=gre&port_from=-1&port_to=-1",
    ],
)
async def test_a_rule_of_no_kind_is_refused(api: Client, query: str) -> None:
    await created(api, "/api/firewalls?name=web&description=d")
    answer = await api("POST", f"/api/firewalls/web/rules?{query}&ip_address1=0.0.0.0/0")
    assert answer.status_code == 400


async def test_a_rule_that_the_driver_does_not_honour_is_refused(serve: Serve) -> None:
    async with serve({"inward": INWARD}, default="inward") as api:
        await created(api, "/api/firewalls?name=web&description=d")
        query = "protocol=tcp&port_from=1&port_to=2&ip_address1=10.0.0.0/8"
        path = f"/api/firewalls/web/rules?{query}"
        assert (await api("POST", f"{path}&direction=egress")).status_code == 501
        assert (await api("POST", f"{path}&direction=ingress")).status_code == 201


async def test_a_prefix_list_is_a_source_with_a_name(serve: Serve) -> None:
    async with serve({"listing": LISTING}, default="listing") as api:
        source = (await api.xml("GET", "/api/firewalls/w")).find(".//source")
        assert source is not None
        assert dict(source.attrib) == {"name": "pl-1", "type": "prefix_list"}
        told = (await api.json("GET", "/api/firewalls/w"))["firewall"]["rules"][0]["sources"]
        assert told == [{"type": "prefix_list", "name": "pl-1"}]
        assert "pl-1" in (await api("GET", "/api/firewalls/w", "text/html")).text


async def test_tags_of_a_launch_are_told_by_numbered_parameters(api: Client) -> None:
    tags = "tag_name1=role&tag_value1=web&tag_name2=empty&tag_value3=unused"
    assert (await api("POST", f"/api/instances?image_id=img1&{tags}")).status_code == 201
    twice = "tag_name1=role&tag_name2=role"
    assert (await api("POST", f"/api/instances?image_id=img1&{twice}")).status_code == 400
    nul = await api("POST", "/api/instances?image_id=img1&tag_name1=a%00b")
    assert nul.status_code == 400


@pytest.mark.parametrize("query", ["subnet_id=subnet1", "spot=true", "spot_max_price=1"])
async def test_a_launch_that_the_cloud_does_not_honour_is_refused(api: Client, query: str) -> None:
    before = await api.json("GET", "/api/instances")
    assert (await api("POST", f"/api/instances?image_id=img1&{query}")).status_code == 501
    assert await api.json("GET", "/api/instances") == before


async def test_images_are_filtered_by_name(api: Client) -> None:
    async def ids(query: str) -> list[str | None]:
        return [i.get("id") for i in await api.xml("GET", f"/api/images?{query}")]

    assert await ids("name=img*") == ["img1", "img2", "img3"]
    assert await ids("name=*g?&architecture=x86_64") == ["img1"]
    assert await ids("name=IMG*") == []


async def test_volumes_are_of_the_kind_that_was_asked(api: Client) -> None:
    id = await created(api, "/api/storage_volumes?kind=flash&iops=100&encrypted=true&capacity=2")
    assert (await api.xml("GET", f"/api/storage_volumes/{id}")).findtext("kind") == "flash"
    for query in ("kind=tape", "iops=0", "iops=many", "throughput=-1"):
        answer = await api("POST", f"/api/storage_volumes?{query}")
        assert answer.status_code == 400, query


async def test_a_rule_needs_a_source(api: Client) -> None:
    await api("POST", "/api/firewalls?name=web&description=d")
    answer = await api(
        "POST", "/api/firewalls/web/rules?protocol=tcp&port_from=1&port_to=2", "application/json"
    )
    assert answer.status_code == 400
    assert answer.json()["message"] == (
        "No sources. Specify at least one source ip address or group."
    )


async def test_load_balancers_take_instances(api: Client) -> None:
    query = (
        "name=lb1&realm_id=us&listener_protocol=HTTP&listener_balancer_port=80"
        "&listener_instance_port=3010"
    )
    await created(api, f"/api/load_balancers?{query}")
    path = "/api/load_balancers/lb1"
    registered = await api("POST", f"{path}/register?instance_id=inst1", "application/xml")
    assert registered.status_code == 200
    root = etree.fromstring(registered.content)
    assert root.xpath("instances/instance/link/@href") == [
        f"{HOST}{path}/unregister?instance_id=inst1"
    ]
    [listener] = root.findall("listeners/listener")
    assert (listener.get("protocol"), listener.findtext("instance_port")) == ("HTTP", "3010")
    told = (await api.json("GET", path))["load_balancer"]
    assert told["listeners"][0]["load_balancer_port"] == "80"
    left = await api("POST", f"{path}/unregister?instance_id=inst1", "application/xml")
    assert etree.fromstring(left.content).findall("instances/instance") == []
    await destroyed(api, path)


@pytest.mark.parametrize("accept", ["application/xml", "application/json", "text/html"])
async def test_network_things_are_made_in_every_format(api: Client, accept: str) -> None:
    for path in (
        "/api/networks?name=n1&address_block=172.16.0.0/12",
        "/api/subnets?network_id=net1&address_block=192.168.9.0/24&name=s1",
        "/api/network_interfaces?instance=inst0&network=net1&name=i1",
    ):
        answer = await api("POST", path, accept)
        assert answer.status_code == 201, answer.text
        assert "location" not in answer.headers
    for path in ("/api/network_interfaces/i1", "/api/subnets/s1", "/api/networks/n1"):
        await destroyed(api, path)


async def test_buckets_come_and_go(api: Client) -> None:
    await created(api, "/api/buckets?name=bk9&location=EU")
    await created(api, "/api/buckets?name=bk8&bucket_location=EU")
    assert (await api("POST", "/api/buckets?name=bk9")).status_code == 409
    both = await api("POST", "/api/buckets?name=b7&location=a&bucket_location=b")
    assert both.status_code == 400
    shown = (await api.json("GET", "/api/buckets/bk9"))["bucket"]
    assert (shown["name"], shown["size"], shown["blob_list"]) == ("bk9", "0", [])
    await destroyed(api, "/api/buckets/bk9")
    full = await api("DELETE", "/api/buckets/bucket1", "application/xml")
    assert full.status_code == 409


async def test_every_bucket_of_the_list_tells_its_size(api: Client) -> None:
    root = await api.xml("GET", "/api/buckets")
    assert [(b.get("id"), b.findtext("size")) for b in root] == [("bucket1", "3"), ("bucket2", "2")]
    assert len(root.findall("bucket/blob")) == 5


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/api/realms"),
        ("POST", "/api/realms/us"),
        ("PATCH", "/api/instances/inst1"),
        ("DELETE", "/api/instances"),
        ("GET", "/api/instances/inst1/stop"),
        ("BREW", "/api"),
    ],
)
async def test_a_verb_that_a_path_does_not_know_is_told_with_those_it_knows(
    api: Client, method: str, path: str
) -> None:
    answer = await api(method, path, "application/json")
    assert answer.status_code == 405
    assert answer.json()["error"] == "Deltacloud::Exceptions::MethodNotAllowed"
    assert method not in answer.headers["allow"].split(",")
    assert answer.headers["allow"]


@pytest.mark.parametrize("way", ["field", "query", "header"])
async def test_a_form_can_stand_for_another_verb(api: Client, way: str) -> None:
    await api("POST", "/api/keys?name=k1")
    if way == "field":
        answer = await api("POST", "/api/keys/k1", "application/xml", data={"_method": "delete"})
    elif way == "query":
        answer = await api("POST", "/api/keys/k1?_method=DELETE", "application/xml")
    else:
        headers = {"X-HTTP-Method-Override": "DELETE"}
        answer = await api("POST", "/api/keys/k1", "application/xml", headers=headers)
    assert answer.status_code == 204
    assert (await api("GET", "/api/keys/k1")).status_code == 404


async def test_only_a_post_can_stand_for_another_verb(api: Client) -> None:
    headers = {"X-HTTP-Method-Override": "DELETE"}
    answer = await api("GET", "/api/keys/test-key?_method=delete", headers=headers)
    assert answer.status_code == 200
    assert (await api("GET", "/api/keys/test-key")).status_code == 200


async def test_an_instance_that_is_called_like_a_form_can_be_destroyed(api: Client) -> None:
    assert (await api("DELETE", "/api/keys/new", "application/xml")).status_code == 404
    assert (await api("POST", "/api/keys?name=new")).status_code == 201
    assert (await api("DELETE", "/api/keys/new", "application/xml")).status_code == 204
