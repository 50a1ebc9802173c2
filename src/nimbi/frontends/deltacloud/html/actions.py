"""What can be done with a member: buttons, links to forms, and what must be confirmed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from nimbi.frontends.deltacloud.html.cells import Member, list_at, text_of
from nimbi.frontends.deltacloud.html.view import PageView, segment

Look = Literal["post", "confirm", "go"]


def _always(member: Member) -> bool:
    return True


def _in_use(member: Member) -> bool:
    return bool(member.get("associated") or member.get("instance_id") or member.get("instance"))


def _free(member: Member) -> bool:
    return not _in_use(member)


def _attachable(member: Member) -> bool:
    return _free(member) and text_of(member.get("state")).upper() in ("", "AVAILABLE")


def _runs(member: Member) -> bool:
    return text_of(member.get("state")).upper() == "RUNNING"


def _can_be_imaged(member: Member) -> bool:
    return member.get("create_image") is True


def _empty(member: Member) -> bool:
    return text_of(member.get("size")) in ("", "0") and not member.get("blob_list")


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Something that can be done when the driver supports `operation` and `when` holds.

    `post` acts at once, `confirm` asks first and deletes, `go` leads to a form or a download.
    A `rare` one is on the member's own page only, so that the rows of a table stay low.
    `path` goes behind the member's own href; with `{id}` in it, it is a path by itself.
    """

    label: str
    operation: str
    look: Look
    path: str = ""
    when: Callable[[Member], bool] = _always
    rare: bool = False


@dataclass(frozen=True, kw_only=True)
class Button:
    """An offer for one member: `href` is a local path; `about` names what it works on."""

    label: str
    look: Look
    href: str
    about: str


def _destroy(interface: str, when: Callable[[Member], bool] = _always) -> Offer:
    return Offer(label="Destroy", operation=f"{interface}.destroy", look="confirm", when=when)


OFFERS: Mapping[str, tuple[Offer, ...]] = {
    "images": (
        Offer(
            label="Start instance",
            operation="instances.create",
            look="go",
            path="/api/instances/new?image_id={id}",
        ),
        _destroy("images"),
    ),
    "keys": (_destroy("keys"),),
    "addresses": (
        Offer(
            label="Associate",
            operation="addresses.associate",
            look="go",
            path="/associate",
            when=_free,
        ),
        Offer(
            label="Disassociate",
            operation="addresses.disassociate",
            look="post",
            path="/disassociate",
            when=_in_use,
        ),
        _destroy("addresses", when=_free),
    ),
    "storage_volumes": (
        Offer(
            label="Attach",
            operation="volumes.attach",
            look="go",
            path="/attach_instance",
            when=_attachable,
        ),
        Offer(
            label="Detach", operation="volumes.detach", look="post", path="/detach", when=_in_use
        ),
        Offer(
            label="Take snapshot",
            operation="snapshots.create",
            look="go",
            path="/api/storage_snapshots/new?volume_id={id}",
            rare=True,
        ),
        _destroy("volumes", when=_free),
    ),
    "storage_snapshots": (
        Offer(
            label="Make volume",
            operation="volumes.create",
            look="go",
            path="/api/storage_volumes/new?snapshot_id={id}",
        ),
        _destroy("snapshots"),
    ),
    "buckets": (_destroy("buckets", when=_empty),),
    "blobs": (
        Offer(label="Download", operation="blobs.read", look="go", path="/content"),
        _destroy("blobs"),
    ),
    "firewalls": (
        Offer(label="Add rule", operation="firewalls.create_rule", look="go", path="/new_rule"),
        _destroy("firewalls"),
    ),
    "load_balancers": (_destroy("load_balancers"),),
    "networks": (
        Offer(
            label="Add subnet",
            operation="subnets.create",
            look="go",
            path="/api/subnets/new?network_id={id}",
        ),
        _destroy("networks"),
    ),
    "subnets": (_destroy("subnets"),),
    "network_interfaces": (_destroy("network_interfaces"),),
}

# An instance tells by itself what its state allows: the `rel` of its actions. What leads to a form
# is offered by its facts, since clients of the JSON do not expect these among the actions.
INSTANCE_OFFERS: Mapping[str, tuple[Offer, ...]] = {
    "start": (Offer(label="Start", operation="instances.start", look="post"),),
    "reboot": (Offer(label="Reboot", operation="instances.reboot", look="post"),),
    "stop": (Offer(label="Stop", operation="instances.stop", look="post"),),
    "run": (
        Offer(
            label="Run command",
            operation="instances.run",
            look="go",
            path="/run",
            when=_runs,
            rare=True,
        ),
    ),
    "create_image": (
        Offer(
            label="Make image",
            operation="images.create",
            look="go",
            path="/api/images/new?instance_id={id}",
            when=_can_be_imaged,
            rare=True,
        ),
    ),
    "destroy": (_destroy("instances"),),
}


def buttons(
    view: PageView, collection: str, member: Member, *, with_rare: bool = True
) -> list[Button]:
    """Return what this driver can do with the member in its present state."""
    is_instance = collection == "instances"
    given = _given(member) if is_instance else {}
    offers = INSTANCE_OFFERS if is_instance else {"": OFFERS.get(collection, ())}
    return [
        _button(view, offer, member, given.get(rel))
        for rel, listed in offers.items()
        for offer in listed
        if offer.operation in view.operations
        and (with_rare or not offer.rare)
        and (rel in given if _is_told(rel, offer) else offer.when(member))
    ]


def _given(member: Member) -> dict[str, object]:
    """Return the hrefs of an instance's actions by their `rel`."""
    return {text_of(action.get("rel")): action.get("href") for action in list_at(member, "actions")}


def _is_told(rel: str, offer: Offer) -> bool:
    """Return whether the member's own actions, not a condition of ours, decide on the offer."""
    return bool(rel) and offer.look != "go"


def _button(view: PageView, offer: Offer, member: Member, href: object) -> Button:
    own_id = text_of(member.get("id"))
    if "{id}" in offer.path:
        target = offer.path.replace("{id}", segment(own_id))
    else:
        told = href if offer.look != "go" else None
        target = told if isinstance(told, str) else text_of(member.get("href")) + offer.path
    return Button(label=offer.label, look=offer.look, href=view.link(target), about=own_id)
