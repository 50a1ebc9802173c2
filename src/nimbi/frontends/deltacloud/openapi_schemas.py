"""What stands in the answers of this API, as schemas of the OpenAPI document."""

from collections.abc import Iterable, Mapping
from typing import Any

from nimbi.frontends.deltacloud.catalog import KINDS
from nimbi.frontends.deltacloud.formats import DOCUMENTS, JSON
from nimbi.frontends.deltacloud.selection import SERVER

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
ID: Json = {"type": "string", "minLength": 1}
LINK: Json = {"type": "string", "format": "uri"}

# Keys that every member has besides `id` and `href`.
KEYS: Mapping[str, tuple[str, ...]] = {
    "addresses": ("ip", "associated"),
    "blobs": ("bucket", "content_length", "content_type", "content_href", "user_metadata"),
    "buckets": ("name", "size", "blob_list"),
    "firewalls": ("name", "description", "rules"),
    "hardware_profiles": ("name",),
    "images": ("name", "description", "owner", "architecture", "state"),
    "instances": (
        *("name", "state", "owner", "image", "realm", "actions", "hardware_profile"),
        *("public_addresses", "private_addresses", "create_image", "storage_volumes"),
    ),
    "keys": ("name", "credential_type", "state"),
    "load_balancers": ("name", "realms", "listeners", "instances", "public_addresses"),
    "metrics": ("entity", "properties"),
    "network_interfaces": ("name", "network", "instance", "ip_address"),
    "networks": ("name", "state", "address_blocks", "subnets"),
    "realms": ("name", "state", "limit"),
    "storage_snapshots": ("name", "state", "storage_volume"),
    "storage_volumes": ("name", "state", "capacity", "actions", "instance"),
    "subnets": ("name", "state", "address_block", "network"),
}

SINGULARS: Mapping[str, str] = {
    **{name: kind.singular for name, kind in KINDS.items()},
    "blobs": "blob",
}

ERROR: Json = {
    "type": "object",
    "required": ["code", "message", "error", "request_id"],
    "properties": {
        "code": {"type": "integer", "description": "The status."},
        "message": TEXT | {"description": "What went wrong, for a person."},
        "error": TEXT | {"description": "Name of the error, by which programs act."},
        "request_id": TEXT | {"description": "Under this the server's log tells more."},
    },
}

LINKS: Json = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["rel", "href", "features"],
        "properties": {"rel": TEXT, "href": LINK, "features": {"type": "array"}},
    },
}
ENTRY: Json = {
    "type": "object",
    "required": ["version", "driver", "provider", "links"],
    "properties": {"version": TEXT, "driver": TEXT, "provider": TEXT, "links": LINKS},
}
DRIVER: Json = {"type": "object", "required": ["name"], "properties": {"name": TEXT}}
STATE: Json = {
    "type": "object",
    "required": ["name", "transitions"],
    "properties": {"name": TEXT, "transitions": {"type": "array"}},
}
RUN: Json = {
    "type": "object",
    "required": ["id", "public_address", "command", "output"],
    "properties": {"id": TEXT, "command": TEXT, "output": TEXT},
}

TEXTS: Mapping[int, str] = {
    302: "For a client that asked for it: the cloud's own link to the content.",
    303: "For a browser: the page to go on with.",
    304: "The client has this answer already.",
    400: "A parameter, a header or the path is wrong.",
    401: "The login is missing or wrong.",
    403: "The login may not do this, or a page of another site asked for it.",
    404: "There is no such thing.",
    405: "The state of the instance does not allow this.",
    406: "The client takes no format that there is.",
    409: "The state of a thing, or a name in use, does not allow this.",
    412: "The driver, or this login, cannot do this.",
    413: "The body is too large.",
    415: "The body is no form.",
    416: "The range is outside of the content.",
    429: "Too many requests, or the account's limit is reached.",
    501: "The cloud cannot honour a parameter.",
    502: "The cloud answered with an error.",
    503: "The cloud is full or cannot be reached.",
    504: "The cloud did not answer in time; it may have done the work.",
}
EMPTY = frozenset({302, 303, 304, 406})

EMPTY_404: Json = {"description": TEXTS[404]}

# An error document, or for some of 400, 401, 404 and 412 a line of text.
ERROR_TYPES = tuple(format.media_types[0] for format in DOCUMENTS)
PLAIN_STATUS = 412


def response(status: int) -> Json:
    """Return a reference to the answer that all operations have in common."""
    return {"$ref": f"#/components/responses/{status}"}


def body(collection: str, operation: str) -> Json | None:
    """Return the schema of what an operation answers as JSON, None for nothing."""
    known = {
        ("", "index"): _wrapped("api", ENTRY),
        ("drivers", "index"): {"type": "object", "additionalProperties": DRIVER},
        ("drivers", "show"): _wrapped("driver", DRIVER),
        ("instance_states", "index"): {"type": "array", "items": STATE},
        ("instances", "run"): _wrapped("instance", RUN),
        ("instances", "create"): {"anyOf": [_member("instances"), _list("instances")]},
    }.get((collection, operation))
    if known is not None:
        return known
    if operation == "index":
        return _list(collection)
    if operation in {"start", "stop", "reboot"}:
        return _reference(collection)
    if operation in {"associate", "disassociate"}:
        return None
    return _member(collection)


def headers(status: int) -> Json:
    """Return the headers of a success."""
    names = ["Server", "X-Deltacloud-Driver"]
    if status in {200, 201}:
        names.append("ETag")
    if status in {201, 301}:
        names.append("Location")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def components(collections: Iterable[str]) -> Json:
    """Return what the operations of these collections refer to."""
    members = {SINGULARS[name]: _object(name) for name in collections if name in SINGULARS}
    return {
        "schemas": {"error": ERROR, **members},
        "responses": {str(status): _response(status, text) for status, text in TEXTS.items()},
        "headers": {
            "Server": {"required": True, "schema": {"const": SERVER}},
            "X-Deltacloud-Driver": {
                "required": True,
                "description": "The driver that answered.",
                "schema": TEXT,
            },
            "ETag": {"description": "Changes when the body does.", "schema": TEXT},
            "Location": {"description": "Where the new thing is.", "schema": LINK},
        },
        "securitySchemes": {
            "basic": {
                "type": "http",
                "scheme": "basic",
                "description": "User and password of the cloud, passed through to it.",
            }
        },
    }


def _response(status: int, text: str) -> Json:
    told: Json = {"description": text}
    if status not in EMPTY:
        error = {"schema": {"$ref": "#/components/schemas/error"}}
        told["content"] = {t: error if t == JSON.media_types[0] else {} for t in ERROR_TYPES}
    if status == PLAIN_STATUS:
        told["content"]["text/plain"] = {}
    return told


def _object(collection: str) -> Json:
    return {
        "type": "object",
        "required": ["id", "href", *KEYS[collection]],
        "properties": {"id": ID, "href": LINK},
    }


def _reference(collection: str) -> Json:
    return {"$ref": f"#/components/schemas/{SINGULARS[collection]}"}


def _member(collection: str) -> Json:
    return _wrapped(SINGULARS[collection], _reference(collection))


def _list(collection: str) -> Json:
    return _wrapped(collection, {"type": "array", "items": _reference(collection)})


def _wrapped(name: str, schema: Json) -> Json:
    return {"type": "object", "required": [name], "properties": {name: schema}}
