"""What the commands of operations say of themselves, in words for somebody who types them."""

import re
from collections.abc import Iterator, Mapping

from nimbi.api.routes import ApiRoute
from nimbi.cli.command import words_of
from nimbi.cli.errors import STATUSES
from nimbi.cli.refs import singular
from nimbi.model.errors import ERRORS

# The same in all collections.
SUMMARIES: Mapping[str, str] = {
    "page": "List {things}.",
    "get": "Show one {thing}.",
    "create": "Make {a_thing}.",
    "destroy": "Remove {a_thing}.",
}

# Operations whose contract begins with what a program gets back.
SPECIAL: Mapping[str, str] = {
    "images.create": "Make an image of an instance, a snapshot or another image.",
    "images.upload": "Make an image of a file.",
    "images.read": "Fetch an image's bytes.",
    "images.share": "Let another account use an image too.",
    "images.unshare": "Let another account use an image no more.",
    "instances.create": "Start a new instance.",
    "instances.create_many": "Start several instances of the same wish; all are made, or none.",
    "instances.destroy": "Remove an instance with its disk; its volumes stay.",
    "instances.resize": "Give a stopped instance other CPUs or memory.",
    "instances.rebuild": "Make an instance's disk anew of an image.",
    "instances.lock": "Refuse what would change an instance.",
    "instances.unlock": "Allow changes to an instance again.",
    "instances.run": "Run a command on an instance over ssh.",
    "instances.console": "Show the end of what an instance wrote to its console.",
    "instances.screenshot": "Take a picture of an instance's screen, as PNG.",
    "instances.console_link": "Get a URL at which the cloud itself shows an instance's screen.",
    "instances.open_console": "Get a ticket for a console of an instance, for a WebSocket.",
    "keys.create": "Make a key pair, or import a public key.",
    "firewalls.create_rule": "Add a rule to a firewall.",
    "firewalls.destroy_rule": "Remove a rule from a firewall.",
    "addresses.create": "Get a public address.",
    "addresses.destroy": "Give a public address back.",
    "routers.connect": "Join a subnet to a router.",
    "routers.disconnect": "Part a subnet from a router.",
    "load_balancers.register": "Put an instance behind a load balancer.",
    "load_balancers.unregister": "Take an instance from behind a load balancer.",
    "volumes.destroy": "Remove a volume with its data.",
    "volumes.attach": "Attach a volume to an instance.",
    "volumes.detach": "Detach a volume.",
    "volumes.resize": "Give a volume more room.",
    "volumes.retype": "Turn a volume into another kind of disk.",
    "snapshots.create": "Keep what a volume holds now.",
    "buckets.destroy": "Remove an empty bucket.",
    "blobs.read": "Fetch a blob, or a part of it.",
    "blobs.link": "Get a URL by which anybody may read a blob for a while.",
    "blobs.write": "Store a file as a blob, in place of what was there.",
    "blobs.copy": "Copy a blob within its cloud.",
    "blobs.set_metadata": "Replace all metadata of a blob.",
    "blobs.destroy_many": "Remove up to 1000 blobs at once.",
    "blobs.begin_upload": "Begin to store a blob in parts.",
    "blobs.write_segment": "Store one part of a blob; the same order again replaces it.",
    "blobs.finish_upload": "Make a blob of its parts.",
    "blobs.abort_upload": "Forget the parts of a blob.",
}

# Sentences of contracts that are about what a program holds in its hands.
RETURNS = re.compile(
    r"(Return|Open|Or not|The caller|A marker|The same holds|What is told|When a size)\b"
    r"|`(new|marker|size_bytes)"
)
NAMES: Mapping[str, str] = {
    error.__name__: f"{words_of(error.code)} (status {STATUSES[error.code]})" for error in ERRORS
}
NAME = re.compile(rf"\b({'|'.join(NAMES)})\b")
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")


def summary_of(route: ApiRoute) -> str:
    """Return in one line what a command does."""
    thing = singular(route.collection)
    told = SPECIAL.get(route.id) or SUMMARIES.get(route.name)
    if told is None:
        return next(_sentences(route.operation.function.__doc__), route.name)
    article = "an" if thing[0] in "aeiou" else "a"
    return told.format(thing=thing, a_thing=f"{article} {thing}", things=words_of(route.collection))


def details_of(route: ApiRoute) -> list[str]:
    """Return paragraphs on what else the contract says: of the wish, then of what can go wrong."""
    wish = next((a.type for a in route.arguments if a.name == "new"), None)
    known = {summary_of(route)}
    wishes = [s for s in _sentences(wish.__doc__ if wish else "") if s not in known]
    contract = [s for s in _sentences(route.operation.function.__doc__) if s not in known]
    if route.id in SPECIAL:
        # The summary says in other words what the first sentence says.
        wishes, first = wishes[1:], contract[:1]
        contract = [s for s in first if s.startswith("Raises ")] + contract[1:]
    said = [s for s in contract if not s.startswith("Raises ") and not RETURNS.match(s)]
    if route.name in SUMMARIES and route.id not in SPECIAL:
        said = [s for s in said if not s.startswith("Remove ")]
    failures = [_failure(s) for s in contract if s.startswith("Raises ")]
    wishes = [s for s in wishes if not RETURNS.match(s)]
    plain = [_plain(s) for s in wishes + said]
    return [" ".join(part) for part in (plain, failures) if part]


def _sentences(doc: str | None) -> Iterator[str]:
    text = " ".join((doc or "").split())
    yield from (part for part in SENTENCE.split(text) if part)


def _failure(sentence: str) -> str:
    """Return a sentence on errors as a person meets them: by exit status."""
    text = sentence.removeprefix("Raises ").partition("; so do")[0].partition(", as does")[0]
    return f"It fails as {_plain(text).rstrip('.')}."


def _plain(sentence: str) -> str:
    """Return a sentence with errors told as people meet them."""
    return NAME.sub(lambda match: NAMES[match[1]], sentence)
