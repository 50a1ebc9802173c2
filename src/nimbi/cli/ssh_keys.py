"""Public keys of this user, and how an account comes to know them."""

import hashlib
from pathlib import Path
from typing import Any

import click

from nimbi.cli.command import Desk
from nimbi.cli.refs import id_of
from nimbi.cli.remote import of_account
from nimbi.model.errors import Conflict

# Source: ssh(1), -i: those that ssh offers when none is told, the newest kind first.
OWN = ("id_ed25519", "id_ed25519_sk", "id_ecdsa", "id_ecdsa_sk", "id_rsa")
NO_LOGIN = "its cloud knows of no key or password for it (nimbi launch --ssh-key, ssh-keygen)"
KINDS = ("ssh-", "ecdsa-", "sk-")


def own_key(home: Path) -> Path | None:
    """Return the public key that ssh offers by itself, or None."""
    return next((file for name in OWN if (file := home / ".ssh" / f"{name}.pub").is_file()), None)


def takes_keys(desk: Desk, account: str) -> bool:
    """Return whether instances of an account can be started with a key that it comes to know."""
    told: Any = desk.remote.ask("GET", of_account(account, "capabilities")).value
    features = told["features"]
    return (
        "keys.create" in told["operations"]
        and "import_key" in features.get("keys", ())
        and "authentication_key" in features.get("instances", ())
    )


def known_key(desk: Desk, account: str, file: Path, *, dry_run: bool) -> str | None:
    """Return the id of a key with the content of a file, which the account comes to know.

    None when the account does not know it, and nothing may be done. Its name has the key's digest:
    one of the same name is the same key. Raises UsageError for what is no public key.
    """
    try:
        public = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file}: {error}") from error
    if not public.startswith(KINDS) or len(words := public.split()) < 2:
        raise click.UsageError(f"{file} is no public key: it is the file that ends in .pub")
    digest = hashlib.sha256(" ".join(words[:2]).encode()).hexdigest()
    name = f"{file.name.removesuffix('.pub')}-{digest[:8]}"
    query = [("dry_run", "true")] if dry_run else []
    body = {"name": name, "public_key": public}
    try:
        made = desk.remote.ask("POST", of_account(account, "keys"), query, body)
    except Conflict:
        return id_of(desk, "keys", account, name)
    return None if dry_run else str(made.value["id"])
