"""What boto3's answers mean in neutral words: written apart from the driver, to judge it.

A function a kind of thing. Each takes a dict as boto3 gives it, and returns every field of the
thing save `extra`, or None for what no list shows.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from nimbi.model.firewalls import AddressSource, GroupSource, PrefixListSource
from nimbi.model.hardware_profiles import Enum, Fixed, Property, Sizes
from nimbi.model.instances import AddressKind, Attachment, Endpoint, Login
from nimbi.model.keys import KeyKind
from nimbi.model.load_balancers import Listener, ListenerProtocol, Member
from nimbi.model.metrics import Sample, Unit
from nimbi.model.volumes import VolumeAttachment

Told = Mapping[str, Any]
Fields = dict[str, Any]


def filled(value: Any) -> Any:
    """Return None for an empty text: in XML it can't be told from a missing one."""
    return None if value == "" else value


def labels(told: Told) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in told.get("Tags", ())}


def name(told: Told) -> str | None:
    found: str | None = labels(told).get("Name")
    return found


def text(told: Told, key: str) -> Any:
    return filled(told.get(key))


def realm(told: Told) -> Fields:
    is_open = told.get("State") == "available" and told.get("OptInStatus") != "not-opted-in"
    name = told.get("ZoneName", "")
    return {
        "id": name,
        "name": name,
        "state": "available" if is_open else "unavailable",
        "limit": None,
    }


def hardware_profile(told: Told) -> Fields:
    roots = told.get("SupportedRootDeviceTypes", ())
    gpus = sum(gpu.get("Count", 0) for gpu in told.get("GpuInfo", {}).get("Gpus", ()))
    storage_gb = told.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0)
    architectures = told.get("ProcessorInfo", {}).get("SupportedArchitectures", ())
    return {
        "id": told.get("InstanceType", ""),
        "name": told.get("InstanceType", ""),
        "cpus": _fixed(told.get("VCpuInfo", {}).get("DefaultVCpus")),
        "memory_mib": _fixed(told.get("MemoryInfo", {}).get("SizeInMiB")),
        "storage_gib": _fixed(round(storage_gb * 1e9 / 2**30, 1)),
        "architecture": _architecture(architectures),
        "root_type": Fixed("persistent" if "ebs" in roots else "transient") if roots else None,
        "gpus": _fixed(gpus),
    }


def _fixed(value: float | None) -> Fixed | None:
    return Fixed(value) if value else None


def _architecture(names: Sequence[str]) -> Property | None:
    if len(names) < 2:
        return Fixed(names[0]) if names else None
    return Enum(tuple(names), next((n for n in ("x86_64", "arm64") if n in names), names[0]))


def image(told: Told) -> Fields:
    created_at = told.get("CreationDate")
    states = {"available": "available", "pending": "pending", "transient": "pending"}
    return {
        "id": told.get("ImageId", ""),
        "name": text(told, "Name"),
        "description": text(told, "Description"),
        "owner_id": told.get("OwnerId"),
        "architecture": told.get("Architecture"),
        "state": states.get(told.get("State", ""), "error"),
        "created_at": datetime.fromisoformat(created_at) if created_at else None,
        "hardware_profile_ids": None,
        "root_type": "persistent" if told.get("RootDeviceType") == "ebs" else "transient",
        "visibility": None,
        "format": None,
    }


INSTANCE_STATES = {
    "pending": "pending",
    "running": "running",
    "shutting-down": "stopping",
    "stopping": "stopping",
    "stopped": "stopped",
    "terminated": "finish",
}


def instance(told: Told, owner_id: str | None) -> Fields:
    cards = told.get("NetworkInterfaces", ())
    first = [
        card["Attachment"] for card in cards if card.get("Attachment", {}).get("DeviceIndex") == 0
    ]
    launched_at = told.get("LaunchTime")
    state = INSTANCE_STATES.get(told.get("State", {}).get("Name", ""), "error")
    root = text(told, "RootDeviceName")
    disks = told.get("BlockDeviceMappings", ())
    key = text(told, "KeyName")
    own = {"Name", "nimbi:token"}
    public = [
        Endpoint(address["Ipv6Address"], AddressKind.IPV6)
        for card in cards
        for address in card.get("Ipv6Addresses", ())
        if "Ipv6Address" in address
    ]
    is_disk = told.get("RootDeviceType") == "ebs"
    return {
        "id": told.get("InstanceId", ""),
        "name": name(told),
        "owner_id": owner_id,
        "image_id": told.get("ImageId"),
        "realm_id": text(told.get("Placement", {}), "AvailabilityZone"),
        "hardware_profile_id": told.get("InstanceType"),
        "state": state,
        "sizes": Sizes(),
        "launched_at": launched_at,
        "created_at": (first[0].get("AttachTime") if first else None) or launched_at,
        "public_addresses": (*_endpoints(told, "PublicIpAddress", "PublicDnsName"), *public),
        "private_addresses": _endpoints(told, "PrivateIpAddress", "PrivateDnsName"),
        "firewall_ids": _each(told.get("SecurityGroups", ()), "GroupId"),
        "volumes": tuple(
            Attachment(disk["Ebs"]["VolumeId"], text(disk, "DeviceName"))
            for disk in disks
            if "VolumeId" in disk.get("Ebs", {}) and text(disk, "DeviceName") != root
        ),
        "network_interface_ids": _each(cards, "NetworkInterfaceId"),
        "login": Login(key_id=key) if key else None,
        "can_be_imaged": state in ("running", "stopping", "stopped") and is_disk,
        "state_reason": text(told.get("StateReason", {}), "Message")
        or text(told, "StateTransitionReason"),
        "tags": {key: value for key, value in labels(told).items() if key not in own},
        "subnet_id": told.get("SubnetId"),
        "spot": told.get("InstanceLifecycle") == "spot",
        "locked": False,
        "rescued": False,
        "shelved": False,
    }


def _endpoints(told: Told, number: str, name: str) -> tuple[Endpoint, ...]:
    kinds = ((number, AddressKind.IPV4), (name, AddressKind.HOSTNAME))
    return tuple(Endpoint(told[key], kind) for key, kind in kinds if text(told, key))


def _each(things: Iterable[Told], key: str) -> tuple[str, ...]:
    return tuple(thing[key] for thing in things if key in thing)


def key(told: Told) -> Fields:
    name = text(told, "KeyName") or ""
    return {
        "id": name,
        "name": name,
        "kind": KeyKind.KEY,
        "fingerprint": text(told, "KeyFingerprint"),
        "public_key": filled(told.get("PublicKey", "").strip()),
        "private_key": None,
        "user": None,
        "password": None,
    }


PROTOCOLS = {"tcp": "tcp", "udp": "udp", "icmp": "icmp", "icmpv6": "icmpv6", "-1": "any"}


def firewall(told: Told) -> Fields:
    return {
        "id": told.get("GroupId", ""),
        "name": text(told, "GroupName") or "",
        "description": text(told, "Description"),
        "owner_id": told.get("OwnerId"),
        "rules": (
            *rules(told.get("IpPermissions", ()), "ingress"),
            *rules(told.get("IpPermissionsEgress", ()), "egress"),
        ),
    }


def rules(permissions: Iterable[Told], direction: Any) -> Iterable[Fields]:
    for permission in permissions:
        if permission.get("IpProtocol") not in PROTOCOLS:
            continue
        for source, told in sources(permission):
            yield {
                "protocol": PROTOCOLS[permission["IpProtocol"]],
                "port_from": permission.get("FromPort", -1),
                "port_to": permission.get("ToPort", -1),
                "sources": (source,),
                "direction": direction,
                "description": text(told, "Description"),
            }


def sources(permission: Told) -> Iterable[tuple[Any, Told]]:
    for block in permission.get("IpRanges", ()):
        address, prefix = block["CidrIp"].split("/")
        yield AddressSource(address, int(prefix), "ipv4"), block
    for block in permission.get("Ipv6Ranges", ()):
        address, prefix = block["CidrIpv6"].split("/")
        yield AddressSource(address, int(prefix), "ipv6"), block
    for group in permission.get("UserIdGroupPairs", ()):
        named = text(group, "GroupName") or group.get("GroupId", "")
        yield GroupSource(named, group.get("UserId")), group
    for block in permission.get("PrefixListIds", ()):
        yield PrefixListSource(block.get("PrefixListId", "")), block


def address(told: Told) -> Fields:
    ip = text(told, "PublicIp") or text(told, "CarrierIp") or ""
    return {
        "id": told.get("AllocationId") or ip,
        "ip": ip,
        "instance_id": told.get("InstanceId"),
    }


STATES_OF_NETWORKS = {"pending": "pending", "available": "up"}


def network(told: Told, subnets: Iterable[Told]) -> Fields:
    blocks = [told.get("CidrBlock")]
    for family in ("", "Ipv6"):
        blocks += [
            association.get(f"{family}CidrBlock")
            for association in told.get(f"{family}CidrBlockAssociationSet", ())
            if association.get(f"{family}CidrBlockState", {}).get("State", "associated")
            in ("associated", "associating")
        ]
    id = told.get("VpcId", "")
    within = sorted(s.get("SubnetId", "") for s in subnets if s.get("VpcId", "") == id)
    return {
        "id": id,
        "name": name(told),
        "state": STATES_OF_NETWORKS.get(told.get("State", ""), "down"),
        "address_blocks": tuple(dict.fromkeys(block for block in blocks if block)),
        "subnet_ids": tuple(within),
    }


def subnet(told: Told) -> Fields:
    ipv6 = [a.get("Ipv6CidrBlock") for a in told.get("Ipv6CidrBlockAssociationSet", ())]
    return {
        "id": told.get("SubnetId", ""),
        "name": name(told),
        "state": STATES_OF_NETWORKS.get(told.get("State", ""), "down"),
        "address_block": told.get("CidrBlock") or next(iter(ipv6), None) or "",
        "network_id": told.get("VpcId", ""),
        "kind": "public" if told.get("MapPublicIpOnLaunch") else "private",
    }


STATES_OF_INTERFACES = {
    "pending": "pending",
    "attaching": "pending",
    "detaching": "pending",
    "in-use": "up",
    "associated": "up",
}


def network_interface(told: Told) -> Fields:
    return {
        "id": told.get("NetworkInterfaceId", ""),
        "name": {tag["Key"]: tag["Value"] for tag in told.get("TagSet", ())}.get("Name"),
        "state": STATES_OF_INTERFACES.get(told.get("Status", ""), "down"),
        "ip_address": text(told, "PrivateIpAddress") or text(told, "Ipv6Address"),
        "network_id": told.get("VpcId"),
        "subnet_id": told.get("SubnetId"),
        "instance_id": told.get("Attachment", {}).get("InstanceId"),
        "firewall_ids": tuple(group.get("GroupId", "") for group in told.get("Groups", ())),
    }


STATES_OF_VOLUMES = {"creating": "pending", "available": "available", "in-use": "in-use"}


def volume(told: Told) -> Fields | None:
    if told.get("State") in ("deleting", "deleted"):
        return None
    attached = tuple(
        VolumeAttachment(a["InstanceId"], text(a, "Device"))
        for a in told.get("Attachments", ())
        if a.get("State") != "detached" and text(a, "InstanceId")
    )
    return {
        "id": told.get("VolumeId", ""),
        "name": name(told),
        "description": labels(told).get("Description"),
        "state": STATES_OF_VOLUMES.get(told.get("State", ""), "error"),
        "size_gib": told.get("Size", 0),
        "created_at": told.get("CreateTime"),
        "realm_id": text(told, "AvailabilityZone"),
        "kind": told.get("VolumeType"),
        "instance_id": attached[0].instance_id if attached else None,
        "device": attached[0].device if attached else None,
        "attachments": attached,
        "shared": told.get("MultiAttachEnabled"),
        "state_reason": None,
        "iops": told.get("Iops"),
        "throughput_mib": told.get("Throughput"),
        "encrypted": told.get("Encrypted"),
    }


def snapshot(told: Told) -> Fields:
    states = {"pending": "pending", "recovering": "pending", "completed": "completed"}
    volume_id = told.get("VolumeId")
    return {
        "id": told.get("SnapshotId", ""),
        "name": name(told),
        "description": text(told, "Description"),
        "state": states.get(told.get("State", ""), "error"),
        "volume_id": None if volume_id == "vol-ffffffff" else volume_id,
        "created_at": told.get("StartTime"),
        "size_gib": told.get("VolumeSize"),
        "encrypted": told.get("Encrypted"),
    }


DEPTHS = {"HTTP": "http", "HTTPS": "http", "TCP": "tcp", "TLS": "tcp", "TCP_UDP": "tcp"}
HEALTHS = {"healthy": True, "unhealthy": False, "unhealthy.draining": False}


def load_balancer(
    told: Told, listeners: Iterable[Told], groups: Iterable[Told], health: Iterable[Told]
) -> Fields:
    """Return a balancer's fields; every one of its target groups tells the same health."""
    ports = {group["TargetGroupArn"]: group.get("Port") for group in groups}
    has_members = any(group.get("TargetType") in (None, "instance") for group in groups)
    members = _members(health) if has_members else ()
    return {
        "id": text(told, "LoadBalancerName") or "",
        "name": text(told, "LoadBalancerName"),
        "public_addresses": tuple(filter(None, [text(told, "DNSName")])),
        "created_at": told.get("CreatedTime"),
        "realm_ids": tuple(text(z, "ZoneName") or "" for z in told.get("AvailabilityZones", ())),
        "listeners": tuple(filter(None, (_listener(each, ports) for each in listeners))),
        "instance_ids": tuple(member.instance_id for member in members),
        "members": members,
    }


def _listener(told: Told, ports: Mapping[str, int | None]) -> Listener | None:
    actions = told.get("DefaultActions", ())
    arns = [action.get("TargetGroupArn") for action in actions]
    for action in actions:
        weighed = action.get("ForwardConfig", {}).get("TargetGroups", ())
        arns += [group.get("TargetGroupArn") for group in weighed]
    to = next((ports[arn] for arn in arns if ports.get(arn) is not None), None)
    depth = DEPTHS.get(told.get("Protocol", ""))
    if depth is None or to is None or "Port" not in told:
        return None
    return Listener(ListenerProtocol(depth), told["Port"], to)


def _members(health: Iterable[Told]) -> tuple[Member, ...]:
    found: dict[str, Member] = {}
    for told in health:
        how = told.get("TargetHealth", {})
        if how.get("State") == "draining" or how.get("Reason") == "Target.NotRegistered":
            continue
        healthy = HEALTHS.get(how.get("State", ""))
        reason = text(how, "Description") or how.get("Reason")
        id = told.get("Target", {}).get("Id", "")
        member = Member(instance_id=id, healthy=healthy, reason=reason)
        order = (False, None, True)
        known = found.get(id)
        if known is None or order.index(healthy) < order.index(known.healthy):
            found[id] = member
    return tuple(found[id] for id in sorted(found))


def bucket(told: Told) -> Fields:
    return {
        "id": told.get("Name", ""),
        "name": told.get("Name", ""),
        "blob_count": None,
        "location": text(told, "BucketRegion"),
        "created_at": told.get("CreationDate"),
    }


def blob(told: Told, bucket_id: str) -> Fields:
    """Return the fields of a blob that a list tells of."""
    return {
        "id": told.get("Key", ""),
        "bucket_id": bucket_id,
        "size_bytes": told.get("Size"),
        "content_type": None,
        "modified_at": told.get("LastModified"),
        "etag": text(told, "ETag") and told["ETag"].strip('"'),
        "metadata": {},
    }


# Deltacloud's names of what CloudWatch measures, with what each counts.
UNITS = {
    "cpuUtilization": Unit.PERCENT,
    "diskReadByte": Unit.BYTES,
    "diskReadRequestCount": Unit.COUNT,
    "diskWriteByte": Unit.BYTES,
    "diskWriteRequestCount": Unit.COUNT,
    "volumeReadByte": Unit.BYTES,
    "volumeReadRequestCount": Unit.COUNT,
    "volumeWriteByte": Unit.BYTES,
    "volumeWriteRequestCount": Unit.COUNT,
    "nicInputByte": Unit.BYTES,
    "nicInputPacket": Unit.COUNT,
    "nicOutputByte": Unit.BYTES,
    "nicOutputPacket": Unit.COUNT,
    "statusCheckFailed": Unit.COUNT,
}
# So that what is made up is in order: at least, on the average, at most.
ABOVE = {"Minimum": 0, "Average": 10, "Maximum": 20}


def bounded(value: float, statistic: str) -> float:
    return value + ABOVE[statistic]


def metric(told: Told) -> Mapping[str, tuple[Sample, ...]]:
    """Return the samples of each property that has any: where all three statistics are told."""
    found = {
        result["Id"]: dict(zip(result["Timestamps"], result["Values"], strict=True))
        for result in told["MetricDataResults"]
    }
    samples = {
        name: tuple(
            Sample(at=at, minimum=value, maximum=highs[at], average=means[at], unit=unit)
            for at, value in sorted(lows.items())
            if at in highs and at in means
        )
        for name, unit in UNITS.items()
        for lows, highs, means in (
            [found[f"{name}_{of}"] for of in ("Minimum", "Maximum", "Average")],
        )
    }
    return {name: each for name, each in samples.items() if each}
