"""The pages about the server itself: index, entry point, instance states and errors."""

from collections.abc import Mapping, Sequence

from nimbi.frontends.deltacloud.html.cells import Member, list_at, name_of, text_of
from nimbi.frontends.deltacloud.html.environment import render
from nimbi.frontends.deltacloud.html.frame import frame
from nimbi.frontends.deltacloud.html.view import PageView
from nimbi.frontends.deltacloud.html.words import label_of, words_for

# What a person can do about it, by status.
ADVICE: Mapping[int, str] = {
    400: "Go back, correct the value that the message names, and send the form again.",
    401: "Log in with the user and password of this cloud.",
    403: "Ask whoever runs the cloud for the right to do this. A form must be sent from a page of "
    "this server.",
    404: "Check the address, or go back to the list: it may have been destroyed meanwhile.",
    405: "Look at the state: it allows only the actions that have a button.",
    406: "Ask for html, xml or json.",
    409: "Look at what is there already, or wait until the work that is under way is done.",
    412: "This driver cannot do it. The documentation tells what it can do.",
    413: "Send less at once; large files can be uploaded with PUT.",
    429: "Wait a little, then try again.",
    500: "Try again. If it stays, tell whoever runs this server the request id.",
    501: "This cloud cannot do it. Leave out the field that the message names, or use another one.",
    502: "The cloud answered with an error. Look at the message, then try again.",
    503: "The cloud cannot be reached now. Try again in a while.",
    504: "The cloud did not answer in time. Look whether it was done before you try again.",
}
ELSE_ADVICE = "Go back and try again, or start from the list of collections."
WORDS_OF_STATUS: Mapping[int, str] = {
    400: "Bad request",
    401: "Not logged in",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible in this state",
    406: "Format not available",
    409: "Conflict",
    412: "Not supported by this driver",
    413: "Too large",
    429: "Too many requests",
    500: "Server error",
    501: "Not supported by this cloud",
    502: "The cloud failed",
    503: "The cloud is not available",
    504: "The cloud did not answer",
}


def index_page(view: PageView, frontends: Mapping[str, str]) -> str:
    """Return the page of `/`: the protocols that this server speaks, as title to href."""
    links = [(title, view.link(href)) for title, href in frontends.items()]
    return render("index.html", frame(view, "Many clouds, one API") | {"links": links})


def entry_page(
    view: PageView,
    links: Sequence[Member],
    drivers: Mapping[str, Member] | Sequence[Member],
    notes: Mapping[str, str],
    lacks: Mapping[str, Sequence[str]],
) -> str:
    """Return the page of `/api`: collections, and the choice of driver and provider.

    `links` are those of the JSON entry point; `drivers` the map of `/api/drivers`, or a list of
    members with ids. `notes` are what the driver tells of this session, `lacks` the operations that
    it has not, by collection.
    """
    collections = [
        {
            "title": words_for(rel).title,
            "text": words_for(rel).text,
            "href": view.link(link.get("href")),
            "features": _features(link),
        }
        for link in links
        if (rel := text_of(link.get("rel")))
    ]
    known = _by_id(drivers)
    return render(
        "entry.html",
        frame(view, "Collections", formats=("xml", "json"))
        | {
            "collections": collections,
            "notes": notes,
            "lacks": [
                (words_for(rel).title, ", ".join(operations)) for rel, operations in lacks.items()
            ],
            "select": view.link("/api"),
            "drivers": [(id, name_of({"id": id} | dict(told))) for id, told in known.items()],
            "providers": _providers(known.get(view.driver, {})),
        },
    )


def states_page(view: PageView, states: Sequence[Member]) -> str:
    """Return the state machine of instances as a picture and as a table."""
    rows = [
        (text_of(state.get("name")), _transitions(list_at(state, "transitions")))
        for state in states
    ]
    return render(
        "states.html",
        frame(view, "Instance states", collection="instance_states", formats=("xml", "json", "gv"))
        | {"rows": rows, "picture": view.link("/api/instance_states?format=png")},
    )


def error_page(view: PageView, status: int, error: Mapping[str, object] | str) -> str:
    """Return a page that says what went wrong and what to do.

    `error` is the JSON error document, or the message alone.
    """
    message = error if isinstance(error, str) else text_of(error.get("message"))
    heading = WORDS_OF_STATUS.get(status, "Something went wrong")
    return render(
        "error.html",
        frame(view, heading)
        | {
            "status": status,
            "message": message or heading,
            "advice": ADVICE.get(status, ELSE_ADVICE),
        },
    )


def _features(link: Member) -> str:
    """Return the features of a collection in one line; each is a list, an object an operation."""
    listed = link.get("features")
    found: dict[str, None] = {}
    for item in listed if isinstance(listed, list | tuple) else ():
        for feature in item if isinstance(item, list | tuple) else (item,):
            if isinstance(feature, Mapping) and text_of(feature.get("name")):
                found[label_of(text_of(feature["name"])).lower()] = None
    return ", ".join(found)


def _by_id(drivers: Mapping[str, Member] | Sequence[Member]) -> dict[str, Member]:
    if isinstance(drivers, Mapping):
        return {id: told for id, told in drivers.items() if isinstance(told, Mapping)}
    return {text_of(driver.get("id")): driver for driver in drivers}


def _providers(driver: Member) -> list[str]:
    """Return the names of a driver's providers, each once."""
    entrypoints = driver.get("entrypoints")
    found: dict[str, None] = {}
    for urls in entrypoints.values() if isinstance(entrypoints, Mapping) else ():
        found |= dict.fromkeys(map(str, urls if isinstance(urls, Mapping) else ()))
    listed = driver.get("providers")
    for provider in listed if isinstance(listed, list | tuple) else ():
        name = name_of(provider) if isinstance(provider, Mapping) else text_of(provider)
        found |= {name: None} if name else {}
    return list(found)


def _transitions(transitions: Sequence[Member]) -> list[tuple[str, str]]:
    """Return (state it leads to, what leads there)."""
    return [
        (
            text_of(t.get("to")),
            f"by {text_of(t.get('action'))}" if text_of(t.get("action")) else "by itself",
        )
        for t in transitions
    ]
