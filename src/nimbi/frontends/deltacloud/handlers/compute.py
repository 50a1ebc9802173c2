"""Instances, images, keys and hardware profiles."""

from collections.abc import Sequence

from nimbi.driver.capabilities import Function
from nimbi.driver.compute import HardwareProfiles, Images, Instances, Keys
from nimbi.frontends.deltacloud.answers import (
    created,
    gone,
    html_reply,
    json_reply,
    listed,
    redirect,
    shown,
    view_of,
    xml_reply,
)
from nimbi.frontends.deltacloud.catalog import KINDS
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.formats import HTML, JSON
from nimbi.frontends.deltacloud.handlers.collections import everything, timed, with_id, with_state
from nimbi.frontends.deltacloud.html import pages
from nimbi.frontends.deltacloud.page_view import page_view
from nimbi.frontends.deltacloud.render_json.instances import run_result as json_run_result
from nimbi.frontends.deltacloud.render_xml.instances import run_result as xml_run_result
from nimbi.frontends.deltacloud.reply import Reply
from nimbi.frontends.deltacloud.requests import compute as wishes
from nimbi.frontends.deltacloud.route import Handler
from nimbi.frontends.deltacloud.states import NAMES
from nimbi.frontends.deltacloud.view import segment
from nimbi.model.errors import Invalid, Unsupported
from nimbi.model.hardware_profiles import HardwareProfile, Property
from nimbi.model.images import Image, ImageFilter
from nimbi.model.instances import Instance, InstanceFilter, InstanceState

INSTANCES = KINDS["instances"]
IMAGES = KINDS["images"]
KEYS = KINDS["keys"]
PROFILES = KINDS["hardware_profiles"]


async def list_instances(exchange: Exchange) -> Reply:
    """List instances; filters go to a cloud that honours them, and are applied here as well."""
    if not exchange.parameters.texts:
        found = await timed(exchange, everything(exchange, Instances.page))
        return listed(exchange, INSTANCES, found)
    given = exchange.parameters
    realm_id, state, owner_id = given.line("realm_id"), given.line("state"), given.line("owner_id")
    honoured = exchange.cloud.features(Instances)
    where = InstanceFilter(
        realm_id=realm_id if "realm_filter" in honoured else None,
        state=_state(exchange, state) if "state_filter" in honoured else None,
    )
    items: Sequence[Instance] = await timed(
        exchange, everything(exchange, Instances.page, where=where)
    )
    return listed(
        exchange,
        INSTANCES,
        [
            item
            for item in with_id(exchange, items)
            if (realm_id is None or item.realm_id == realm_id)
            and (state is None or NAMES[item.state] == state.upper())
            and (owner_id is None or item.owner_id == owner_id)
        ],
    )


def _state(exchange: Exchange, wanted: str | None) -> InstanceState | None:
    """Return the one state of the cloud that has this name here, None when it is not just one."""
    if wanted is None:
        return None
    states = exchange.driver.instance_states.states
    named = [state for state in states if NAMES[state] == wanted.upper()]
    return named[0] if len(named) == 1 else None


async def list_images(exchange: Exchange) -> Reply:
    given = exchange.parameters
    owner_id, architecture = given.line("owner_id"), given.line("architecture")
    honoured = exchange.cloud.features(Images)
    if owner_id == "self" and "owner_id" not in honoured:
        raise Unsupported(
            f"{exchange.cloud.driver.name} cannot tell which images are your own", "images.owner_id"
        )
    where = ImageFilter(
        owner_id=owner_id if "owner_id" in honoured else None,
        # A wish that is new in this API: where it is not honoured, it is refused.
        name=given.line("name"),
        architecture=architecture if "architecture_filter" in honoured else None,
    )
    items: Sequence[Image] = await timed(exchange, everything(exchange, Images.page, where=where))
    return listed(
        exchange,
        IMAGES,
        [
            item
            for item in with_state(exchange, with_id(exchange, items))
            if (architecture is None or item.architecture == architecture)
            and (owner_id in (None, "self") or item.owner_id == owner_id)
        ],
    )


async def list_profiles(exchange: Exchange) -> Reply:
    """List profiles, the smallest first, opaque ones last."""
    architecture = exchange.parameters.line("architecture")
    items: Sequence[HardwareProfile] = await timed(
        exchange, everything(exchange, HardwareProfiles.page)
    )
    fitting = [
        item
        for item in with_id(exchange, items)
        if architecture is None
        or (item.architecture is not None and item.architecture.allows(architecture))
    ]
    return listed(exchange, PROFILES, sorted(fitting, key=_size))


async def create_instance(exchange: Exchange) -> Reply:
    new = await wishes.new_instance(exchange.parameters)
    count = wishes.instance_count(exchange.parameters)
    if count is None or (count == 1 and not exchange.cloud.supports(Instances.create_many)):
        item = await exchange.cloud.call(Instances.create, new)
        return created(exchange, INSTANCES, item, item.id)
    items = await exchange.cloud.call(Instances.create_many, new, count)
    if len(items) == 1:
        return created(exchange, INSTANCES, items[0], items[0].id)
    return listed(exchange, INSTANCES, items, 201)


def act(operation: Function) -> Handler:
    """Return the handler of an instance action: it answers with the instance as it then is."""

    async def handler(exchange: Exchange) -> Reply:
        id = exchange.arguments["id"]
        await timed(exchange, exchange.cloud.call(operation, id))
        if exchange.format is HTML:
            return redirect(exchange, f"/instances/{segment(id)}")
        item = await exchange.cloud.call(Instances.get, id)
        return shown(exchange, INSTANCES, item, 202, wrapped=False)

    return handler


async def destroy_instance(exchange: Exchange) -> Reply:
    await exchange.cloud.call(Instances.destroy, exchange.arguments["id"])
    return gone(exchange, "/instances")


async def run(exchange: Exchange) -> Reply:
    """Answer with what a command printed; a status other than 0 is no error of this API."""
    id = exchange.arguments["id"]
    command = wishes.command(exchange.parameters)
    if command.private_key is None and command.password is None:
        raise Invalid("one of the parameters 'private_key' and 'password' is needed")
    result = await exchange.cloud.call(Instances.run, id, command)
    if exchange.format is JSON:
        return json_reply({"instance": json_run_result(id, command.line, result)})
    if exchange.format is HTML:
        text = f"{command.line} on {result.address} ended with status {result.exit_status}."
        view = page_view(exchange)
        page = pages.message_page(view, "instances", "Command run", text, result.output)
        return html_reply(page)
    return xml_reply(xml_run_result(id, command.line, result, view_of(exchange)))


async def create_image(exchange: Exchange) -> Reply:
    item = await exchange.cloud.call(Images.create, wishes.new_image(exchange.parameters))
    return created(exchange, IMAGES, item, item.id)


async def create_key(exchange: Exchange) -> Reply:
    """Answer with the key, its private part in it: the only time that it is told."""
    item = await exchange.cloud.call(Keys.create, wishes.new_key(exchange.parameters))
    return created(exchange, KEYS, item, item.id)


def _size(profile: HardwareProfile) -> tuple[bool, float, float]:
    cpus, memory = _default(profile.cpus), _default(profile.memory_mib)
    return (cpus is None or memory is None, cpus or 0.0, memory or 0.0)


def _default(rule: Property | None) -> float | None:
    return float(rule.default) if rule is not None and not isinstance(rule.default, str) else None
