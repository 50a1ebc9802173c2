"""Wishes for instances, images and keys."""

import re

from nimbi.frontends.deltacloud.parameters import Parameters, natural
from nimbi.model.errors import Invalid
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.images import NewImage
from nimbi.model.instances import Command, NewInstance, UserFile
from nimbi.model.keys import NewKey

FIREWALLS = re.compile(r"firewalls\d*$", re.ASCII)
TAG = re.compile(r"tag_name\d*", re.ASCII)
USER_FILES = re.compile(r"user_files\d*", re.ASCII)

MAX_COUNT = 100
MAX_USER_FILE_BYTES = 1 << 20


async def new_instance(parameters: Parameters) -> NewInstance:
    """Return the wish; a parameter without a value is no wish."""
    return NewInstance(
        image_id=parameters.needed("image_id"),
        realm_id=parameters.line("realm_id"),
        hardware_profile_id=parameters.line("hwp_id"),
        sizes=sizes(parameters),
        name=parameters.line("name"),
        user_data=parameters.base64("user_data"),
        user_files=await user_files(parameters),
        user_iso=parameters.base64("user_iso"),
        key_id=parameters.line("keyname"),
        password=parameters.line("password"),
        firewall_ids=tuple(parameters.matching(FIREWALLS)),
        load_balancer_id=parameters.line("load_balancer_id"),
        snapshot_id=parameters.line("snapshot_id"),
        device=parameters.line("device_name"),
        metrics=parameters.flag("metrics"),
        sandbox=parameters.flag("sandbox"),
        subnet_id=parameters.line("subnet_id"),
        tags=tags(parameters),
        spot=parameters.flag("spot"),
        spot_max_price=parameters.line("spot_max_price"),
    )


def instance_count(parameters: Parameters) -> int | None:
    return parameters.integer("instance_count", 1, MAX_COUNT)


def sizes(parameters: Parameters) -> Sizes:
    """Return the sizes that differ from the profile's: `hwp_cpu`, `hwp_memory`."""
    return Sizes(
        cpus=parameters.number("hwp_cpu"),
        memory_mib=parameters.number("hwp_memory"),
        storage_gib=parameters.number("hwp_storage"),
        architecture=parameters.line("hwp_architecture"),
    )


def tags(parameters: Parameters) -> dict[str, str]:
    """Return what `tag_name1` and `tag_value1`, and so on, tell; a tag without a value is empty."""
    found: dict[str, str] = {}
    for name in sorted(filter(TAG.fullmatch, parameters.texts), key=natural):
        if (tag := parameters.line(name)) is None:
            continue
        if tag in found:
            raise Invalid(f"the tag {tag!r} is told twice")
        found[tag] = parameters.line(name.replace("tag_name", "tag_value", 1)) or ""
    return found


async def user_files(parameters: Parameters) -> tuple[UserFile, ...]:
    """Return the files: uploads under their file names, texts as `/path=BASE64`."""
    found = []
    for name in parameters.texts:
        if USER_FILES.fullmatch(name) and parameters.texts[name]:
            path, _, encoded = parameters.texts[name].partition("=")
            content = Parameters({name: encoded}).base64(name) or b""
            found.append(UserFile(_guest_path(name, path), content))
    for name, upload in parameters.files.items():
        if USER_FILES.fullmatch(name):
            content = await upload.read(MAX_USER_FILE_BYTES + 1)
            if len(content) > MAX_USER_FILE_BYTES:
                raise Invalid(f"file '{name}' is larger than {MAX_USER_FILE_BYTES} bytes")
            found.append(UserFile(_guest_path(name, upload.filename or ""), content))
    return tuple(found)


def new_image(parameters: Parameters) -> NewImage:
    return NewImage(
        instance_id=parameters.needed("instance_id"),
        name=parameters.line("name"),
        description=parameters.text("description"),
    )


def new_key(parameters: Parameters) -> NewKey:
    public_key = parameters.text("public_key")
    return NewKey(
        name=parameters.needed("name"), public_key=public_key.strip() if public_key else None
    )


def command(parameters: Parameters) -> Command:
    line = parameters.text("cmd")
    if line is None:
        raise Invalid("parameter 'cmd' is empty")
    return Command(
        line=line,
        private_key=parameters.text("private_key"),
        password=parameters.line("password"),
        address=parameters.line("ip"),
        port=parameters.integer("port", 1, 65535),
    )


def _guest_path(name: str, path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/") or not path.isprintable():
        raise Invalid(f"file '{name}' needs an absolute path in the instance, without '..'")
    return path
