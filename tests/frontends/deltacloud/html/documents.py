"""Members as the JSON of each collection has them, and how a page is read in these tests."""

from typing import Any
from urllib.parse import urlsplit

from lxml import html

BASE = "http://127.0.0.1:3001"


def ref(collection: str, id: str) -> dict[str, Any]:
    return {"id": id, "href": f"{BASE}/api/{collection}/{id}", "rel": collection[:-1]}


def member(collection: str, id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "href": f"{BASE}/api/{collection}/{id}", "name": id, **more}


INSTANCE = member(
    "instances",
    "inst0",
    state="RUNNING",
    owner="mockuser",
    image=ref("images", "img1"),
    realm=ref("realms", "us"),
    hardware_profile=ref("hardware_profiles", "m1-large") | {"properties": {"memory": "12288"}},
    actions=[
        {"rel": "reboot", "method": "post", "href": f"{BASE}/api/instances/inst0/reboot"},
        {"rel": "stop", "method": "post", "href": f"{BASE}/api/instances/inst0/stop"},
        {"rel": "destroy", "method": "delete", "href": f"{BASE}/api/instances/inst0"},
    ],
    public_addresses=[{"address": "img1.inst0.public.com", "type": "hostname"}],
    private_addresses=[],
    storage_volumes=[],
    create_image=True,
)
SAMPLE = {"minimum": "0.2", "maximum": "0.9", "timestamp": "1384988028", "unit": "Percent"}

MEMBERS: dict[str, dict[str, Any]] = {
    "instances": INSTANCE,
    "images": member("images", "img1", description="Fedora 10", state="AVAILABLE", owner="root"),
    "hardware_profiles": member(
        "hardware_profiles", "m1", properties={"cpu": "1", "memory": "1740.8"}
    ),
    "realms": member("realms", "us", state="AVAILABLE", limit="unlimited"),
    "keys": member("keys", "key1", credential_type="key", pem_rsa_key="-----BEGIN\nX\n-----END"),
    "metrics": member(
        "metrics",
        "inst0",
        entity="web",
        properties=[
            {"name": "cpuUtilization", "values": [SAMPLE | {"average": n} for n in ("0.5", "0.7")]},
            {"name": "nicInputByte", "values": None},
        ],
    ),
    "storage_volumes": member(
        "storage_volumes",
        "vol3",
        state="IN-USE",
        capacity="1",
        instance=ref("instances", "inst1"),
        device="/dev/sda1",
    ),
    "storage_snapshots": member(
        "storage_snapshots", "snap1", storage_volume=ref("storage_volumes", "vol1")
    ),
    "buckets": member(
        "buckets",
        "bucket1",
        size=1,
        blob_list=[{"rel": "blob", "id": "blob1", "href": f"{BASE}/api/buckets/bucket1/blob1"}],
    ),
    "blobs": {
        "id": "blob1",
        "href": f"{BASE}/api/buckets/bucket1/blob1",
        "bucket": ref("buckets", "bucket1"),
        "content_length": 2048,
        "content_type": "text/plain",
        "content": "not to be shown",
        "user_metadata": {"author": "me"},
    },
    "addresses": member("addresses", "192.168.0.1", associated=True, instance_id="inst1"),
    "firewalls": member(
        "firewalls",
        "fw1",
        description="web",
        rules=[
            {
                "id": "r1",
                "allow_protocol": "tcp",
                "port_from": 22,
                "port_to": 22,
                "sources": [{"type": "address", "address": "10.0.0.0", "prefix": 8}],
            }
        ],
    ),
    "load_balancers": member(
        "load_balancers",
        "lb1",
        listeners=[{"protocol": "HTTP", "load_balancer_port": 80, "instance_port": 8080}],
        instances=[INSTANCE],
    ),
    "networks": member("networks", "net1", state="UP", address_blocks=["10.0.0.0/8"]),
    "subnets": member("subnets", "subnet1", address_block="10.1.0.0/16"),
    "network_interfaces": member("network_interfaces", "nic1", ip_address="10.1.0.2"),
    "drivers": member("drivers", "ec2", entrypoints={"s3": {"eu-west-1": "s3.example"}}),
}
STATES = [
    {"name": "start", "transitions": [{"to": "pending", "action": "create"}]},
    {"name": "pending", "transitions": [{"to": "running", "auto": "true"}]},
    {"name": "finish", "transitions": []},
]


def parsed(page: str) -> Any:
    """Return the root element of a page; fails when it is not one that browsers take as given."""
    assert page.startswith("<!DOCTYPE html>")
    parser = html.HTMLParser()
    # As the server sends it: half a surrogate pair, which no encoding has, is a question mark.
    root = html.document_fromstring(page.encode("utf-8", "replace").decode(), parser=parser)
    errors = [e.message for e in parser.error_log if not e.message.endswith("invalid")]
    # libxml2 knows the elements of HTML 4 only, and says "Tag main invalid" for those of HTML 5.
    assert errors == []
    return root


def targets(root: Any) -> list[str]:
    """Return all that a page links to, loads or sends to."""
    return [str(value) for value in root.xpath("//@href | //@src | //@action")]


def is_ours(target: str) -> bool:
    parts = urlsplit(target)
    return not parts.scheme and not parts.netloc and (target.startswith("/") or target[0] == "#")


def words(root: Any) -> str:
    return " ".join(" ".join(root.itertext()).split())


def button_labels(root: Any) -> list[str]:
    """Return the first words of what can be pressed in the content, menus left out."""
    found = root.xpath(
        "//main//button | //main//summary[@class] | //main//a[contains(@class, 'button')]"
    )
    return [" ".join(element.text_content().split()) for element in found]
