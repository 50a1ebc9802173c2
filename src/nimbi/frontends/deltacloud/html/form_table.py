"""The table of forms: which fields each has, what they need, and where their choices come from."""

from collections.abc import Mapping
from dataclasses import dataclass

from nimbi.frontends.deltacloud.html.view import FormField, Kind

NO_CHOICE = "(none)"
CLOUD_CHOOSES = "(the cloud chooses)"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A field of a form.

    `needs` is the feature or operation it takes, `source` the collection whose members it chooses
    from: without a list of them it is a plain text field. `blank` is the choice of none of them.
    """

    field: FormField
    needs: str = ""
    source: str = ""
    blank: str = NO_CHOICE


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form: what its button says, and whether it carries a file."""

    title: str
    submit: str
    operation: str
    fields: tuple[Asked, ...]
    multipart: bool = False


def _input(
    name: str,
    label: str,
    *,
    kind: Kind = "text",
    needs: str = "",
    required: bool = False,
    help: str = "",
    more: bool = False,
) -> Asked:
    field = FormField(name=name, label=label, kind=kind, required=required, help=help, more=more)
    return Asked(field=field, needs=needs)


def _pick(
    name: str,
    label: str,
    source: str,
    *,
    needs: str = "",
    required: bool = False,
    help: str = "",
    blank: str = NO_CHOICE,
    more: bool = False,
) -> Asked:
    field = FormField(
        name=name, label=label, kind="select", required=required, help=help, more=more
    )
    return Asked(field=field, needs=needs, source=source, blank=blank)


def _one_of(name: str, label: str, values: tuple[str, ...]) -> Asked:
    choices = tuple((value, value.upper()) for value in values)
    field = FormField(name=name, label=label, kind="select", required=True, choices=choices)
    return Asked(field=field)


FORMS: Mapping[tuple[str, str], Form] = {
    ("instances", "create"): Form(
        title="New instance",
        submit="Start instance",
        operation="instances.create",
        fields=(
            _pick("image_id", "Image", "images", required=True),
            _input("name", "Name", needs="instances.user_name"),
            _pick(
                "hwp_id",
                "Hardware profile",
                "hardware_profiles",
                help="The size of the machine.",
                blank=CLOUD_CHOOSES,
            ),
            _input(
                "hwp_cpu",
                "CPUs",
                kind="number",
                help="Only to differ from the profile's own.",
                more=True,
            ),
            _input(
                "hwp_memory",
                "Memory in MB",
                kind="number",
                help="Only to differ from the profile's own.",
                more=True,
            ),
            _input(
                "hwp_storage",
                "Storage in GB",
                kind="number",
                help="Only to differ from the profile's own.",
                more=True,
            ),
            _pick(
                "realm_id", "Realm", "realms", help="The place where it runs.", blank=CLOUD_CHOOSES
            ),
            _pick(
                "keyname",
                "Key",
                "keys",
                needs="instances.authentication_key",
                help="May log in to the instance.",
            ),
            _input(
                "password",
                "Password",
                kind="password",
                needs="instances.authentication_password",
                more=True,
            ),
            _pick("firewalls1", "Firewall", "firewalls", needs="instances.firewalls", more=True),
            _pick(
                "load_balancer_id",
                "Load balancer",
                "load_balancers",
                needs="instances.register_to_load_balancer",
                more=True,
            ),
            _pick(
                "snapshot_id",
                "Snapshot",
                "storage_snapshots",
                needs="instances.attach_snapshot",
                help="Attached as a volume.",
                more=True,
            ),
            _input(
                "device_name",
                "Device of the snapshot",
                needs="instances.attach_snapshot",
                more=True,
            ),
            _input(
                "instance_count",
                "How many",
                kind="number",
                needs="instances.create_many",
                more=True,
            ),
            _input(
                "user_data",
                "User data",
                kind="textarea",
                needs="instances.user_data",
                help="In base64, as base64 -w0 FILE prints it; handed over at the first boot.",
                more=True,
            ),
            _input(
                "metrics",
                "Measure in detail",
                kind="checkbox",
                needs="instances.metrics",
                more=True,
            ),
            _input(
                "sandbox",
                "Start as a sandbox",
                kind="checkbox",
                needs="instances.sandboxing",
                more=True,
            ),
        ),
    ),
    ("instances", "run"): Form(
        title="Run a command",
        submit="Run",
        operation="instances.run",
        fields=(
            _input("cmd", "Command", required=True, help="Runs in a shell, over ssh."),
            _input(
                "private_key",
                "Private key",
                kind="textarea",
                help="In PEM form; or give a password.",
            ),
            _input("password", "Password", kind="password"),
            _input("ip", "Address", help="Only when not the instance's own."),
            _input("port", "Port", kind="number", help="22 when left empty."),
        ),
    ),
    ("images", "create"): Form(
        title="New image",
        submit="Make image",
        operation="images.create",
        fields=(
            _pick("instance_id", "Instance", "instances", required=True),
            _input("name", "Name", needs="images.image_name"),
            _input("description", "Description", needs="images.image_description"),
        ),
    ),
    ("keys", "create"): Form(
        title="New key",
        submit="Make key",
        operation="keys.create",
        fields=(
            _input("name", "Name", required=True),
            _input(
                "public_key",
                "Public key",
                kind="textarea",
                needs="keys.import_key",
                help="One line in OpenSSH's form, to import it; empty makes a new pair.",
            ),
        ),
    ),
    ("addresses", "associate"): Form(
        title="Associate address",
        submit="Associate",
        operation="addresses.associate",
        fields=(_pick("instance_id", "Instance", "instances", required=True),),
    ),
    ("buckets", "create"): Form(
        title="New bucket",
        submit="Make bucket",
        operation="buckets.create",
        fields=(
            _input("name", "Name", required=True),
            _input("location", "Location", needs="buckets.bucket_location"),
        ),
    ),
    # The id stands before the file: the server can then pass the file on as it arrives.
    ("blobs", "create"): Form(
        title="Upload a blob",
        submit="Upload",
        operation="blobs.write",
        multipart=True,
        fields=(
            _input("blob_id", "Name", required=True),
            Asked(field=FormField(name="meta_params", label="", kind="hidden", value="1")),
            _input("meta_name1", "Metadata name", help="Optional, such as author."),
            _input("meta_value1", "Metadata value"),
            _input("blob_data", "File", kind="file", required=True),
        ),
    ),
    ("storage_volumes", "create"): Form(
        title="New volume",
        submit="Make volume",
        operation="volumes.create",
        fields=(
            _input("name", "Name", needs="volumes.volume_name"),
            _input("capacity", "Size in GB", kind="number"),
            _pick(
                "realm_id",
                "Realm",
                "realms",
                help="Where its instances run.",
                blank=CLOUD_CHOOSES,
            ),
            _pick("snapshot_id", "Snapshot", "storage_snapshots", help="What it is filled from."),
            _input("description", "Description", needs="volumes.volume_description"),
        ),
    ),
    ("storage_volumes", "attach"): Form(
        title="Attach volume",
        submit="Attach",
        operation="volumes.attach",
        fields=(
            _pick("instance_id", "Instance", "instances", required=True),
            _input("device", "Device", help="Such as /dev/sdc; empty leaves it to the cloud."),
        ),
    ),
    ("storage_snapshots", "create"): Form(
        title="New snapshot",
        submit="Take snapshot",
        operation="snapshots.create",
        fields=(
            _pick("volume_id", "Volume", "storage_volumes", required=True),
            _input("name", "Name"),
            _input("description", "Description"),
        ),
    ),
    ("firewalls", "create"): Form(
        title="New firewall",
        submit="Make firewall",
        operation="firewalls.create",
        fields=(
            _input("name", "Name", required=True),
            _input("description", "Description", required=True),
        ),
    ),
    ("firewalls", "create_rule"): Form(
        title="Add a rule",
        submit="Add rule",
        operation="firewalls.create_rule",
        fields=(
            _one_of("protocol", "Protocol", ("tcp", "udp", "icmp")),
            _input(
                "port_from", "First port", kind="number", required=True, help="The type, for ICMP."
            ),
            _input(
                "port_to", "Last port", kind="number", required=True, help="The code, for ICMP."
            ),
            _input("ip_address1", "From addresses", help="Such as 10.0.0.0/8 or 0.0.0.0/0."),
            _input("group1", "Or from a firewall", help="The name of a firewall."),
            _input("group1owner", "Owner of that firewall"),
        ),
    ),
    ("load_balancers", "create"): Form(
        title="New load balancer",
        submit="Make load balancer",
        operation="load_balancers.create",
        fields=(
            _input("name", "Name", required=True),
            _pick("realm_id", "Realm", "realms", required=True),
            _one_of("listener_protocol", "Protocol", ("HTTP", "TCP")),
            _input("listener_balancer_port", "Port of the balancer", kind="number", required=True),
            _input("listener_instance_port", "Port of the instances", kind="number", required=True),
        ),
    ),
    ("load_balancers", "register"): Form(
        title="Register an instance",
        submit="Register",
        operation="load_balancers.register",
        fields=(_pick("instance_id", "Instance", "instances", required=True),),
    ),
    ("networks", "create"): Form(
        title="New network",
        submit="Make network",
        operation="networks.create",
        fields=(
            _input("name", "Name"),
            _input("address_block", "Address block", help="Such as 192.168.0.0/16."),
        ),
    ),
    ("subnets", "create"): Form(
        title="New subnet",
        submit="Make subnet",
        operation="subnets.create",
        fields=(
            _pick("network_id", "Network", "networks", required=True),
            _input("address_block", "Address block", required=True, help="Such as 192.168.1.0/24."),
            _input("name", "Name"),
        ),
    ),
    ("network_interfaces", "create"): Form(
        title="New network interface",
        submit="Make network interface",
        operation="network_interfaces.create",
        fields=(
            _pick("instance", "Instance", "instances", required=True),
            _pick("network", "Network", "networks", required=True),
            _pick("subnet", "Subnet", "subnets", needs="subnets.page"),
            _input("name", "Name"),
        ),
    ),
}
