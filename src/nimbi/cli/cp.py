"""`nimbi cp`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.copying.places import Blob, File, Place, Stream, parsed
from nimbi.cli.errors import fail
from nimbi.cli.remote import Remote, of_account
from nimbi.model.errors import Unsupported

Job = tuple[Place, Place]


def _complete_places(_ctx: click.Context, _parameter: click.Parameter, told: str) -> list[Any]:
    from click.shell_completion import CompletionItem

    from nimbi.cli.completion import place_names

    files = [] if ":" in told else [CompletionItem(told, type="file")]
    return [*map(CompletionItem, place_names(told)), *files]


@click.command(
    cls=Command,
    without=("accounts", "form"),
    short_help="Copy files to buckets, from buckets, between clouds.",
    epilog="""\b
Examples:
  nimbi cp sea.jpg local:photos/                     up
  nimbi cp local:photos/sea.jpg .                    down
  nimbi cp local:photos/sea.jpg aws:backup/2030/     from cloud to cloud
  nimbi cp -r album local:photos/album/              a folder, with all that is in it
  nimbi cp -r local:photos/album/ album
  tar c . | nimbi cp - aws:backup/home.tar           from a pipe, and into one:
  nimbi cp aws:backup/home.tar - | tar x""",
)
@click.argument(
    "sources", nargs=-1, required=True, metavar="FROM...", shell_complete=_complete_places
)
@click.argument("target", metavar="TO", shell_complete=_complete_places)
@click.option("-r", "--recursive", cls=Option, is_flag=True, help="Folders, with all in them.")
@click.pass_obj
def cp(desk: Desk, sources: tuple[str, ...], target: str, recursive: bool) -> None:
    """Copy files to buckets, blobs to files, and blobs from cloud to cloud.

    A place in a cloud is ACCOUNT:BUCKET/KEY; one that ends in / is a folder, and the name stays.
    A copy that breaks off goes on where it was when the same command is given again. Within one
    cloud the bytes do not come here at all.
    """
    to = parsed(target)
    places = [parsed(told) for told in sources]
    jobs = [job for place in places for job in _jobs(desk.remote, place, to, recursive)]
    if len(jobs) > 1 and not (recursive or _is_folder(to)):
        raise click.UsageError(f"several things go into a folder: {target}/")
    for source, place in jobs:
        try:
            _copy(desk.remote, source, place)
        except OSError as error:
            fail(f"{error.filename or place}: {error.strerror}")


def _is_folder(place: Place) -> bool:
    if isinstance(place, Blob):
        return place.is_folder
    return isinstance(place, File) and place.path.is_dir()


def _jobs(remote: Remote, source: Place, to: Place, recursive: bool) -> Iterator[Job]:
    """Yield what is to be copied where."""
    if isinstance(source, File) and isinstance(to, File):
        raise click.UsageError(f"{source} and {to} are both here: cp does that")
    if recursive and not isinstance(source, Stream):
        yield from _within(remote, source, to)
    elif _is_folder(source):
        raise click.UsageError(f"{source} is a folder: nimbi cp -r")
    elif _is_folder(to):
        if isinstance(source, Stream):
            raise click.UsageError("what comes from a pipe needs a name: ACCOUNT:BUCKET/KEY")
        yield source, _below(to, source.name if isinstance(source, Blob) else source.path.name)
    else:
        yield source, to


def _within(remote: Remote, source: Place, to: Place) -> Iterator[Job]:
    if isinstance(to, Stream) or (isinstance(to, Blob) and not to.is_folder):
        raise click.UsageError(f"a folder goes into a folder: {to}/")
    if isinstance(source, File):
        for path in sorted(source.path.rglob("*")):
            if path.is_file():
                yield File(path), _below(to, path.relative_to(source.path).as_posix())
    elif isinstance(source, Blob):
        for key in _keys(remote, source):
            yield Blob(source.account, source.bucket, key), _below(to, key[len(source.key) :])


def _keys(remote: Remote, folder: Blob) -> Iterator[str]:
    place = of_account(folder.account, "buckets", folder.bucket) + "/blobs"
    marker = None
    while True:
        query = [("limit", "1000"), *([("prefix", folder.key)] if folder.key else [])]
        page = remote.ask("GET", place, [*query, *([("marker", marker)] if marker else [])]).value
        # A key that ends in a slash is what other tools keep a folder by.
        yield from (item["id"] for item in page["items"] if not item["id"].endswith("/"))
        marker = page.get("next")
        if not marker:
            return


def _below(to: Place, name: str) -> Place:
    if isinstance(to, Blob):
        return to.within(name)
    if not isinstance(to, File):
        raise click.UsageError("several things do not fit into a pipe")
    parts = Path(name).parts
    # Keys are anybody's: none may lead out of the folder.
    if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name:
        fail(f"{name!r} would be outside of {to}: it is not fetched")
    return File(to.path / name)


def _copy(remote: Remote, source: Place, to: Place) -> None:
    from nimbi.cli.copying import down, sources, up

    if isinstance(to, Blob):
        if isinstance(source, Blob):
            _across(remote, source, to)
        elif isinstance(source, File):
            up.copy(remote, sources.of_file(source.path), to)
        else:
            up.copy_stream(remote, to)
    elif isinstance(source, Blob):
        if isinstance(to, Stream):
            down.copy_out(remote, source)
        elif isinstance(to, File):
            to.path.parent.mkdir(parents=True, exist_ok=True)
            down.copy(remote, source, to.path)
    else:
        raise click.UsageError("one of both is in a cloud: ACCOUNT:BUCKET/KEY")


def _across(remote: Remote, source: Blob, to: Blob) -> None:
    """Copy from cloud to cloud, through here only when it is not the same one."""
    from nimbi.cli.copying import sources, up

    if source.account == to.account:
        try:
            wish = {"bucket_id": to.bucket, "id": to.key}
            remote.ask("POST", f"{source.path}/copy", body=wish, timeout_s=None)
        except Unsupported:
            pass
        else:
            return
    up.copy(remote, sources.of_blob(remote, source), to)
