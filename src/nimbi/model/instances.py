"""Instances: the virtual machines."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from nimbi.model.errors import Invalid
from nimbi.model.features import Feature
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.resource import NewResource, Resource


class InstanceState(StrEnum):
    """START and FINISH are before the first and after the last: no listed instance is in them.

    A PAUSED instance keeps its memory and does nothing.
    """

    START = "start"
    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ERROR = "error"
    FINISH = "finish"


class AddressKind(StrEnum):
    """What the text of an address is."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"
    HOSTNAME = "hostname"
    MAC = "mac"
    VNC = "vnc"
    UNAVAILABLE = "unavailable"


class Endpoint(msgspec.Struct, frozen=True):
    """Where an instance answers. `port` is set only when it is not the service's usual one."""

    address: str
    kind: AddressKind = AddressKind.IPV4
    port: int | None = None


class Attachment(msgspec.Struct, frozen=True):
    """A volume at an instance. `device` is the name that was asked for, such as `/dev/sdc`."""

    volume_id: str
    device: str | None = None


class NewAttachment(msgspec.Struct, frozen=True, kw_only=True):
    """A volume to make with an instance. The image's boot device named again changes that disk.

    Filled from a snapshot, or empty. What is None is the cloud's own choice; `kind` is a word of
    the cloud (`gp3`). It goes with the instance unless `keep`. The instance boots from the one that
    is for `boot`, which is filled from the instance's image when it has no snapshot.
    """

    device: str
    size_gib: int | float | None = None
    snapshot_id: str | None = None
    kind: str | None = None
    iops: int | None = None
    encrypted: bool | None = None
    keep: bool = False
    boot: Annotated[
        bool, Feature("boot_from_volume", "Boot the instance from this new volume.")
    ] = False


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """How to log in to an instance: by a key, or by user and password.

    `port` is where ssh answers at its public address, when that is not the usual one.
    """

    key_id: str | None = None
    user: str | None = None
    password: str | None = None
    port: int | None = None

    def __repr__(self) -> str:
        return f"Login(key_id={self.key_id!r}, user={self.user!r}, password=…)"


class UserFile(msgspec.Struct, frozen=True):
    """A file to put into an instance at its first boot. `path` is absolute, of the guest."""

    path: str
    content: bytes


class Instance(Resource, frozen=True, kw_only=True):
    """A virtual machine. `sizes` holds only what differs from its hardware profile's defaults.

    A `spot` instance may be taken away by the cloud at any time. A `locked` one is changed by no
    operation but `unlock`. A `rescued` one runs another system beside its disk, a `shelved` one is
    stopped and holds no place in the cloud.
    """

    name: str | None
    owner_id: str | None
    image_id: str | None
    realm_id: str | None
    hardware_profile_id: str | None
    state: InstanceState
    sizes: Sizes = Sizes()
    launched_at: datetime | None = None
    created_at: datetime | None = None
    public_addresses: tuple[Endpoint, ...] = ()
    private_addresses: tuple[Endpoint, ...] = ()
    firewall_ids: tuple[str, ...] = ()
    volumes: tuple[Attachment, ...] = ()
    network_interface_ids: tuple[str, ...] = ()
    login: Login | None = None
    can_be_imaged: bool = False
    state_reason: str | None = None
    tags: Mapping[str, str] = {}
    subnet_id: str | None = None
    spot: bool = False
    locked: bool = False
    rescued: bool = False
    shelved: bool = False


class InstanceFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which instances to list; no wish lists all of the login's.

    An instance must be as all wishes say. Raises Invalid for a time without a time zone.
    """

    realm_id: Annotated[str | None, Feature("realm_filter", "Only instances in this realm.")] = None
    state: Annotated[
        InstanceState | None, Feature("state_filter", "Only instances in this state.")
    ] = None
    tags: Annotated[
        Mapping[str, str], Feature("tag_filter", "Only instances that have all of these tags.")
    ] = {}
    changed_since: Annotated[
        datetime | None,
        Feature(
            "changed_since",
            "Only instances that changed since then; ones that are gone may come too, as FINISH.",
        ),
    ] = None

    def __post_init__(self) -> None:
        if isinstance(self.changed_since, datetime) and self.changed_since.tzinfo is None:
            raise Invalid("changed_since needs a time zone")


class NewInstance(NewResource, frozen=True, kw_only=True):
    """Start an instance of an image, or of a volume that holds a system.

    Sizes must be ones that the hardware profile offers.
    """

    image_id: str | None = None
    realm_id: str | None = None
    hardware_profile_id: str | None = None
    sizes: Sizes = Sizes()
    name: Annotated[str | None, Feature("user_name", "Name chosen by the user.")] = None
    user_data: Annotated[
        bytes | None, Feature("user_data", "Bytes handed to the instance at its first boot.")
    ] = None
    user_files: Annotated[
        tuple[UserFile, ...], Feature("user_files", "Files put into the instance.")
    ] = ()
    user_iso: Annotated[
        bytes | None, Feature("user_iso", "A gzipped ISO image, seen as a CD-ROM.")
    ] = None
    key_id: Annotated[
        str | None, Feature("authentication_key", "Key that may log in to the instance.")
    ] = None
    password: Annotated[
        str | None, Feature("authentication_password", "Password to log in with.")
    ] = None
    firewall_ids: Annotated[
        tuple[str, ...], Feature("firewalls", "Firewalls in front of the instance.")
    ] = ()
    load_balancer_id: Annotated[
        str | None, Feature("register_to_load_balancer", "Load balancer to register with.")
    ] = None
    snapshot_id: Annotated[
        str | None, Feature("attach_snapshot", "Snapshot to attach as a volume.")
    ] = None
    device: Annotated[
        str | None, Feature("attach_snapshot", "Device name of the snapshot's volume.")
    ] = None
    metrics: Annotated[
        bool | None, Feature("metrics", "Whether to measure the instance in detail.")
    ] = None
    sandbox: Annotated[
        bool | None, Feature("sandboxing", "Start a sandbox from which to make an image.")
    ] = None
    subnet_id: Annotated[
        str | None, Feature("subnet", "Subnet in which the instance gets its address.")
    ] = None
    tags: Annotated[
        Mapping[str, str], Feature("tags", "Names and values kept with the instance.")
    ] = {}
    volumes: Annotated[
        tuple[NewAttachment, ...],
        Feature("volume_mappings", "Volumes made with the instance, and its boot disk's size."),
    ] = ()
    spot: Annotated[
        bool | None,
        Feature("spot", "Start it on spare capacity, which the cloud may take back at any time."),
    ] = None
    spot_max_price: Annotated[
        str | None, Feature("spot", "The most to pay an hour, in the cloud's currency: `0.05`.")
    ] = None
    open_metadata: Annotated[
        bool | None,
        Feature("open_metadata", "Let the instance's metadata be read without a token (IMDSv1)."),
    ] = None
    fixed_address: Annotated[
        str | None, Feature("fixed_address", "Private address that the instance is to have.")
    ] = None
    network_ids: Annotated[
        tuple[str, ...], Feature("networks", "Networks that the instance joins, in this order.")
    ] = ()
    network_interface_ids: Annotated[
        tuple[str, ...],
        Feature("network_interfaces", "Free interfaces that the instance gets, in this order."),
    ] = ()
    boot_volume_id: Annotated[
        str | None, Feature("boot_from_volume", "Volume to boot from; it stays afterwards.")
    ] = None
    config_drive: Annotated[
        bool | None,
        Feature("config_drive", "Whether the instance reads its metadata from a disk of its own."),
    ] = None
    scheduler_hints: Annotated[
        Mapping[str, str],
        Feature("scheduler_hints", "Wishes for where to place it, in the cloud's own words."),
    ] = {}

    def check(self) -> None:
        """Raise Invalid unless there is one thing to boot, and for wishes that exclude each other.

        Those are a price without spare capacity, one device told twice, a fixed address on several
        networks.
        """
        boots = [volume for volume in self.volumes if volume.boot]
        filled = [volume.snapshot_id for volume in boots]
        sources = (self.image_id, self.boot_volume_id, *filled)
        if len(boots) > 1 or sum(source is not None for source in sources) != 1:
            raise Invalid("an instance boots from one image, one volume or one snapshot")
        if boots and self.boot_volume_id is not None:
            raise Invalid("an instance boots from an old volume or a new one, not from both")
        if self.fixed_address is not None and len(self.network_ids) > 1:
            raise Invalid("a fixed address is told only for one network")
        if self.spot_max_price is not None and not self.spot:
            raise Invalid("a highest price is told only of a spot instance")
        devices = [volume.device for volume in self.volumes]
        if len(set(devices)) < len(devices):
            raise Invalid("each device takes one volume")

    def __repr__(self) -> str:
        return f"NewInstance(image_id={self.image_id!r}, name={self.name!r}, …)"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A shell command to run on an instance over ssh, with a private key (PEM) or a password."""

    line: str
    private_key: str | None = None
    user: str | None = None
    password: str | None = None
    address: str | None = None
    port: int | None = None

    def __repr__(self) -> str:
        return f"Command(line={self.line!r}, …)"


class CommandResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a command printed (both streams, in order), where it ran, and its exit status."""

    address: str
    output: str
    exit_status: int
