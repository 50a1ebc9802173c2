"""A new cloud holds what the original mock held."""

from datetime import UTC, datetime

import pytest

from nimbi.drivers.mock.addresses import MockAddresses
from nimbi.drivers.mock.blobs import MockBlobs
from nimbi.drivers.mock.buckets import MockBuckets
from nimbi.drivers.mock.firewalls import MockFirewalls
from nimbi.drivers.mock.hardware_profiles import MockHardwareProfiles
from nimbi.drivers.mock.images import MockImages
from nimbi.drivers.mock.instances import MockInstances
from nimbi.drivers.mock.keys import MockKeys
from nimbi.drivers.mock.load_balancers import MockLoadBalancers
from nimbi.drivers.mock.network_interfaces import MockNetworkInterfaces
from nimbi.drivers.mock.networks import MockNetworks
from nimbi.drivers.mock.realms import MockRealms
from nimbi.drivers.mock.session import OfSession, Session
from nimbi.drivers.mock.snapshots import MockSnapshots
from nimbi.drivers.mock.subnets import MockSubnets
from nimbi.drivers.mock.volumes import MockVolumes
from nimbi.model.errors import CloudError, Timeout, Unsupported
from nimbi.model.hardware_profiles import Enum, Fixed, Range
from nimbi.model.images import ImageState
from nimbi.model.instances import InstanceState
from nimbi.model.volumes import VolumeState

IDS = [
    (MockRealms, ["us", "eu"]),
    (MockHardwareProfiles, ["m1-small", "m1-large", "m1-xlarge", "opaque"]),
    (MockImages, ["img1", "img2", "img3"]),
    (MockInstances, ["inst0", "inst1", "inst2", "inst3"]),
    (MockKeys, ["test-key"]),
    (MockFirewalls, []),
    (MockAddresses, ["192.168.0.1", "192.168.0.2", "192.168.0.3", "192.168.0.4"]),
    (MockNetworks, ["net1", "net2"]),
    (MockSubnets, ["subnet1", "subnet2", "subnet3", "subnet4"]),
    (MockNetworkInterfaces, ["nic1", "nicinst3"]),
    (MockLoadBalancers, []),
    (MockVolumes, ["vol1", "vol2", "vol3"]),
    (MockSnapshots, ["snap1", "snap2", "snap3"]),
    (MockBuckets, ["bucket1", "bucket2"]),
]


@pytest.mark.parametrize(("collection", "ids"), IDS)
async def test_each_collection_holds_the_things_of_the_original(
    session: Session, collection: type[OfSession], ids: list[str]
) -> None:
    page = await collection(session).page(None, 100)
    assert [item.id for item in page.items] == ids
    assert page.next is None


async def test_realms_have_names_and_no_limit(session: Session) -> None:
    realms = (await MockRealms(session).page(None, 100)).items
    assert [(realm.name, realm.state, realm.limit) for realm in realms] == [
        ("United States", "available", None),
        ("Europe", "available", None),
    ]


async def test_images_have_the_owners_and_dates_of_the_original(session: Session) -> None:
    images = (await MockImages(session).page(None, 100)).items
    told = [(i.name, i.owner_id, i.architecture, i.description) for i in images]
    assert told == [
        ("img1", "fedoraproject", "x86_64", "Fedora 10"),
        ("img2", "fedoraproject", "i386", "Fedora 10"),
        ("img3", "mockuser", "i386", "JBoss"),
    ]
    for image in images:
        assert image.state is ImageState.AVAILABLE
        assert image.created_at == datetime(2012, 10, 25, 12, 27, 53, tzinfo=UTC)
        assert image.hardware_profile_ids == ("m1-small", "m1-large", "m1-xlarge", "opaque")


async def test_profiles_have_fixed_range_and_list_properties(session: Session) -> None:
    profiles = MockHardwareProfiles(session)
    small, large = await profiles.get("m1-small"), await profiles.get("m1-large")
    assert small.properties() == {
        "cpus": Fixed(1),
        "memory_mib": Fixed(1740.8),
        "storage_gib": Fixed(160),
        "architecture": Fixed("i386"),
    }
    assert large.cpus == Range(1, 6, 1)
    assert large.memory_mib == Range(7680, 15360, 10240)
    assert large.storage_gib == Enum((850, 1024), 850)
    assert (await profiles.get("opaque")).properties() == {}


async def test_instances_run_and_belong_to_the_login(session: Session) -> None:
    instances = (await MockInstances(session).page(None, 100)).items
    told = [(i.name, i.hardware_profile_id, i.image_id, i.realm_id) for i in instances]
    assert told == [
        ("Mock Instance With Profile Change", "m1-large", "img1", "us"),
        ("MockUserInstance", "m1-small", "img3", "us"),
        ("AnotherInstance", "m1-large", "img1", "us"),
        ("", "m1-small", "img3", "eu"),
    ]
    assert {(i.owner_id, i.state) for i in instances} == {("mockuser", InstanceState.RUNNING)}
    assert instances[0].sizes.given() == {"memory_mib": 12288}
    assert [i.can_be_imaged for i in instances] == [True, True, True, False]
    assert instances[1].public_addresses[0].address == "img1.inst1.public.com"
    assert instances[3].private_addresses[0].address == "img3.inst3.private.com"
    assert [i.network_interface_ids for i in instances] == [(), ("nic1",), (), ("nicinst3",)]


async def test_the_key_has_a_fingerprint_and_a_text_that_is_no_key(session: Session) -> None:
    key = await MockKeys(session).get("test-key")
    assert key.fingerprint == "5e:ce:b6:dc:59:3b:5c:93:f8:2e:9d:20:ce:60:ca:f5:0b:8a:66:93"
    assert key.private_key is not None
    assert key.private_key.startswith("-----BEGIN RSA ")


async def test_volumes_and_snapshots_have_the_dates_of_the_original(session: Session) -> None:
    volumes = (await MockVolumes(session).page(None, 100)).items
    assert [volume.state for volume in volumes] == [
        VolumeState.AVAILABLE,
        VolumeState.AVAILABLE,
        VolumeState.IN_USE,
    ]
    assert (volumes[2].instance_id, volumes[2].device) == ("inst1", "/dev/sda1")
    assert {(v.size_gib, v.realm_id, v.created_at) for v in volumes} == {
        (1, "us", datetime(2009, 7, 30, 14, 35, 11, tzinfo=UTC))
    }
    snapshots = (await MockSnapshots(session).page(None, 100)).items
    assert [snapshot.volume_id for snapshot in snapshots] == ["vol1", "vol2", "vol2"]
    assert {(s.state, s.created_at) for s in snapshots} == {
        ("completed", datetime(2009, 7, 29, 18, 15, 24, tzinfo=UTC))
    }


async def test_an_attached_volume_is_told_at_both_ends(session: Session) -> None:
    instance = await MockInstances(session).get("inst1")
    assert [(a.volume_id, a.device) for a in instance.volumes] == [("vol3", "/dev/sda1")]


async def test_networks_hold_their_subnets_and_interfaces(session: Session) -> None:
    networks = (await MockNetworks(session).page(None, 100)).items
    assert [(n.name, n.address_blocks, n.subnet_ids) for n in networks] == [
        ("network1", ("192.168.0.0/16",), ("subnet1", "subnet2")),
        ("network2", ("10.0.0.0/8",), ("subnet3", "subnet4")),
    ]
    subnets = (await MockSubnets(session).page(None, 100)).items
    assert [subnet.address_block for subnet in subnets] == [
        "192.168.1.0/24",
        "192.168.2.0/24",
        "10.1.0.0/16",
        "10.2.0.0/16",
    ]
    nics = (await MockNetworkInterfaces(session).page(None, 100)).items
    assert [(n.instance_id, n.network_id, n.subnet_id, n.ip_address) for n in nics] == [
        ("inst1", "net1", "subnet1", "192.168.1.2"),
        ("inst3", "net1", None, "192.168.2.189"),
    ]


async def test_blobs_have_the_sizes_and_metadata_of_the_original(session: Session) -> None:
    buckets = (await MockBuckets(session).page(None, 100)).items
    assert [(bucket.id, bucket.blob_count) for bucket in buckets] == [
        ("bucket1", 3),
        ("bucket2", 2),
    ]
    blobs = MockBlobs(session)
    told = [
        (blob.id, blob.content_type, blob.size_bytes, blob.metadata)
        for bucket in buckets
        for blob in (await blobs.page(bucket.id, None, 100)).items
    ]
    assert told == [
        ("blob1", "text/plain", 17, {"SOMENEWKEY": "NEWVALUE"}),
        ("blob2", "text/html", 56, {"VERSION": "1.2"}),
        ("blob3", "text/plain", 17, {}),
        ("blob4", "application/octet-stream", 17, {"some": "value"}),
        ("blob5", "application/pdf", 17, {}),
    ]
    content = await blobs.read("bucket1", "blob1")
    assert b"".join([chunk async for chunk in content.chunks]) == b"content of blob 1"


@pytest.mark.parametrize(
    ("id", "kind"), [("501", Unsupported), ("502", CloudError), ("504", Timeout)]
)
async def test_some_realms_fail_on_purpose(
    session: Session, id: str, kind: type[CloudError]
) -> None:
    with pytest.raises(CloudError, match=r"Message$") as raised:
        await MockRealms(session).get(id)
    assert type(raised.value) is kind
