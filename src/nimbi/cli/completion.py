"""Completion in shells, with the names that there are now."""

import click

from nimbi.cli.errors import fail

# A person waits before a Tab for less than this, and a server that is slower says nothing.
DEADLINE_S = 1.5

MOST = 200

# What each shell is told to source, and where it looks for that by itself.
SHELLS = {
    "bash": "nimbi completion bash > ~/.local/share/bash-completion/completions/nimbi",
    "zsh": "nimbi completion zsh > ~/.zfunc/_nimbi    (with ~/.zfunc in fpath)",
    "fish": "nimbi completion fish > ~/.config/fish/completions/nimbi.fish",
}


@click.command(
    short_help="Completion for bash, zsh and fish, with live names.",
    epilog="\b\nExamples:\n"
    + "\n".join(f"  {line}" for line in SHELLS.values())
    + "\n  source <(nimbi completion bash)         for this shell alone",
)
@click.argument("shell", type=click.Choice(tuple(SHELLS)))
def completion(shell: str) -> None:
    """Print the script that makes a shell complete commands, flags and names.

    Names of accounts and of things come from the server, when it answers within a second or so;
    when it does not, none are offered.
    """
    from click.shell_completion import get_completion_class

    from nimbi.cli.main import main

    kind = get_completion_class(shell)
    if kind is None:
        fail(f"there is no completion for {shell}")
    click.echo(kind(main, {}, "nimbi", "_NIMBI_COMPLETE").source())


def account_names(incomplete: str) -> list[str]:
    """Return names of accounts that begin so; none when no server answers soon."""
    return [name for name in _asked("/v1/accounts", "id") if name.startswith(incomplete)]


def thing_names(collection: str, accounts: tuple[str, ...], incomplete: str) -> list[str]:
    """Return names of things that begin so, and ids of those that have none."""
    if collection in {"blobs", "bucket_id"}:
        collection = "buckets"
    query = [("limit", str(MOST))]
    if accounts:
        query.append(("account", ",".join(accounts)))
    names = _asked(f"/v1/{collection}", "name", query)
    # Things of several accounts may share a name.
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def place_names(incomplete: str) -> list[str]:
    """Return places in clouds that begin so: `ACCOUNT:`, and then `ACCOUNT:BUCKET/`."""
    account, colon, bucket = incomplete.partition(":")
    if not colon:
        return [f"{name}:" for name in account_names(account)]
    return [f"{account}:{name}/" for name in thing_names("buckets", (account,), bucket)]


def _asked(path: str, field: str, query: list[tuple[str, str]] | None = None) -> list[str]:
    """Return a field of the items of a list; nothing at all may go wrong before a prompt."""
    from nimbi.cli.remote import find, open_remote

    try:
        place = find()
        if place.url is None:
            # A whole server would be too slow for a Tab.
            return []
        remote = open_remote(place)
        try:
            items = remote.hurried(path, query or (), DEADLINE_S)["items"]
        finally:
            remote.close()
        return [str(item.get(field) or item.get("id")) for item in items]
    except Exception:  # noqa: BLE001
        return []
