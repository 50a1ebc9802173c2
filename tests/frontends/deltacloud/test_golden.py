"""Answers of the original server 1.1.3 with its mock driver, against ours.

Where ours tells more than the original (links to actions of volumes, states of snapshots), the
golden document holds it too; where the original writes what is accidental, ours is the golden one.
"""

import re
from typing import Any

import pytest
from lxml import etree
from tests.frontends.deltacloud.conftest import HOST, Client

REALMS = f"""
<realms>
  <realm href='{HOST}/api/realms/us' id='us'>
    <name>United States</name>
    <state>AVAILABLE</state>
  </realm>
  <realm href='{HOST}/api/realms/eu' id='eu'>
    <name>Europe</name>
    <state>AVAILABLE</state>
  </realm>
</realms>
"""

PROFILE = f"""
<hardware_profile href='{HOST}/api/hardware_profiles/m1-large' id='m1-large'>
  <id>m1-large</id>
  <name>m1-large</name>
  <property kind='range' name='cpu' unit='count' value='1'>
    <param href='{HOST}/api/instances' method='post' name='hwp_cpu' operation='create' />
    <range first='1' last='6' />
  </property>
  <property kind='range' name='memory' unit='MB' value='10240'>
    <param href='{HOST}/api/instances' method='post' name='hwp_memory' operation='create' />
    <range first='7680' last='15360' />
  </property>
  <property kind='enum' name='storage' unit='GB' value='850'>
    <param href='{HOST}/api/instances' method='post' name='hwp_storage' operation='create' />
    <enum>
      <entry value='850' />
      <entry value='1024' />
    </enum>
  </property>
  <property kind='fixed' name='architecture' unit='label' value='x86_64' />
</hardware_profile>
"""

SMALL_PROFILE = f"""
<hardware_profile href='{HOST}/api/hardware_profiles/m1-small' id='m1-small'>
  <id>m1-small</id>
  <name>m1-small</name>
  <property kind='fixed' name='cpu' unit='count' value='1' />
  <property kind='fixed' name='memory' unit='MB' value='1740.8' />
  <property kind='fixed' name='storage' unit='GB' value='160' />
  <property kind='fixed' name='architecture' unit='label' value='i386' />
</hardware_profile>
"""

OPAQUE_PROFILE = f"""
<hardware_profile href='{HOST}/api/hardware_profiles/opaque' id='opaque'>
  <id>opaque</id>
  <name>opaque</name>
</hardware_profile>
"""

PROFILES = ("m1-small", "m1-large", "m1-xlarge", "opaque")
# The original has a local time of day here (14:27:53 CEST).
IMAGE = f"""
<image href='{HOST}/api/images/img1' id='img1'>
  <name>img1</name>
  <description>Fedora 10</description>
  <owner_id>fedoraproject</owner_id>
  <architecture>x86_64</architecture>
  <state>AVAILABLE</state>
  <creation_time>Thu Oct 25 12:27:53 UTC 2012</creation_time>
  <hardware_profiles>
    {
    "".join(
        f"<hardware_profile href='{HOST}/api/hardware_profiles/{id}' id='{id}' "
        "rel='hardware_profile'></hardware_profile>"
        for id in PROFILES
    )
}
  </hardware_profiles>
  <root_type>transient</root_type>
  <actions>
    <link href='{HOST}/api/instances;image_id=img1' method='post' rel='create_instance' />
    <link href='{HOST}/api/images/img1' method='delete' rel='destroy_image' />
  </actions>
</image>
"""

INSTANCE = f"""
<instance href='{HOST}/api/instances/inst1' id='inst1'>
  <name>MockUserInstance</name>
  <owner_id>mockuser</owner_id>
  <image href='{HOST}/api/images/img3' id='img3'></image>
  <realm href='{HOST}/api/realms/us' id='us'></realm>
  <state>RUNNING</state>
  <hardware_profile href='{HOST}/api/hardware_profiles/m1-small' id='m1-small'></hardware_profile>
  <actions>
    <link href='{HOST}/api/instances/inst1/reboot' method='post' rel='reboot' />
    <link href='{HOST}/api/instances/inst1/stop' method='post' rel='stop' />
    <link href='{HOST}/api/instances/inst1/run;id=inst1' method='post' rel='run' />
    <link href='{HOST}/api/images;instance_id=inst1' method='post' rel='create_image' />
  </actions>
  <public_addresses><address type='hostname'>img1.inst1.public.com</address></public_addresses>
  <private_addresses><address type='hostname'>img1.inst1.private.com</address></private_addresses>
  <storage_volumes>
    <storage_volume device='/dev/sda1' href='{HOST}/api/storage_volumes/vol3' id='vol3'>
    </storage_volume>
  </storage_volumes>
  <network_interfaces>
    <network_interface href='{HOST}/api/network_interfaces/nic1' id='nic1'></network_interface>
  </network_interfaces>
</instance>
"""

ADDRESS = f"""
<address href='{HOST}/api/addresses/192.168.0.1' id='192.168.0.1'>
  <ip>192.168.0.1</ip>
  <actions>
    <link href='{HOST}/api/addresses/192.168.0.1' method='delete' rel='destroy' />
    <link href='{HOST}/api/addresses/192.168.0.1/associate' method='post' rel='associate' />
  </actions>
</address>
"""

VOLUME = f"""
<storage_volume href='{HOST}/api/storage_volumes/vol3' id='vol3'>
  <created>Thu Jul 30 14:35:11 UTC 2009</created>
  <capacity unit='GB'>1</capacity>
  <name>vol3</name>
  <device>/dev/sda1</device>
  <realm href='{HOST}/api/realms/us' id='us'></realm>
  <realm_id>us</realm_id>
  <state>IN-USE</state>
  <mount>
    <instance href='{HOST}/api/instances/inst1' id='inst1'></instance>
    <device name='/dev/sda1'></device>
  </mount>
  <actions>
    <link href='{HOST}/api/storage_volumes/vol3/detach' method='post' rel='detach' />
  </actions>
</storage_volume>
"""

SNAPSHOT = f"""
<storage_snapshot href='{HOST}/api/storage_snapshots/snap1' id='snap1'>
  <name>snap1</name>
  <state>COMPLETED</state>
  <created>Wed Jul 29 18:15:24 UTC 2009</created>
  <storage_volume href='{HOST}/api/storage_volumes/vol1' id='vol1'></storage_volume>
</storage_snapshot>
"""

BUCKET = f"""
<bucket href='{HOST}/api/buckets/bucket1' id='bucket1'>
  <name>bucket1</name>
  <size>3</size>
  <blob href='{HOST}/api/buckets/bucket1/blob1' id='blob1'></blob>
  <blob href='{HOST}/api/buckets/bucket1/blob2' id='blob2'></blob>
  <blob href='{HOST}/api/buckets/bucket1/blob3' id='blob3'></blob>
</bucket>
"""

NETWORK = f"""
<network href='{HOST}/api/networks/net1' id='net1'>
  <name>network1</name>
  <state>UP</state>
  <address_blocks>
    <address_block>192.168.0.0/16</address_block>
  </address_blocks>
  <subnets>
    <subnet href='{HOST}/api/subnets/subnet1' id='subnet1'></subnet>
    <subnet href='{HOST}/api/subnets/subnet2' id='subnet2'></subnet>
  </subnets>
  <actions>
    <link href='{HOST}/api/networks/net1' method='delete' rel='destroy' />
  </actions>
</network>
"""

SUBNET = f"""
<subnet href='{HOST}/api/subnets/subnet1' id='subnet1'>
  <name>subnet1</name>
  <state>UP</state>
  <address_block>
    192.168.1.0/24
  </address_block>
  <network>
    net1
  </network>
  <actions>
    <link href='{HOST}/api/subnets/subnet1' method='delete' rel='destroy' />
  </actions>
</subnet>
"""

INTERFACE = f"""
<network_interface href='{HOST}/api/network_interfaces/nic1' id='nic1'>
  <name>nic1</name>
  <ip_address>192.168.1.2</ip_address>
  <network href='{HOST}/api/subnets/subnet1' id='subnet1' rel='subnet'>subnet1</network>
  <instance href='{HOST}/api/instances/inst1' id='inst1'>inst1</instance>
  <actions>
    <link href='{HOST}/api/network_interfaces/nic1' method='delete' rel='destroy' />
  </actions>
</network_interface>
"""

STATES = """
<states>
  <state name='start'>
    <transition action='create' to='pending'></transition>
  </state>
  <state name='pending'>
    <transition auto='true' to='running'></transition>
  </state>
  <state name='running'>
    <transition action='reboot' to='running'></transition>
    <transition action='stop' to='stopped'></transition>
  </state>
  <state name='stopped'>
    <transition action='start' to='running'></transition>
    <transition action='destroy' to='finish'></transition>
  </state>
  <state name='finish'>
  </state>
</states>
"""

DRIVER = f"<driver href='{HOST}/api/drivers/mock' id='mock'><name>Mock</name></driver>"

NOT_FOUND = """
<error status='404' url='/api/realms/nope'>
  <backend driver='mock' provider='default'></backend>
  <code>404</code>
  <message>there is no realm 'nope'</message>
  <backtrace>request ID</backtrace>
  <request>
    <param name='id'>"nope"</param>
  </request>
</error>
"""

XML = {
    "/api/realms": REALMS,
    "/api/hardware_profiles/m1-large": PROFILE,
    "/api/hardware_profiles/m1-small": SMALL_PROFILE,
    "/api/hardware_profiles/opaque": OPAQUE_PROFILE,
    "/api/images/img1": IMAGE,
    "/api/instances/inst1": INSTANCE,
    "/api/addresses/192.168.0.1": ADDRESS,
    "/api/storage_volumes/vol3": VOLUME,
    "/api/storage_snapshots/snap1": SNAPSHOT,
    "/api/buckets/bucket1": BUCKET,
    "/api/networks/net1": NETWORK,
    "/api/subnets/subnet1": SUBNET,
    "/api/network_interfaces/nic1": INTERFACE,
    "/api/instance_states": STATES,
    "/api/drivers/mock": DRIVER,
    "/api/realms/nope": NOT_FOUND,
}

JSON: dict[str, Any] = {
    "/api/realms/us": {
        "realm": {
            "id": "us",
            "href": f"{HOST}/api/realms/us",
            "name": "United States",
            "state": "AVAILABLE",
            "limit": "unlimited",
        }
    },
    "/api/hardware_profiles/m1-large": {
        "hardware_profile": {
            "id": "m1-large",
            "href": f"{HOST}/api/hardware_profiles/m1-large",
            "name": "m1-large",
            "properties": {
                "cpu": "1",
                "memory": "10240",
                "storage": "850",
                "architecture": "x86_64",
            },
        }
    },
    "/api/hardware_profiles/opaque": {
        "hardware_profile": {
            "id": "opaque",
            "href": f"{HOST}/api/hardware_profiles/opaque",
            "name": "opaque",
        }
    },
    "/api/subnets/subnet1": {
        "subnet": {
            "id": "subnet1",
            "name": "subnet1",
            "href": f"{HOST}/api/subnets/subnet1",
            "type": "PRIVATE",
            "state": "UP",
            "address_block": "192.168.1.0/24",
            "network": {"id": "net1", "href": f"{HOST}/api/networks/net1"},
        }
    },
    "/api/drivers/mock": {"driver": {"name": "Mock", "id": "mock"}},
    "/api/drivers": {"mock": {"name": "Mock"}},
    "/api/instance_states": [
        {"name": "start", "transitions": [{"to": "pending", "action": "create"}]},
        {"name": "pending", "transitions": [{"to": "running", "auto": "true"}]},
        {
            "name": "running",
            "transitions": [
                {"to": "running", "action": "reboot"},
                {"to": "stopped", "action": "stop"},
            ],
        },
        {
            "name": "stopped",
            "transitions": [
                {"to": "running", "action": "start"},
                {"to": "finish", "action": "destroy"},
            ],
        },
        {"name": "finish", "transitions": []},
    ],
}


def canonical(document: bytes | str) -> bytes:
    """Return a document without the white space that clients strip."""
    root = etree.fromstring(document)
    for element in root.iter():
        element.text = (element.text or "").strip()
        element.tail = ""
        if element.tag == "backtrace":
            element.text = re.sub(r"request \w+$", "request ID", element.text)
    return etree.tostring(root, method="c14n")


@pytest.mark.parametrize("path", XML)
async def test_xml_is_that_of_the_original(api: Client, path: str) -> None:
    answer = await api("GET", path, "application/xml")
    assert canonical(answer.content) == canonical(XML[path])


@pytest.mark.parametrize("path", JSON)
async def test_json_is_that_of_the_original(api: Client, path: str) -> None:
    assert await api.json("GET", path) == JSON[path]


@pytest.mark.parametrize("path", XML)
async def test_attributes_stand_in_alphabetical_order_in_single_quotes(
    api: Client, path: str
) -> None:
    text = (await api("GET", path, "application/xml")).text.partition("?>")[2]
    for tag in re.findall(r"<\w+((?: \w+='[^']*')*) ?/?>", text):
        names = re.findall(r" (\w+)=", tag)
        assert names == sorted(names)
    assert '"' not in re.sub(r"<!\[CDATA\[.*?\]\]>", "", text)


async def test_an_instance_with_all_its_parts(api: Client) -> None:
    await api("POST", "/api/firewalls?name=default&description=all")
    query = (
        "image_id=img1&realm_id=eu&name=web1&hwp_id=m1-large&hwp_memory=9000&hwp_storage=1024"
        "&keyname=test-key&firewalls1=default"
    )
    made = await api.xml("POST", f"/api/instances?{query}")
    id = made.get("id")
    assert id is not None
    await api("POST", f"/api/storage_volumes/vol1/attach?instance_id={id}&device=/dev/sdc")
    await api("POST", f"/api/network_interfaces?instance={id}&network=net1&name=nic7")
    shown = await api.xml("GET", f"/api/instances/{id}")
    assert shown.xpath("hardware_profile/property/@*") == [
        *("fixed", "memory", "MB", "9000"),
        *("fixed", "storage", "GB", "1024"),
    ]
    assert shown.xpath("firewalls/firewall/@href") == [f"{HOST}/api/firewalls/default"]
    assert shown.xpath("storage_volumes/storage_volume/@device") == ["/dev/sdc"]
    assert shown.xpath("network_interfaces/network_interface/@id") == ["nic7"]
    assert shown.xpath("authentication/@type") == ["key"]
    assert shown.findtext("authentication/login/keyname") == "test-key"
    assert shown.findtext("launch_time")
    told = (await api.json("GET", f"/api/instances/{id}"))["instance"]
    assert told["hardware_profile"]["properties"] == {"memory": "9000", "storage": "1024"}
    assert (told["authentication_type"], told["authentication"]) == (
        "key",
        {"keyname": "test-key"},
    )
    assert [f["id"] for f in told["firewalls"]] == ["default"]
    assert [v["id"] for v in told["storage_volumes"]] == ["vol1"]


# What the original's conformance tests want of an instance.
INSTANCE_KEYS = {
    *("name", "owner", "image", "realm", "state", "actions", "public_addresses"),
    *("private_addresses", "create_image", "hardware_profile", "storage_volumes"),
}


async def test_json_of_instances_has_what_clients_need(api: Client) -> None:
    for member in (await api.json("GET", "/api/instances"))["instances"]:
        assert set(member) >= INSTANCE_KEYS


async def test_json_of_an_action_has_no_wrapper(api: Client) -> None:
    answer = await api("POST", "/api/instances/inst1/reboot", "application/json")
    assert answer.status_code == 202
    assert answer.json()["id"] == "inst1"


async def test_keys_tell_their_private_part_once_with_its_exact_bytes(api: Client) -> None:
    answer = await api("POST", "/api/keys?name=k", "application/xml")
    pem = etree.fromstring(answer.content).findtext("pem") or ""
    lines = pem.strip().splitlines()
    assert lines[0] == "-----BEGIN RSA PRIVATE KEY-----"
    assert not any(line.startswith(" ") for line in lines)
    assert (await api.xml("GET", "/api/keys/k")).find("pem") is None


async def test_links_are_absolute_and_end_in_the_id(api: Client) -> None:
    for name in ("realms", "images", "instances", "keys", "storage_volumes", "buckets"):
        root = await api.xml("GET", f"/api/{name}")
        assert len(root)
        for member in root:
            assert member.get("href") == f"{HOST}/api/{name}/{member.get('id')}"


async def test_hardware_profiles_come_smallest_first(api: Client) -> None:
    root = await api.xml("GET", "/api/hardware_profiles")
    ids = [member.get("id") for member in root]
    assert ids == ["m1-small", "m1-large", "m1-xlarge", "opaque"]


async def test_metrics_have_samples_when_shown_and_none_in_the_list(api: Client) -> None:
    listed = await api.xml("GET", "/api/metrics")
    assert not listed.xpath("//sample")
    shown = await api.xml("GET", "/api/metrics/inst1")
    names = shown.xpath("properties/cpuUtilization/sample[1]/property/@name")
    assert names == ["minimum", "maximum", "average", "timestamp", "unit"]
    assert len(shown.xpath("properties/cpuUtilization/sample")) == 6
    told = (await api.json("GET", "/api/metrics/inst1"))["metric"]
    assert told["properties"][0]["values"][0]["unit"] == "Percent"
    [first, *_] = (await api.json("GET", "/api/metrics"))["metrics"]
    assert first["properties"][0]["values"] is None
