"""How a wish for an instance becomes one."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from nimbi.drivers.mock.attachment import GOES_ALONG, attached
from nimbi.drivers.mock.joining import joined
from nimbi.drivers.mock.naming import checked, mark, shown
from nimbi.drivers.mock.seed import DEFAULT_PROFILE, DEFAULT_REALM, PROFILES, REALMS
from nimbi.drivers.mock.table import Table
from nimbi.drivers.mock.volumes import volume_of
from nimbi.drivers.mock.world import Boot, State
from nimbi.model.errors import Invalid
from nimbi.model.hardware_profiles import HardwareProfile, Property, Sizes, Value
from nimbi.model.instances import (
    AddressKind,
    Endpoint,
    Instance,
    InstanceState,
    Login,
    NewAttachment,
    NewInstance,
    UserFile,
)
from nimbi.model.volumes import NewVolume

# The user whom the machines of this cloud would know.
LOGIN_USER = "root"
LARGEST_BOOT_BYTES = 4 * 2**20
LONGEST_PASSWORD = 128
MOST_TAGS = 50
BOOT_DEVICE = "/dev/sda"


def check_wish(state: State, new: NewInstance) -> None:
    """Raise Invalid when the wish names what is not there, or sizes that are not offered."""
    if new.image_id is not None:
        check_image(state, new.image_id, new.hardware_profile_id)
    _must_be(state.volumes, new.boot_volume_id, "volume")
    _must_be(REALMS, new.realm_id, "realm")
    _must_be(PROFILES, new.hardware_profile_id, "hardware profile")
    profile = PROFILES.get(new.hardware_profile_id or DEFAULT_PROFILE, "hardware profile")
    profile.check(new.sizes)
    _must_be(state.keys, new.key_id, "key")
    _must_be(state.load_balancers, new.load_balancer_id, "load balancer")
    _must_be(state.snapshots, new.snapshot_id, "snapshot")
    for firewall_id in new.firewall_ids:
        _must_be(state.firewalls, firewall_id, "firewall")
    for mapping in new.volumes:
        _must_be(state.snapshots, mapping.snapshot_id, "snapshot")
    if new.device is not None and new.snapshot_id is None:
        raise Invalid("a device is only for a snapshot to attach")
    _check_texts(new)
    _check_words(new.tags, "tag")
    _check_words(new.scheduler_hints, "hint")
    _check_boot(new)


def check_image(state: State, image_id: str, profile_id: str | None) -> None:
    """Raise Invalid when there is no such image, or it does not run on the profile."""
    image = state.images.find(image_id)
    if image is None:
        raise Invalid(f"there is no image {image_id!r}")
    wanted = profile_id or DEFAULT_PROFILE
    if wanted not in (image.hardware_profile_ids or (wanted,)):
        raise Invalid(f"the image {image.id!r} does not run on {wanted!r}")


def launched(state: State, new: NewInstance, user: str) -> str:
    """Return the id of one more running instance. The wish was checked before."""
    id = _lowest_free(state.instances)
    hostname = f"{new.image_id or 'volume'}.{id}"
    now = datetime.now(UTC)
    instance = Instance(
        id=id,
        name=new.name or f"i-{int(time.time())}",
        owner_id=user,
        image_id=new.image_id,
        realm_id=new.realm_id or DEFAULT_REALM,
        hardware_profile_id=new.hardware_profile_id or DEFAULT_PROFILE,
        state=InstanceState.RUNNING,
        sizes=_changed_sizes(new),
        launched_at=now,
        created_at=now,
        public_addresses=(Endpoint(f"{hostname}.public.com", AddressKind.HOSTNAME),),
        private_addresses=(Endpoint(f"{hostname}.private.com", AddressKind.HOSTNAME),),
        firewall_ids=tuple(dict.fromkeys(new.firewall_ids)),
        login=_login(new),
        can_be_imaged=True,
        tags=dict(new.tags),
        extra={
            "public_hostname": f"{hostname}.public.com",
            "measured_in_detail": bool(new.metrics),
            "config_drive": bool(new.config_drive),
            "scheduler_hints": dict(new.scheduler_hints),
            "token": mark(new.token),
        },
    )
    state.instances = state.instances.having(instance)
    if new.user_data is not None or new.user_files:
        boot = Boot(user_data=new.user_data, files=new.user_files)
        state.boots = {**state.boots, id: boot}
    _join(state, instance, new)
    return id


def _join(state: State, instance: Instance, new: NewInstance) -> None:
    if new.load_balancer_id is not None:
        balancer = state.load_balancers.get(new.load_balancer_id, "load balancer")
        members = (*balancer.instance_ids, instance.id)
        balancer = msgspec.structs.replace(balancer, instance_ids=members)
        state.load_balancers = state.load_balancers.having(balancer)
    if new.snapshot_id is not None:
        wish = NewVolume(snapshot_id=new.snapshot_id, realm_id=instance.realm_id)
        attached(state, volume_of(state, wish), instance, new.device)
    if new.boot_volume_id is not None:
        volume = state.volumes.get(new.boot_volume_id, "volume")
        attached(state, volume, state.instances.get(instance.id, "instance"), BOOT_DEVICE)
    joined(state, instance, new)
    for mapping in new.volumes:
        _map(state, state.instances.get(instance.id, "instance"), mapping)


def _map(state: State, instance: Instance, mapping: NewAttachment) -> None:
    wish = NewVolume(
        size_gib=mapping.size_gib,
        realm_id=instance.realm_id,
        snapshot_id=mapping.snapshot_id,
        kind=mapping.kind,
        iops=mapping.iops,
        encrypted=mapping.encrypted,
    )
    volume = attached(state, volume_of(state, wish), instance, mapping.device)
    if not mapping.keep:
        volume = msgspec.structs.replace(volume, extra={GOES_ALONG: True})
        state.volumes = state.volumes.having(volume)


def _must_be(table: Table[Any], id: str | None, noun: str) -> None:
    if id is not None and id not in table:
        raise Invalid(f"there is no {noun} {id!r}")


def _check_texts(new: NewInstance) -> None:
    shown(new.name or "", "the name of the instance")
    shown(new.device or "", "the device")
    shown(new.password or "", "the password", LONGEST_PASSWORD)
    for mapping in new.volumes:
        checked(mapping.device, "the device")


def _check_words(words: Mapping[str, str], noun: str) -> None:
    if len(words) > MOST_TAGS:
        raise Invalid(f"an instance has at most {MOST_TAGS} {noun}s, not {len(words)}")
    for name, value in words.items():
        checked(name, f"the name of a {noun}")
        shown(value, f"the {noun} {name!r}")


def _check_boot(new: NewInstance) -> None:
    size = len(new.user_data or b"")
    for file in new.user_files:
        _check_file(file)
        size += len(file.content)
    if size > LARGEST_BOOT_BYTES:
        raise Invalid(f"user data and files may have {LARGEST_BOOT_BYTES} bytes, not {size}")


def _check_file(file: UserFile) -> None:
    if not checked(file.path, "the path of a file", 4096).startswith("/"):
        raise Invalid(f"the path of a file must be absolute: {file.path!r}")


def _login(new: NewInstance) -> Login | None:
    if new.key_id is None and new.password is None:
        return None
    return Login(key_id=new.key_id, user=new.password and LOGIN_USER, password=new.password)


def sizes_after(instance: Instance, sizes: Sizes) -> Sizes:
    """Return the sizes of an instance once it is resized, as far as its profile's are others.

    Raises Invalid for what its profile does not offer, and for what a resize does not change.
    """
    if sizes.storage_gib is not None or sizes.architecture is not None:
        raise Invalid("only CPUs and memory of an instance can be resized")
    profile = PROFILES.get(instance.hardware_profile_id or DEFAULT_PROFILE, "hardware profile")
    profile.check(sizes)
    return _changed(profile, {**instance.sizes.given(), **sizes.given()})


def _changed_sizes(new: NewInstance) -> Sizes:
    profile = PROFILES.get(new.hardware_profile_id or DEFAULT_PROFILE, "hardware profile")
    return _changed(profile, new.sizes.given())


def _changed(profile: HardwareProfile, sizes: Mapping[str, Value]) -> Sizes:
    defaults: dict[str, Property] = profile.properties()
    changed = {name: value for name, value in sizes.items() if value != defaults[name].default}
    return msgspec.convert(changed, Sizes)


def _lowest_free(instances: Table[Instance]) -> str:
    number = 0
    while f"inst{number}" in instances:
        number += 1
    return f"inst{number}"
