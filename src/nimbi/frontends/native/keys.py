"""Idempotency-Key: a request that is sent again is answered again, and done once.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import asyncio
import hashlib
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from nimbi.frontends.native.answer import Answer
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.problems import Problem, bad_request
from nimbi.store.answers import Different, New, Pending, Remembered
from nimbi.wire.request_body import Gone

HEADER = b"idempotency-key"
REPLAYED = (b"idempotency-replayed", b"true")

# A text in quotes, as the draft has it, or bare, as most send it.
_KEY = re.compile(r'"([\x21\x23-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255})')

# A key is held this long at once, and on for as long as the work takes: who dies lets go soon.
HELD_S = 30.0
KEEP_EVERY_S = 10.0

# Who asks again while the first request is under way waits a little for its answer.
WAIT_S = 5.0
LOOK_FIRST_S = 0.05
LOOK_GROWTH = 1.6

# A server that failed, or a cloud, may do better the next time; so may a caller who asked too much.
ASK_AGAIN = frozenset({401, 429})


async def once(
    exchange: Exchange, work: Callable[[], Awaitable[Answer]], *, reads_body: bool
) -> Answer:
    """Return the answer to a request with a key: that of `work`, or the one it gave before.

    A failure that may pass is not remembered. With `reads_body` the body is part of what must be
    the same, else only its length. `work` raises nothing but Gone. Raises Problem for a key that is
    none, is in use for another request, or whose first request is still under way.
    """
    key = _key_of(exchange)
    digest = _digest(exchange, await exchange.body() if reads_body else b"")
    owner = exchange.caller.id
    exchange.token = str(uuid.UUID(bytes=_derived(owner, key, digest)))
    answers, holder = exchange.broker.answers, uuid.uuid4().hex
    begun = await _begin(exchange, key, digest, holder)
    if isinstance(begun, Remembered):
        return _again(begun)
    try:
        async with _held(exchange, key, holder):
            answer = await work()
    except Gone:
        await answers.forget(key, owner, holder)
        raise
    if answer.status >= 500 or answer.status in ASK_AGAIN:
        await answers.forget(key, owner, holder)
        return answer
    await answers.finish(key, owner, holder, answer.status, _headers(answer), answer.body)
    return answer


async def _begin(exchange: Exchange, key: str, digest: bytes, holder: str) -> New | Remembered:
    """Claim the key, or return what was answered; wait a little for one who works on it."""
    loop = asyncio.get_running_loop()
    until, pause_s = loop.time() + WAIT_S, LOOK_FIRST_S
    while True:
        begun = await exchange.broker.answers.begin(
            key, exchange.caller.id, digest, holder=holder, seconds=HELD_S
        )
        if isinstance(begun, New | Remembered):
            return begun
        if isinstance(begun, Different):
            raise Problem("key_reused", "this Idempotency-Key came with another request before")
        assert isinstance(begun, Pending)  # noqa: S101  there is no fifth
        if loop.time() + pause_s > until:
            raise Problem(
                "key_in_progress",
                "the first request with this Idempotency-Key is still under way",
                ((b"retry-after", b"1"),),
                {"retry_after_s": 1},
            )
        await asyncio.sleep(pause_s)
        pause_s *= LOOK_GROWTH


@asynccontextmanager
async def _held(exchange: Exchange, key: str, holder: str) -> AsyncIterator[None]:
    """Hold the key for as long as the block runs."""
    keeping = asyncio.create_task(_keep(exchange, key, holder))
    try:
        yield
    finally:
        keeping.cancel()


async def _keep(exchange: Exchange, key: str, holder: str) -> None:
    kept = True
    while kept:
        await asyncio.sleep(KEEP_EVERY_S)
        kept = await exchange.broker.answers.keep(key, exchange.caller.id, holder, HELD_S)


def _key_of(exchange: Exchange) -> str:
    told = exchange.headers[HEADER].strip().decode("latin-1")
    match = _KEY.fullmatch(told)
    if match is None:
        raise bad_request("an Idempotency-Key has 1 to 255 visible characters of ASCII")
    return match[1] or match[2]


def _digest(exchange: Exchange, body: bytes) -> bytes:
    """Return a digest of all that makes a request the same."""
    query: bytes = exchange.scope.get("query_string", b"")
    length = exchange.headers.get(b"content-length", b"")
    match = exchange.headers.get(b"if-match", b"")
    parts = (exchange.method.encode(), exchange.raw_path, query, length, match, body)
    whole = hashlib.blake2b(digest_size=32)
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.digest()


def _derived(owner: str, key: str, digest: bytes) -> bytes:
    # It goes down to the cloud, so that what a dead process made is found instead of made twice.
    return hashlib.blake2b(f"{owner}\n{key}\n".encode() + digest, digest_size=16).digest()


def _headers(answer: Answer) -> tuple[tuple[str, str], ...]:
    told = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
    if answer.media_type is not None:
        told.append(("content-type", answer.media_type))
    if answer.tag is not None:
        told.append(("etag", answer.tag))
    return tuple(told)


def _again(remembered: Remembered) -> Answer:
    told = dict(remembered.headers)
    media_type, tag = told.pop("content-type", None), told.pop("etag", None)
    headers = tuple((n.encode("latin-1"), v.encode("latin-1")) for n, v in told.items())
    return Answer(remembered.status, remembered.body, media_type, (*headers, REPLAYED), tag)
