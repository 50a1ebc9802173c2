"""What the pages call each collection, where it stands in the menu, and what it needs."""

from collections.abc import Mapping
from dataclasses import dataclass

from nimbi.frontends.deltacloud.html.view import PageView


@dataclass(frozen=True, kw_only=True)
class Words:
    """A collection for people.

    `interface` is the first half of its operation ids (`storage_volumes` are `volumes`). `shown_by`
    is the operation whose support shows the collection; None shows it always. `create` is the text
    of the button that makes a member; `empty` says what to do when there is none.
    """

    title: str
    one: str
    group: str
    interface: str
    shown_by: str | None
    text: str
    create: str = ""
    empty: str = "The cloud has none to show."


WORDS: Mapping[str, Words] = {
    "instances": Words(
        title="Instances",
        one="Instance",
        group="Compute",
        interface="instances",
        shown_by="instances.page",
        text="Virtual machines.",
        create="New instance",
        empty="Start one from an image; it shows here while it boots.",
    ),
    "images": Words(
        title="Images",
        one="Image",
        group="Compute",
        interface="images",
        shown_by="images.page",
        text="What instances are started from.",
        create="New image",
        empty="Make one of a running instance to keep its disk.",
    ),
    "hardware_profiles": Words(
        title="Hardware profiles",
        one="Hardware profile",
        group="Compute",
        interface="hardware_profiles",
        shown_by="hardware_profiles.page",
        text="The sizes of machines that can be started.",
    ),
    "realms": Words(
        title="Realms",
        one="Realm",
        group="Compute",
        interface="realms",
        shown_by="realms.page",
        text="Places within the cloud.",
    ),
    "keys": Words(
        title="Keys",
        one="Key",
        group="Compute",
        interface="keys",
        shown_by="keys.page",
        text="What opens a login to an instance.",
        create="New key",
        empty="Make a key pair, then choose it when you start an instance.",
    ),
    "metrics": Words(
        title="Metrics",
        one="Metric",
        group="Compute",
        interface="metrics",
        shown_by="metrics.page",
        text="What the cloud measured of its instances.",
        empty="Measurements appear once an instance runs.",
    ),
    "instance_states": Words(
        title="Instance states",
        one="Instance state",
        group="Compute",
        interface="instances",
        shown_by="instances.page",
        text="The states of an instance, and what leads from one to the next.",
    ),
    "storage_volumes": Words(
        title="Volumes",
        one="Volume",
        group="Storage",
        interface="volumes",
        shown_by="volumes.page",
        text="Disks that live apart from instances.",
        create="New volume",
        empty="Make one, then attach it to an instance.",
    ),
    "storage_snapshots": Words(
        title="Snapshots",
        one="Snapshot",
        group="Storage",
        interface="snapshots",
        shown_by="snapshots.page",
        text="What volumes held at one moment.",
        create="New snapshot",
        empty="Take one of a volume to be able to go back to it.",
    ),
    "buckets": Words(
        title="Buckets",
        one="Bucket",
        group="Storage",
        interface="buckets",
        shown_by="buckets.page",
        text="Named containers of blobs.",
        create="New bucket",
        empty="Make one, then upload files into it.",
    ),
    "blobs": Words(
        title="Blobs",
        one="Blob",
        group="",
        interface="blobs",
        shown_by="blobs.page",
        text="Bytes under a name in a bucket.",
        create="Upload a blob",
        empty="Upload a file with the form below.",
    ),
    "addresses": Words(
        title="Addresses",
        one="Address",
        group="Network",
        interface="addresses",
        shown_by="addresses.page",
        text="Public addresses that point at instances.",
        create="New address",
        empty="Ask for one, then associate it with an instance.",
    ),
    "firewalls": Words(
        title="Firewalls",
        one="Firewall",
        group="Network",
        interface="firewalls",
        shown_by="firewalls.page",
        text="Sets of rules that let traffic in.",
        create="New firewall",
        empty="Make one, then add rules that let traffic in.",
    ),
    "load_balancers": Words(
        title="Load balancers",
        one="Load balancer",
        group="Network",
        interface="load_balancers",
        shown_by="load_balancers.page",
        text="One address in front of several instances.",
        create="New load balancer",
        empty="Make one, then register instances behind it.",
    ),
    "networks": Words(
        title="Networks",
        one="Network",
        group="Network",
        interface="networks",
        shown_by="networks.page",
        text="Private networks.",
        create="New network",
        empty="Make one, then put subnets into it.",
    ),
    "subnets": Words(
        title="Subnets",
        one="Subnet",
        group="Network",
        interface="subnets",
        shown_by="subnets.page",
        text="Parts of networks.",
        create="New subnet",
        empty="Make one inside a network.",
    ),
    "network_interfaces": Words(
        title="Network interfaces",
        one="Network interface",
        group="Network",
        interface="network_interfaces",
        shown_by="network_interfaces.page",
        text="Cards by which instances join networks.",
        create="New network interface",
        empty="Make one to join an instance to a network.",
    ),
    "drivers": Words(
        title="Drivers",
        one="Driver",
        group="Server",
        interface="drivers",
        shown_by=None,
        text="The clouds that this server can speak to.",
    ),
}

GROUPS = ("Compute", "Storage", "Network", "Server")


def words_for(collection: str) -> Words:
    """Return the words of a collection; one that is not known gets its name made readable."""
    found = WORDS.get(collection)
    if found:
        return found
    title = collection.replace("_", " ").capitalize()
    return Words(title=title, one=title, group="", interface=collection, shown_by=None, text="")


def shown(view: PageView, collection: str) -> bool:
    """Return whether this driver has the collection."""
    needs = words_for(collection).shown_by
    return needs is None or needs in view.operations


def can(view: PageView, collection: str, operation: str) -> bool:
    """Return whether this driver can do `operation`, such as `create`, in a collection."""
    return f"{words_for(collection).interface}.{operation}" in view.operations


def label_of(name: str) -> str:
    """Return a wire name as a person reads it: `owner_id` is `Owner`, `cpuUtilization` parts."""
    parts = "".join(f" {c.lower()}" if c.isupper() else c for c in name.removesuffix("_id"))
    text = parts.replace("_", " ").strip()
    return LABELS.get(name) or text[:1].upper() + text[1:]


# Where the name alone reads badly.
LABELS: Mapping[str, str] = {
    "id": "Id",
    "ip": "IP address",
    "href": "Link",
    "pem_rsa_key": "Private key",
    "credential_type": "Kind",
    "owner_id": "Owner",
    "authentication_type": "Login by",
    "create_time": "Created",
    "created_at": "Created",
    "creation_time": "Created",
    "create_image": "Can be imaged",
    "blob_list": "Blobs",
    "ip_address": "IP address",
    "cpu": "CPUs",
    "cpuUtilization": "CPU utilization",
    "nicInputByte": "Network bytes in",
    "nicOutputByte": "Network bytes out",
    "nicInputPacket": "Network packets in",
    "nicOutputPacket": "Network packets out",
    "diskReadRequestCount": "Disk reads",
    "diskWriteRequestCount": "Disk writes",
    "diskReadSector": "Disk sectors read",
    "diskWriteSector": "Disk sectors written",
}
