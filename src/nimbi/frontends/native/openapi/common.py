"""What may stand in a query or header of many operations, with what it means."""

from collections.abc import Mapping
from typing import Any

from nimbi.broker.inventory.wishes import SORTS

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
FLAG: Json = {"type": "boolean"}
SECONDS: Json = {"type": "integer", "minimum": 0, "maximum": 600}
LIST_SECONDS: Json = {"type": "integer", "minimum": 1, "maximum": 300}
CALL_SECONDS: Json = {"type": "integer", "minimum": 1, "maximum": 600}
LIMIT: Json = {"type": "integer", "minimum": 1, "maximum": 1000}
DIRECTED = (*SORTS, *(f"-{name}" for name in SORTS))

# By name: the schema, and words for people. An operation's own arguments are not here.
COMMON: Mapping[str, tuple[Json, str]] = {
    "account": (TEXT, "Only of this account, or of several with commas between."),
    "after": (
        {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
        "Only what came after this one.",
    ),
    "begin": ({"type": "string", "format": "date-time"}, "Only what was used after this."),
    "by": (TEXT, "What a row is about: tenant, account, meter, kind, realm, day, tag.NAME."),
    "collection": (TEXT, "Only of this collection, or of several with commas between."),
    "count": (
        {"type": "integer", "minimum": 1, "maximum": 100},
        "How many of them at most.",
    ),
    "deadline": (CALL_SECONDS, "After so many seconds the answer is sent, with what is there."),
    "dry_run": (FLAG, "Check everything short of acting."),
    "form": (TEXT, "What to answer with."),
    "force": (FLAG, "Also when things depend on it."),
    "fresh": (FLAG, "Ask the clouds now, instead of telling what is known."),
    "limit": (LIMIT, "How many items at most."),
    "marker": (TEXT, "The `next` of the page before."),
    "meter": (TEXT, "Only prices of this meter."),
    "mine": (FLAG, "Only those that the caller began."),
    "month": (TEXT, "A month such as 2030-03."),
    "name_prefix": (TEXT, "Only things whose names begin with this."),
    "sort": (
        {"type": "string", "enum": list(DIRECTED)},
        "By what to sort; a minus in front turns the order around.",
    ),
    "test": (FLAG, "Whether to ask the cloud first; it is by default."),
    "all": (FLAG, "Also the beginnings of what has ended."),
    "before": (TEXT, "Only what came before this one."),
    "code": (TEXT, "What the provider gives for a token."),
    "error": (TEXT, "Why the provider let nobody in."),
    "expect": (TEXT, "The head that an earlier verification has told."),
    "iss": (TEXT, "The provider that answers."),
    "operation": (TEXT, "Only this operation, or `instances.*`."),
    "request_id": (TEXT, "Only what this request did."),
    "result": (TEXT, "Only what ended so."),
    "since": ({"type": "string", "format": "date-time"}, "Only from this time on."),
    "state": (TEXT, "Only in this state; on the way back from a provider, what it was sent."),
    "tenant": (TEXT, "Only of this domain or project."),
    "thing": (TEXT, "Only what was done to this."),
    "until": ({"type": "string", "format": "date-time"}, "Only before this time."),
    "user": (TEXT, "Only of this user."),
    "wait": (SECONDS, "Answer when the state has settled, after so many seconds at most."),
}

# Headers by name, in the same way.
HEADERS: Mapping[str, tuple[Json, str]] = {
    "Idempotency-Key": (
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        "Made up by the client, for one wish. The same key with the same request is answered as "
        "the first time, and nothing is done twice.",
    ),
    "If-Match": (TEXT, "Only while the thing has this ETag."),
    "If-None-Match": (TEXT, "Only when it has another ETag than this."),
    "Last-Event-ID": (
        {"type": "string", "pattern": "^[0-9]{1,18}$"},
        "The last event that a stream gave; it goes on after that.",
    ),
    "Range": (TEXT, "Only these bytes: `bytes=0-99`."),
}
