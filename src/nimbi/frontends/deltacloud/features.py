"""The features of collections: optional parameters that only some clouds honour."""

from collections.abc import Mapping
from dataclasses import dataclass

from nimbi.driver.capabilities import OPERATIONS
from nimbi.driver.compute import Instances
from nimbi.frontends.deltacloud.route import Parameter, numbered, optional


@dataclass(frozen=True)
class WireFeature:
    """A feature of one operation of a collection, and the parameters it adds."""

    name: str
    operation: str
    parameters: tuple[Parameter, ...]

    @property
    def shown(self) -> tuple[Parameter, ...]:
        """Return the parameters that descriptions tell: other spellings are only understood."""
        return tuple(p for p in self.parameters if p.name != "bucket_location")


FEATURES: Mapping[str, tuple[WireFeature, ...]] = {
    "images": (
        WireFeature("owner_id", "index", (optional("owner_id", "Only images of this owner."),)),
        WireFeature(
            "name_filter",
            "index",
            (optional("name", "Only images of this name; `*` is any text, `?` any character."),),
        ),
        WireFeature("image_name", "create", (optional("name", "Name of the new image."),)),
        WireFeature(
            "image_description", "create", (optional("description", "Description of the image."),)
        ),
    ),
    "buckets": (
        WireFeature(
            "bucket_location",
            "create",
            (
                optional("location", "Where the bucket is to be kept."),
                optional("bucket_location", "The same as location."),
            ),
        ),
    ),
    "instances": (
        WireFeature("metrics", "create", (optional("metrics", "Measure in detail."),)),
        WireFeature("realm_filter", "index", (optional("realm_id", "Only in this realm."),)),
        WireFeature("user_name", "create", (optional("name", "Name chosen by the user."),)),
        WireFeature(
            "user_data", "create", (optional("user_data", "Bytes for the first boot, in base64."),)
        ),
        WireFeature(
            "user_files",
            "create",
            (numbered("user_files", "Files to put into the instance: an upload, or PATH=BASE64."),),
        ),
        WireFeature(
            "user_iso", "create", (optional("user_iso", "A gzipped ISO image, in base64."),)
        ),
        WireFeature(
            "firewalls", "create", (numbered("firewalls", "Firewalls in front of the instance."),)
        ),
        WireFeature("authentication_key", "create", (optional("keyname", "Key that may log in."),)),
        WireFeature(
            "authentication_password", "create", (optional("password", "Password to log in."),)
        ),
        WireFeature(
            "register_to_load_balancer",
            "create",
            (optional("load_balancer_id", "Load balancer to register with."),),
        ),
        WireFeature(
            "instance_count",
            "create",
            (optional("instance_count", "How many to start; the answer is then a list."),),
        ),
        WireFeature(
            "attach_snapshot",
            "create",
            (
                optional("snapshot_id", "Snapshot to attach as a volume."),
                optional("device_name", "Device name of that volume."),
            ),
        ),
        WireFeature("sandboxing", "create", (optional("sandbox", "Start a sandbox."),)),
        WireFeature(
            "subnet", "create", (optional("subnet_id", "Subnet in which it gets its address."),)
        ),
        WireFeature(
            "tags",
            "create",
            (
                numbered("tag_name", "Name of a tag kept with the instance."),
                numbered("tag_value", "Its value."),
            ),
        ),
        WireFeature(
            "spot",
            "create",
            (
                optional("spot", "Start it on spare capacity, which the cloud may take back."),
                optional("spot_max_price", "The most to pay an hour."),
            ),
        ),
    ),
    "firewalls": (
        WireFeature(
            "egress_rules", "rules", (optional("direction", "`egress` for what goes out."),)
        ),
    ),
    "keys": (
        WireFeature(
            "import_key", "create", (optional("public_key", "An existing public key to import."),)
        ),
    ),
    "storage_volumes": (
        WireFeature("volume_name", "create", (optional("name", "Name of the new volume."),)),
        WireFeature(
            "volume_description", "create", (optional("description", "Description of the volume."),)
        ),
        WireFeature(
            "volume_kind",
            "create",
            (
                optional("kind", "Kind of disk, by the cloud's own word."),
                optional("iops", "Operations a second that it is to take."),
                optional("throughput", "MiB a second that it is to take."),
            ),
        ),
        WireFeature("volume_encryption", "create", (optional("encrypted", "Keep it encrypted."),)),
    ),
}

CREATE_MANY = OPERATIONS[Instances.create_many].id


def of_operation(collection: str, operation: str) -> tuple[Parameter, ...]:
    """Return the parameters that all features together add to an operation."""
    return tuple(
        parameter
        for feature in FEATURES.get(collection, ())
        if feature.operation == operation
        for parameter in feature.parameters
    )


def offered(
    collection: str, names: frozenset[str], operations: frozenset[str]
) -> tuple[WireFeature, ...]:
    """Return the features that a cloud has; several instances at once are an operation of it."""
    return tuple(
        feature
        for feature in FEATURES.get(collection, ())
        if feature.name in names or (feature.name == "instance_count" and CREATE_MANY in operations)
    )
