"""What can be done with a thing, as links: the same in XML, in JSON and on pages."""

from dataclasses import dataclass

from nimbi.frontends.deltacloud.states import VERBS
from nimbi.frontends.deltacloud.view import CREATE_IMAGE, RUN, View, segment
from nimbi.model.volumes import Volume, VolumeState


@dataclass(frozen=True, slots=True)
class Link:
    """One thing that can be done: what it is called, the verb and the absolute URL."""

    rel: str
    method: str
    href: str


def instance_links(
    api: str, id: str, operations: tuple[str, ...], extras: tuple[str, ...]
) -> tuple[Link, ...]:
    """Return an instance's actions: its operations in order, then what `View.extras` tells."""
    quoted = segment(id)
    href = f"{api}/instances/{quoted}"
    links = [
        Link("destroy", "delete", href)
        if operation == "destroy"
        else Link(operation, "post", f"{href}/{operation}")
        for operation in operations
        if operation in VERBS
    ]
    if RUN in extras:
        links.append(Link("run", "post", f"{href}/run;id={quoted}"))
    if CREATE_IMAGE in extras:
        links.append(Link("create_image", "post", f"{api}/images;instance_id={quoted}"))
    return tuple(links)


def volume_links(item: Volume, view: View) -> list[Link]:
    """Return what a volume's state and the cloud allow."""
    href = view.href("storage_volumes", item.id)
    if item.instance_id is not None or item.state is VolumeState.IN_USE:
        return [Link("detach", "post", f"{href}/detach")] if _can(view, "volumes.detach") else []
    links = []
    if item.state is VolumeState.AVAILABLE and _can(view, "volumes.attach"):
        links.append(Link("attach", "post", f"{href}/attach"))
    if _can(view, "volumes.destroy"):
        links.append(Link("destroy", "delete", href))
    return links


def _can(view: View, operation: str) -> bool:
    return operation in view.operations
