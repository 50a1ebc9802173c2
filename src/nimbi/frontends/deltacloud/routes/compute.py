"""Routes of what runs machines."""

from nimbi.driver.compute import HardwareProfiles, Images, Instances, Keys, Metrics, Realms
from nimbi.frontends.deltacloud.features import of_operation
from nimbi.frontends.deltacloud.formats import PAGES, PICTURES
from nimbi.frontends.deltacloud.handlers import compute, states
from nimbi.frontends.deltacloud.handlers.collections import destroy, index, show
from nimbi.frontends.deltacloud.handlers.forms import form
from nimbi.frontends.deltacloud.route import Body, Parameter, Route, optional, required

ID = optional("id", "Only the one with this id.")
STATE = optional("state", "Only in this state: AVAILABLE, …")
ARCHITECTURE = optional("architecture", "Only for this architecture: i386, x86_64.")
SIZES: tuple[Parameter, ...] = (
    optional("hwp_cpu", "Number of processors, where the profile lets choose."),
    optional("hwp_memory", "Memory in MB, where the profile lets choose."),
    optional("hwp_storage", "Storage in GB, where the profile lets choose."),
    optional("hwp_architecture", "Architecture, where the profile lets choose."),
)

REALMS = (
    Route(
        verb="GET",
        path="/api/realms",
        collection="realms",
        operation="index",
        text="List the places within the cloud.",
        handler=index("realms"),
        needs=(Realms.page,),
        capability="realms",
        parameters=(ID, STATE),
    ),
    Route(
        verb="GET",
        path="/api/realms/:id",
        collection="realms",
        operation="show",
        text="Show one realm.",
        handler=show("realms"),
        needs=(Realms.get,),
        capability="realm",
    ),
)

HARDWARE_PROFILES = (
    Route(
        verb="GET",
        path="/api/hardware_profiles",
        collection="hardware_profiles",
        operation="index",
        text="List the sizes of machines, the smallest first.",
        handler=compute.list_profiles,
        needs=(HardwareProfiles.page,),
        capability="hardware_profiles",
        parameters=(ID, ARCHITECTURE),
    ),
    Route(
        verb="GET",
        path="/api/hardware_profiles/:id",
        collection="hardware_profiles",
        operation="show",
        text="Show one hardware profile.",
        handler=show("hardware_profiles"),
        needs=(HardwareProfiles.get,),
        capability="hardware_profile",
    ),
)

IMAGES = (
    Route(
        verb="GET",
        path="/api/images",
        collection="images",
        operation="index",
        text="List what instances can be started from.",
        handler=compute.list_images,
        needs=(Images.page,),
        capability="images",
        parameters=(ID, ARCHITECTURE, STATE),
        features=of_operation("images", "index"),
    ),
    Route(
        verb="GET",
        path="/api/images/:id",
        collection="images",
        operation="show",
        text="Show one image.",
        handler=show("images"),
        needs=(Images.get,),
        capability="image",
    ),
    Route(
        verb="POST",
        path="/api/images",
        collection="images",
        operation="create",
        text="Make an image of an instance.",
        handler=compute.create_image,
        needs=(Images.create,),
        capability="create_image",
        parameters=(
            required("instance_id", "Instance whose disk to take."),
            optional("name", "Name of the new image."),
            optional("description", "Description of the new image."),
        ),
    ),
    Route(
        verb="DELETE",
        path="/api/images/:id",
        collection="images",
        operation="destroy",
        text="Remove an image.",
        handler=destroy("images", Images.destroy),
        needs=(Images.destroy,),
        capability="destroy_image",
    ),
    Route(
        verb="GET",
        path="/api/images/new",
        collection="images",
        operation="new",
        text="Form for a new image.",
        handler=form("images", "create", "/images"),
        needs=(Images.create,),
        capability="create_image",
        parameters=(optional("instance_id", "Chosen beforehand."),),
        formats=PAGES,
        documented=False,
    ),
)

INSTANCE_STATES = (
    Route(
        verb="GET",
        path="/api/instance_states",
        collection="instance_states",
        operation="index",
        text="Show the states of instances and the ways between them.",
        handler=states.show_states,
        formats=PICTURES,
        opens_cloud=False,
    ),
)

INSTANCES = (
    Route(
        verb="GET",
        path="/api/instances",
        collection="instances",
        operation="index",
        text="List the instances.",
        handler=compute.list_instances,
        needs=(Instances.page,),
        capability="instances",
        parameters=(
            ID,
            optional("state", "Only in this state: RUNNING, STOPPED, …"),
            optional("owner_id", "Only of this owner."),
        ),
        features=of_operation("instances", "index"),
    ),
    Route(
        verb="GET",
        path="/api/instances/:id",
        collection="instances",
        operation="show",
        text="Show one instance.",
        handler=show("instances"),
        needs=(Instances.get,),
        capability="instance",
    ),
    Route(
        verb="POST",
        path="/api/instances",
        collection="instances",
        operation="create",
        text="Start an instance of an image.",
        handler=compute.create_instance,
        needs=(Instances.create,),
        capability="create_instance",
        parameters=(
            required("image_id", "Image to start."),
            optional("realm_id", "Realm to start it in."),
            optional("hwp_id", "Hardware profile: the size of the machine."),
            *SIZES,
        ),
        features=of_operation("instances", "create"),
        body=Body.FILES,
    ),
    *(
        Route(
            verb="POST",
            path=f"/api/instances/:id/{name}",
            collection="instances",
            operation=name,
            text=text,
            handler=compute.act(function),
            needs=(function,),
            capability=f"{name}_instance",
            is_action=True,
        )
        for name, function, text in (
            ("start", Instances.start, "Start a stopped instance."),
            ("stop", Instances.stop, "Stop a running instance, keeping its disk."),
            ("reboot", Instances.reboot, "Restart the operating system of a running instance."),
        )
    ),
    Route(
        verb="DELETE",
        path="/api/instances/:id",
        collection="instances",
        operation="destroy",
        text="Remove an instance with its disk.",
        handler=compute.destroy_instance,
        needs=(Instances.destroy,),
        capability="destroy_instance",
        is_action=True,
    ),
    Route(
        verb="POST",
        path="/api/instances/:id/run",
        collection="instances",
        operation="run",
        text="Run a shell command on an instance over ssh.",
        handler=compute.run,
        needs=(Instances.run,),
        capability="run_on_instance",
        parameters=(
            required("cmd", "The command."),
            optional("private_key", "Private key to log in with, in PEM form."),
            optional("password", "Password to log in with."),
            optional("ip", "Address, where it is not the instance's own."),
            optional("port", "Port of ssh, 22 when not told."),
        ),
        is_action=True,
    ),
    Route(
        verb="GET",
        path="/api/instances/new",
        collection="instances",
        operation="new",
        text="Form for a new instance.",
        handler=form("instances", "create", "/instances"),
        needs=(Instances.create,),
        capability="create_instance",
        parameters=(optional("image_id", "Chosen beforehand."),),
        formats=PAGES,
        documented=False,
    ),
    Route(
        verb="GET",
        path="/api/instances/:id/run",
        collection="instances",
        operation="run_form",
        text="Form for a command.",
        handler=form("instances", "run", "/instances/:id/run"),
        needs=(Instances.run,),
        capability="run_on_instance",
        formats=PAGES,
        documented=False,
    ),
)

KEYS = (
    Route(
        verb="GET",
        path="/api/keys",
        collection="keys",
        operation="index",
        text="List the keys.",
        handler=index("keys"),
        needs=(Keys.page,),
        capability="keys",
        parameters=(ID,),
    ),
    Route(
        verb="GET",
        path="/api/keys/:id",
        collection="keys",
        operation="show",
        text="Show one key.",
        handler=show("keys"),
        needs=(Keys.get,),
        capability="key",
    ),
    Route(
        verb="POST",
        path="/api/keys",
        collection="keys",
        operation="create",
        text="Make a key pair, or import a public key. The private key is told this once.",
        handler=compute.create_key,
        needs=(Keys.create,),
        capability="create_key",
        parameters=(required("name", "Name of the key."),),
        features=of_operation("keys", "create"),
    ),
    Route(
        verb="DELETE",
        path="/api/keys/:id",
        collection="keys",
        operation="destroy",
        text="Remove a key.",
        handler=destroy("keys", Keys.destroy),
        needs=(Keys.destroy,),
        capability="destroy_key",
    ),
    Route(
        verb="GET",
        path="/api/keys/new",
        collection="keys",
        operation="new",
        text="Form for a new key.",
        handler=form("keys", "create", "/keys"),
        needs=(Keys.create,),
        capability="create_key",
        formats=PAGES,
        documented=False,
    ),
)

METRICS = (
    Route(
        verb="GET",
        path="/api/metrics",
        collection="metrics",
        operation="index",
        text="List what is measured.",
        handler=index("metrics"),
        needs=(Metrics.page,),
        capability="metrics",
        parameters=(ID,),
    ),
    Route(
        verb="GET",
        path="/api/metrics/:id",
        collection="metrics",
        operation="show",
        text="Show what was measured of one instance.",
        handler=show("metrics"),
        needs=(Metrics.get,),
        capability="metric",
    ),
)

ROUTES = (
    *REALMS,
    *HARDWARE_PROFILES,
    *IMAGES,
    *INSTANCE_STATES,
    *INSTANCES,
    *KEYS,
    *METRICS,
)
