"""What the command `nimbi` has, and its help; known without loading any of it."""

from collections.abc import Mapping
from typing import NamedTuple

USAGE = """\
Usage: nimbi [OPTIONS] COMMAND [ARGS]...

  Many clouds, one API, one list: a server, and the commands to use it.

  Commands talk to the server that was named (--server, NIMBI_SERVER, `nimbi
  login`), else to the one that `nimbi up` started here; with none of them
  they do the work themselves.

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.
"""

EPILOG = """\
  The first hour:
    nimbi up                                  start all of it, on this machine
    nimbi accounts discover --add             the clouds you have logins to
    nimbi launch web --account local --wait   a machine
    nimbi instances list                      all machines of all clouds
    nimbi ssh web                             log in to it

  Each command explains itself: nimbi instances create --help
"""

START, SEE, WORK, MONEY, THINGS, PEOPLE, SERVER = (
    "Start here",
    "All clouds at once",
    "Work, and whether it goes well",
    "Money",
    "Things in clouds (list, get, create and more: nimbi instances --help)",
    "People and tenants",
    "Server and machine",
)


class Part(NamedTuple):
    """A command that is imported when it is used.

    `module` has it under its own name, with `_` for `-`; for a collection of things in clouds it
    has `group_of` instead, which makes the command of the collection's name.
    """

    section: str
    module: str
    text: str


def _of(section: str, module: str, text: str) -> Part:
    return Part(section, f"nimbi.cli.{module}", text)


def _things(text: str) -> Part:
    return _of(THINGS, "collections", text)


PARTS: Mapping[str, Part] = {
    "up": _of(START, "up", "Start Nimbi for yourself on this machine, all of it."),
    "accounts": _of(START, "accounts", "Remember logins to clouds: add, discover, test, remove."),
    "launch": _of(START, "launch", "Start an instance, with the choices made for you."),
    "ssh": _of(START, "ssh", "Log in to an instance by its name."),
    "cp": _of(START, "cp", "Copy files to buckets, from buckets, between clouds."),
    "login": _of(START, "login", "Use a server elsewhere: remember its URL and a token."),
    "top": _of(SEE, "top", "Watch the machines of all clouds."),
    "events": _of(SEE, "events", "Tell what changes, as it happens."),
    "orphans": _of(SEE, "orphans", "List what Nimbi made and nobody owns; remove it."),
    "jobs": _of(WORK, "jobs", "Long work that goes on: list, watch, cancel."),
    "schedules": _of(WORK, "schedules", "Jobs that begin by themselves: off at night, leases."),
    "checks": _of(WORK, "checks", "Whether instances and clouds answer, and what is done if not."),
    "objectives": _of(WORK, "objectives", "How good checks are meant to be; what budget is left."),
    "alerts": _of(WORK, "alerts", "What is wrong, and the silences in which nobody is told."),
    "replace": _of(WORK, "repair", "Replace an instance by one like it."),
    "evacuate": _of(WORK, "repair", "Move all instances of an account to another one."),
    "usage": _of(MONEY, "usage", "What was used, and what it costs."),
    "prices": _of(MONEY, "prices", "What a unit of what is used costs."),
    "bill": _of(MONEY, "bill", "What each tenant owes for a month."),
    "budgets": _of(MONEY, "budgets", "What tenants may spend in a month."),
    "realms": _things("Places within the cloud."),
    "hardware-profiles": _things("Sizes of machines."),
    "images": _things("What instances are started from."),
    "instances": _things("Virtual machines."),
    "keys": _things("Key pairs and other logins."),
    "firewalls": _things("Sets of rules that let traffic in."),
    "addresses": _things("Public addresses."),
    "networks": _things("Private networks."),
    "subnets": _things("Parts of networks."),
    "routers": _things("What joins subnets to each other and to the world."),
    "network-interfaces": _things("Cards by which instances join networks."),
    "load-balancers": _things("One address in front of several instances."),
    "volumes": _things("Disks that live apart from instances."),
    "snapshots": _things("What volumes held at one moment."),
    "buckets": _things("Named containers of blobs."),
    "blobs": _things("Bytes under a name in a bucket."),
    "metrics": _things("What was measured; a metric's id is that of the instance."),
    "quotas": _of(THINGS, "quotas", "How much of everything accounts and tenants may have."),
    "users": _of(PEOPLE, "users", "People who sign in, and programs that have tokens."),
    "groups": _of(PEOPLE, "groups", "Users who have the same roles."),
    "domains": _of(PEOPLE, "tenants", "Tenants that others may be below."),
    "projects": _of(PEOPLE, "tenants", "Tenants that things belong to."),
    "roles": _of(PEOPLE, "roles", "What people may do: sets of rules."),
    "grants": _of(PEOPLE, "roles", "Who has which role where."),
    "tokens": _of(PEOPLE, "tokens", "Make, list and revoke API tokens."),
    "holdings": _of(PEOPLE, "holdings", "Whose things in clouds are; give them to others."),
    "limits": _of(PEOPLE, "holdings", "What tenants may use of accounts."),
    "serve": _of(SERVER, "serve", "Serve clouds over HTTP."),
    "webhooks": _of(SERVER, "webhooks", "URLs that are told of changes."),
    "audit": _of(SERVER, "audit", "Who did what: list, follow, export, verify."),
    "doctor": _of(SERVER, "doctor", "Say what is wrong here, and how to mend it."),
    "backup": _of(SERVER, "backup", "Write all that Nimbi remembers to one file."),
    "restore": _of(SERVER, "backup", "Bring back what a backup holds."),
    "operator-key": _of(
        SERVER, "operator_key", "The key that encrypts stored logins: make, rotate."
    ),
    "local": _of(SERVER, "local", "Look after the cloud of this machine."),
    "credentials": _of(SERVER, "credentials", "Show the login of a cloud on this machine."),
    "drivers": _of(SERVER, "drivers", "List the clouds that can be served."),
    "completion": _of(SERVER, "completion", "Completion for bash, zsh and fish, with live names."),
}


def help_text() -> str:
    """Return the help of the whole command."""
    room = max(map(len, PARTS))
    lines: list[str] = [USAGE]
    section = ""
    for name, part in PARTS.items():
        if part.section != section:
            section = part.section
            lines.append(f"{'' if len(lines) == 1 else chr(10)}{section}:\n")
        lines.append(f"  {name:{room}}  {part.text}\n")
    return "\n".join(["".join(lines[:1]), "".join(lines[1:]), EPILOG]).rstrip("\n")
