"""What is in the cloud when it is new: the things and ids of Deltacloud's mock."""

from datetime import UTC, datetime

from nimbi.drivers.mock.pem import fake_private_key
from nimbi.drivers.mock.table import Listed, PlainTable, Table
from nimbi.drivers.mock.world import State
from nimbi.model.addresses import Address
from nimbi.model.buckets import Blob, Bucket
from nimbi.model.hardware_profiles import Enum, Fixed, HardwareProfile, Range, Sizes
from nimbi.model.images import Image, ImageState, Visibility
from nimbi.model.instances import AddressKind, Attachment, Endpoint, Instance, InstanceState
from nimbi.model.keys import Key
from nimbi.model.networks import Network, NetworkInterface, NetworkState, Subnet
from nimbi.model.realms import Realm, RealmState
from nimbi.model.snapshots import Snapshot, SnapshotState
from nimbi.model.volumes import Volume, VolumeAttachment, VolumeState

USER = "mockuser"
IMAGES_MADE_AT = datetime(2012, 10, 25, 12, 27, 53, tzinfo=UTC)
VOLUMES_MADE_AT = datetime(2009, 7, 30, 14, 35, 11, tzinfo=UTC)
SNAPSHOTS_MADE_AT = datetime(2009, 7, 29, 18, 15, 24, tzinfo=UTC)

REALMS = Listed(
    Realm(id=id, name=name, state=RealmState.AVAILABLE)
    for id, name in (("us", "United States"), ("eu", "Europe"))
)
DEFAULT_REALM = "us"

PROFILES = Listed(
    (
        HardwareProfile(
            id="m1-small",
            name="m1-small",
            cpus=Fixed(1),
            memory_mib=Fixed(1740.8),
            storage_gib=Fixed(160),
            architecture=Fixed("i386"),
        ),
        HardwareProfile(
            id="m1-large",
            name="m1-large",
            cpus=Range(1, 6, 1),
            memory_mib=Range(7680, 15360, 10240),
            storage_gib=Enum((850, 1024), 850),
            architecture=Fixed("x86_64"),
        ),
        HardwareProfile(
            id="m1-xlarge",
            name="m1-xlarge",
            cpus=Fixed(4),
            memory_mib=Range(12288, 32768, 12288),
            storage_gib=Enum((1024, 2048, 4096), 1024),
            architecture=Fixed("x86_64"),
        ),
        HardwareProfile(id="opaque", name="opaque"),
    )
)
DEFAULT_PROFILE = "m1-small"
PROFILE_IDS = tuple(profile.id for profile in PROFILES.whole.items)

# Id, owner, architecture, description.
IMAGES = (
    ("img1", "fedoraproject", "x86_64", "Fedora 10"),
    ("img2", "fedoraproject", "i386", "Fedora 10"),
    ("img3", USER, "i386", "JBoss"),
)

# Id, name, image, the image that its host names tell, realm, profile, sizes, interface, imageable.
INSTANCES = (
    ("inst0", "Mock Instance With Profile Change", "img1", "img1", "us", "m1-large",
     Sizes(memory_mib=12288), (), True),
    ("inst1", "MockUserInstance", "img3", "img1", "us", "m1-small", Sizes(), ("nic1",), True),
    ("inst2", "AnotherInstance", "img1", "img1", "us", "m1-large", Sizes(), (), True),
    ("inst3", "", "img3", "img3", "eu", "m1-small", Sizes(), ("nicinst3",), False),
)  # fmt: skip

KEY_FINGERPRINT = "5e:ce:b6:dc:59:3b:5c:93:f8:2e:9d:20:ce:60:ca:f5:0b:8a:66:93"
# The one key whose private part is told at any time, as the original told it.
KEY = Key(
    id="test-key",
    name="test-key",
    fingerprint=KEY_FINGERPRINT,
    private_key=fake_private_key(KEY_FINGERPRINT),
)

ADDRESSES = tuple(f"192.168.0.{n}" for n in (1, 2, 3, 4))

# Network, name, block; subnet, network, block.
NETWORKS = (("net1", "network1", "192.168.0.0/16"), ("net2", "network2", "10.0.0.0/8"))
SUBNETS = (
    ("subnet1", "net1", "192.168.1.0/24"),
    ("subnet2", "net1", "192.168.2.0/24"),
    ("subnet3", "net2", "10.1.0.0/16"),
    ("subnet4", "net2", "10.2.0.0/16"),
)
# Interface, instance, network, subnet, address.
INTERFACES = (
    ("nic1", "inst1", "net1", "subnet1", "192.168.1.2"),
    ("nicinst3", "inst3", "net1", None, "192.168.2.189"),
)

ATTACHED = ("vol3", "inst1", "/dev/sda1")
SNAPSHOTS = (("snap1", "vol1"), ("snap2", "vol2"), ("snap3", "vol2"))

# Bucket, blob, content type, metadata, content.
BLOBS: tuple[tuple[str, str, str, dict[str, str], bytes], ...] = (
    ("bucket1", "blob1", "text/plain", {"SOMENEWKEY": "NEWVALUE"}, b"content of blob 1"),
    ("bucket1", "blob2", "text/html", {"VERSION": "1.2"},
     b"<html><body>\n<b>this is the content of blob 2</b></html>"),
    ("bucket1", "blob3", "text/plain", {}, b"content of blob 3"),
    ("bucket2", "blob4", "application/octet-stream", {"some": "value"}, b"content of blob 4"),
    ("bucket2", "blob5", "application/pdf", {}, b"content of blob 5"),
)  # fmt: skip

# The numbers in use above, so that new ids go on from there.
COUNTERS = {"img": 3, "vol": 3, "snap": 3, "net": 2, "subnet": 4, "nic": 1}


def seeded() -> State:
    """Return a new cloud."""
    buckets = tuple(dict.fromkeys(bucket for bucket, *_ in BLOBS))
    blobs = {bucket: PlainTable(_blobs(bucket)) for bucket in buckets}
    return State(
        images=Table(_images()),
        instances=Table(_instances()),
        keys=Table((KEY,)),
        addresses=Table(Address(id=ip, ip=ip, instance_id=None) for ip in ADDRESSES),
        networks=Table(_networks()),
        subnets=Table(_subnets()),
        network_interfaces=Table(_interfaces()),
        volumes=Table(_volumes()),
        snapshots=Table(_snapshots()),
        buckets=Table(Bucket(id=id, name=id, blob_count=len(blobs[id])) for id in buckets),
        blobs=blobs,
        counters=COUNTERS,
    )


def seeded_contents() -> dict[str, bytes]:
    """Return the bytes of the seeded blobs by their etags."""
    return {_etag(blob): content for _, blob, _, _, content in BLOBS}


def _images() -> list[Image]:
    return [
        Image(
            id=id,
            name=id,
            description=description,
            owner_id=owner,
            architecture=architecture,
            state=ImageState.AVAILABLE,
            created_at=IMAGES_MADE_AT,
            hardware_profile_ids=PROFILE_IDS,
            visibility=Visibility.PRIVATE if owner == USER else Visibility.PUBLIC,
        )
        for id, owner, architecture, description in IMAGES
    ]


def _instances() -> list[Instance]:
    volume, attached_to, device = ATTACHED
    return [
        Instance(
            id=id,
            name=name,
            owner_id=USER,
            image_id=image,
            realm_id=realm,
            hardware_profile_id=profile,
            state=InstanceState.RUNNING,
            sizes=sizes,
            public_addresses=(Endpoint(f"{host}.{id}.public.com", AddressKind.HOSTNAME),),
            private_addresses=(Endpoint(f"{host}.{id}.private.com", AddressKind.HOSTNAME),),
            volumes=(Attachment(volume, device),) if id == attached_to else (),
            network_interface_ids=interfaces,
            can_be_imaged=imageable,
            extra={"public_hostname": f"{host}.{id}.public.com"},
        )
        for id, name, image, host, realm, profile, sizes, interfaces, imageable in INSTANCES
    ]


def _volumes() -> list[Volume]:
    attached, instance, device = ATTACHED
    return [
        Volume(
            id=id,
            name=id,
            description=None,
            state=VolumeState.IN_USE if id == attached else VolumeState.AVAILABLE,
            size_gib=1,
            created_at=VOLUMES_MADE_AT,
            realm_id=DEFAULT_REALM,
            instance_id=instance if id == attached else None,
            device=device if id == attached else None,
            attachments=(VolumeAttachment(instance, device),) if id == attached else (),
        )
        for id in ("vol1", "vol2", "vol3")
    ]


def _snapshots() -> list[Snapshot]:
    return [
        Snapshot(
            id=id,
            name=id,
            description=None,
            state=SnapshotState.COMPLETED,
            volume_id=volume,
            created_at=SNAPSHOTS_MADE_AT,
            size_gib=1,
        )
        for id, volume in SNAPSHOTS
    ]


def _networks() -> list[Network]:
    return [
        Network(
            id=id,
            name=name,
            state=NetworkState.UP,
            address_blocks=(block,),
            subnet_ids=tuple(subnet for subnet, network, _ in SUBNETS if network == id),
        )
        for id, name, block in NETWORKS
    ]


def _subnets() -> list[Subnet]:
    return [
        Subnet(id=id, name=id, state=NetworkState.UP, address_block=block, network_id=network)
        for id, network, block in SUBNETS
    ]


def _interfaces() -> list[NetworkInterface]:
    return [
        NetworkInterface(
            id=id,
            name=id,
            state=NetworkState.UP,
            ip_address=ip,
            network_id=network,
            subnet_id=subnet,
            instance_id=instance,
        )
        for id, instance, network, subnet, ip in INTERFACES
    ]


def _blobs(bucket_id: str) -> list[Blob]:
    return [
        Blob(
            id=id,
            bucket_id=bucket_id,
            size_bytes=len(content),
            content_type=kind,
            modified_at=IMAGES_MADE_AT,
            etag=_etag(id),
            metadata=metadata,
        )
        for bucket, id, kind, metadata, content in BLOBS
        if bucket == bucket_id
    ]


def _etag(blob_id: str) -> str:
    return f"seed-{blob_id}"
