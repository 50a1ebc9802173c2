"""What ties an instance to volumes and addresses; both ends are changed together."""

import string

import msgspec

from nimbi.drivers.mock.world import State
from nimbi.model.addresses import Address
from nimbi.model.errors import Conflict
from nimbi.model.instances import AddressKind, Attachment, Endpoint, Instance
from nimbi.model.volumes import Volume, VolumeAttachment, VolumeState

replace = msgspec.structs.replace

# Set in a volume's `extra` when it was made with its instance, to go with it.
GOES_ALONG = "goes_with_its_instance"


def attached(state: State, volume: Volume, instance: Instance, device: str | None) -> Volume:
    """Return the volume, now at the instance. Raises Conflict when either end is taken."""
    present = attachments(volume)
    holders = {attachment.instance_id for attachment in present}
    if instance.id in holders or (holders and not volume.shared):
        raise Conflict(f"the volume {volume.id!r} is attached to {volume.instance_id!r}")
    taken = {attachment.device for attachment in instance.volumes}
    device = device or _free_device(taken)
    if device in taken:
        raise Conflict(f"the instance {instance.id!r} has a volume at {device!r}")
    volume = _at(volume, (*present, VolumeAttachment(instance.id, device)))
    volumes = (*instance.volumes, Attachment(volume.id, device))
    state.volumes = state.volumes.having(volume)
    state.instances = state.instances.having(replace(instance, volumes=volumes))
    return volume


def attachments(volume: Volume) -> tuple[VolumeAttachment, ...]:
    """Return where a volume is; a cloud kept by an older version tells it in two fields only."""
    if volume.instance_id is None or volume.attachments:
        return volume.attachments
    return (VolumeAttachment(volume.instance_id, volume.device),)


def detached(state: State, volume: Volume, instance_id: str) -> Volume:
    """Return the volume, now free of this instance."""
    instance = state.instances.find(instance_id)
    if instance is not None:
        rest = tuple(other for other in instance.volumes if other.volume_id != volume.id)
        state.instances = state.instances.having(replace(instance, volumes=rest))
    rest_at = tuple(a for a in attachments(volume) if a.instance_id != instance_id)
    volume = replace(_at(volume, rest_at), extra={})
    state.volumes = state.volumes.having(volume)
    return volume


def left(state: State, volume: Volume, instance_id: str) -> None:
    """Free a volume whose instance goes, or let it go with that."""
    free = detached(state, volume, instance_id)
    if volume.extra.get(GOES_ALONG):
        state.volumes = state.volumes.without(free.id)


def associated(state: State, address: Address, instance: Instance) -> None:
    state.addresses = state.addresses.having(replace(address, instance_id=instance.id))
    _tell_addresses(state, instance)


def disassociated(state: State, address: Address) -> None:
    state.addresses = state.addresses.having(replace(address, instance_id=None))
    if instance := state.instances.find(address.instance_id or ""):
        _tell_addresses(state, instance)


def _tell_addresses(state: State, instance: Instance) -> None:
    """Make an instance answer at the addresses that point at it, else at its own host name."""
    mine = state.addresses.where(lambda address: address.instance_id == instance.id)
    told = tuple(Endpoint(address.ip) for address in mine.whole.items) or (
        Endpoint(instance.extra["public_hostname"], AddressKind.HOSTNAME),
    )
    state.instances = state.instances.having(replace(instance, public_addresses=told))


def _at(volume: Volume, attachments: tuple[VolumeAttachment, ...]) -> Volume:
    first = attachments[0] if attachments else None
    return replace(
        volume,
        state=VolumeState.AVAILABLE if first is None else VolumeState.IN_USE,
        instance_id=None if first is None else first.instance_id,
        device=None if first is None else first.device,
        attachments=attachments,
    )


def _free_device(taken: set[str | None]) -> str:
    for letter in string.ascii_lowercase[1:]:
        if f"/dev/sd{letter}" not in taken:
            return f"/dev/sd{letter}"
    raise Conflict("all device names of the instance are in use")
