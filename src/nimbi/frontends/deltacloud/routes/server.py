"""Routes of the entry point and of the drivers: what needs no login."""

from nimbi.frontends.deltacloud.handlers import drivers, entry
from nimbi.frontends.deltacloud.route import Route, optional

ROUTES = (
    Route(
        verb="GET",
        path="/api",
        collection="",
        operation="index",
        text="Show what the driver can do.",
        handler=entry.show_entry,
        parameters=(optional("force_auth", "Check the login against the cloud first."),),
        opens_cloud=False,
        is_told=True,
        documented=False,
    ),
    Route(
        verb="POST",
        path="/api",
        collection="",
        operation="choose",
        text="Lead to the entry point of another driver or provider.",
        handler=entry.choose,
        parameters=(
            optional("driver", "Name of the driver."),
            optional("provider", "Name of the provider; `default` is the driver's own."),
        ),
        opens_cloud=False,
        documented=False,
    ),
    Route(
        verb="GET",
        path="/api/drivers",
        collection="drivers",
        operation="index",
        text="List the drivers of this server.",
        handler=drivers.list_drivers,
        parameters=(optional("id", "Only the one with this id."),),
        opens_cloud=False,
    ),
    Route(
        verb="GET",
        path="/api/drivers/:id",
        collection="drivers",
        operation="show",
        text="Show one driver with its providers.",
        handler=drivers.show_driver,
        opens_cloud=False,
        is_told=True,
    ),
)
