"""Wishes for volumes, snapshots and buckets."""

from nimbi.frontends.deltacloud.parameters import Parameters
from nimbi.model.buckets import NewBucket
from nimbi.model.errors import Invalid
from nimbi.model.snapshots import NewSnapshot
from nimbi.model.volumes import NewVolume, VolumeTarget

# No disk does more in a second.
FASTEST = 10**9


def new_volume(parameters: Parameters) -> NewVolume:
    return NewVolume(
        size_gib=parameters.number("capacity"),
        realm_id=parameters.line("realm_id"),
        snapshot_id=parameters.line("snapshot_id"),
        name=parameters.line("name"),
        description=parameters.text("description"),
        kind=parameters.line("kind"),
        iops=parameters.integer("iops", 1, FASTEST),
        throughput_mib=parameters.integer("throughput", 1, FASTEST),
        encrypted=parameters.flag("encrypted"),
    )


def volume_target(parameters: Parameters) -> VolumeTarget:
    return VolumeTarget(
        instance_id=parameters.needed("instance_id"), device=parameters.line("device")
    )


def new_snapshot(parameters: Parameters) -> NewSnapshot:
    return NewSnapshot(
        volume_id=parameters.needed("volume_id"),
        name=parameters.line("name"),
        description=parameters.text("description"),
    )


def new_bucket(parameters: Parameters) -> NewBucket:
    """Return the wish. The location goes by two names in old clients; they must not differ."""
    places = {parameters.line("location"), parameters.line("bucket_location")} - {None}
    if len(places) > 1:
        raise Invalid("parameters 'location' and 'bucket_location' contradict each other")
    return NewBucket(name=parameters.needed("name"), location=next(iter(places), None))
