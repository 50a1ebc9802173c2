"""Carries out the command of an operation: who is meant, the request, the answer."""

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, cast

import click
import msgspec

from nimbi.api.routes import ApiRoute
from nimbi.cli.collections.inputs import Input, Place, made
from nimbi.cli.columns import columns_of
from nimbi.cli.command import Desk, words_of
from nimbi.cli.errors import STATUSES, status_of
from nimbi.cli.forms import Teller, tell_one
from nimbi.cli.refs import Ref, account_of, find, id_of, singular
from nimbi.client.requests import Wishes, bound, request_of
from nimbi.client.transport import Answer, Request
from nimbi.model.errors import CloudError

# How much longer than the server a client waits for it.
GRACE_S = 30.0

PAGE = 1000


def run(route: ApiRoute, inputs: list[Input], desk: Desk, /, **told: Any) -> None:
    """Carry out an operation on what the command names, be it one thing or several."""
    first = next((one for one in inputs if one.in_path), None)
    named = told[first.key] if first else None
    if first is None or not isinstance(named, tuple):
        _one(route, inputs, desk, told)
        return
    statuses: list[int] = []
    if told.get("yes") is False:
        _confirm(route, named)
    for each in named:
        try:
            _one(route, inputs, desk, {**told, first.key: each, "yes": True})
        except CloudError as error:
            if len(named) == 1:
                raise
            click.echo(f"{each}: {words_of(error.code)}: {error}", err=True)
            statuses.append(status_of(error.code))
    if statuses:
        raise SystemExit(statuses[0])


def _one(route: ApiRoute, inputs: list[Input], desk: Desk, told: dict[str, Any]) -> None:
    values: dict[Place, Any] = {
        one.place: told[one.key] for one in inputs if _is_told(told.get(one.key), one)
    }
    ref = _target(route, inputs, desk, values)
    if told.get("yes") is False:
        _confirm(route, (ref.id,))
    if not route.operation.is_safe:
        _resolve(desk, inputs, ref.account, values)
    with ExitStack() as stack:
        if route.body == "stream":
            _add_content(route, values, stack.enter_context(_opened(told["file"])))
        _carry_out(route, desk, ref, values, told)


def _is_told(value: Any, one: Input) -> bool:
    return value is not None and (value != () or one.is_required)


def _target(route: ApiRoute, inputs: list[Input], desk: Desk, values: dict[Place, Any]) -> Ref:
    """Return the account, and the thing that the path names first, by its id."""
    first = next((one for one in inputs if one.in_path), None)
    if first is None or first.name == "name":
        return Ref(account_of(desk), values[first.place] if first else "")
    collection = "buckets" if first.name == "bucket_id" else route.collection
    ref = find(desk, collection, values[first.place])
    values[first.place] = ref.id
    return ref


def _resolve(desk: Desk, inputs: list[Input], account: str, values: dict[Place, Any]) -> None:
    """Turn names of other things, of which the account has one each, into their ids."""
    from nimbi.cli.collections.operations import collection_of

    for one in inputs:
        collection = None if one.in_path else collection_of(one.name)
        if collection is None or one.place not in values:
            continue
        value = values[one.place]
        if isinstance(value, tuple):
            values[one.place] = [id_of(desk, collection, account, each) for each in value]
        elif isinstance(value, str):
            values[one.place] = id_of(desk, collection, account, value)


def _opened(file: str) -> BinaryIO:
    if file == "-":
        return cast("BinaryIO", sys.stdin.buffer)
    try:
        return cast("BinaryIO", Path(file).expanduser().open("rb"))
    except OSError as error:
        raise click.UsageError(f"{file}: {error.strerror}") from error


def _add_content(route: ApiRoute, values: dict[Place, Any], file: BinaryIO) -> None:
    values["chunks", ()] = file
    status = os.fstat(file.fileno())
    if not os.path.isfile(file.fileno()):  # noqa: PTH113 — of a descriptor, not of a path
        return
    size = next((v for v in route.headers if v.name == "Content-Length"), None)
    if size is not None:
        values[size.argument, (size.field,) if size.field else ()] = status.st_size


def _carry_out(
    route: ApiRoute, desk: Desk, ref: Ref, values: dict[Place, Any], told: Mapping[str, Any]
) -> None:
    values = dict(_plain(values))
    chunks = values.pop(("chunks", ()), None)
    try:
        arguments = made(route, values)
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from error
    if chunks is not None:
        arguments["chunks"] = chunks
    if route.answer == "page":
        _tell_pages(route, desk, ref, arguments, told.get("limit"))
        return
    wishes = Wishes(
        wait_s=told["patience"] if told.get("wait") else None,
        key=told.get("idempotency_key"),
    )
    is_rehearsal = bool(told.get("dry_run"))
    whole = bound(route, (), arguments)
    request = request_of(route, ref.account, whole, wishes, dry_run=is_rehearsal)
    if wishes.wait_s is not None:
        request = _patient(request, wishes.wait_s)
    if route.answer in {"stream", "bytes"}:
        write(desk.remote.open(request), told["into"], route.media_type)
        return
    _tell(route, desk, ref, desk.remote.send(request), is_rehearsal=is_rehearsal)


def _plain(values: dict[Place, Any]) -> dict[Place, Any]:
    """Return values as msgspec converts them: what came as NAME=VALUE is an object."""
    return {
        place: dict(value)
        if isinstance(value, tuple) and value and all(_is_pair(one) for one in value)
        else value
        for place, value in values.items()
    }


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)


def _patient(request: Request, wait_s: float) -> Request:
    from dataclasses import replace

    return replace(request, timeout_s=wait_s + GRACE_S)


def _tell_pages(
    route: ApiRoute, desk: Desk, ref: Ref, arguments: dict[str, Any], limit: int | None
) -> None:
    teller = Teller(desk.form, lambda items: columns_of(route.collection, items))
    marker: str | None = None
    while True:
        left = PAGE if limit is None else min(limit - teller.count, PAGE)
        asked = {**arguments, "marker": marker, "limit": left}
        page = desk.remote.send(request_of(route, ref.account, bound(route, (), asked))).value
        # What a delimiter cuts off is told as the folders that it makes.
        folders = [{"id": prefix} for prefix in page.get("prefixes") or ()]
        teller.tell([{"account": ref.account, **item} for item in folders + page["items"]])
        marker = page.get("next")
        if not marker or (limit is not None and teller.count >= limit):
            break
    teller.tell([])
    teller.end()


def _tell(route: ApiRoute, desk: Desk, ref: Ref, reply: Any, *, is_rehearsal: bool) -> None:
    value = reply.value
    if is_rehearsal:
        click.echo(f"{route.id} in {ref.account} would be tried; nothing was done", err=True)
        return
    if isinstance(value, dict) and "items" in value and route.answer == "things":
        teller = Teller(desk.form, lambda items: columns_of(route.collection, items))
        teller.tell([{"account": ref.account, **item} for item in value["items"]])
        teller.end()
    elif route.answer == "text" and isinstance(value, dict):
        click.echo(value["text"])
    elif isinstance(value, dict):
        tell_one({"account": ref.account, **value}, desk.form)
    elif sys.stderr.isatty():
        verb = route.name.replace("_", "-")
        click.echo(f"{verb}: {singular(route.collection)} {ref}", err=True)
    if reply.status == 202:
        click.echo("it is still under way: look again with get", err=True)
        raise SystemExit(STATUSES["timeout"])


def write(answer: Answer, into: str | None, media_type: str) -> None:
    """Write an answer's bytes to a file, or to standard output unless they'd spoil a terminal."""
    is_text = media_type.startswith("text/")
    if into is None and sys.stdout.isatty() and not is_text:
        answer.close()
        raise click.UsageError("this is not for a terminal: --into FILE, or a pipe")
    with ExitStack() as stack:
        stack.callback(answer.close)
        if into is None:
            out = cast("BinaryIO", sys.stdout.buffer)
        else:
            out = cast("BinaryIO", stack.enter_context(Path(into).expanduser().open("wb")))
        for chunk in answer.chunks():
            out.write(chunk)
        out.flush()


def _confirm(route: ApiRoute, names: tuple[str, ...]) -> None:
    """Ask a person whether to go on; a program is not asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    what = f"{route.name.replace('_', ' ')} {singular(route.collection)} {', '.join(names)}?"
    click.confirm(what, abort=True, err=True)
