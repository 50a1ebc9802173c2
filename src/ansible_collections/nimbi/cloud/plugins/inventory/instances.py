"""An Ansible inventory of the instances in all clouds that a server of Nimbi knows."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

DOCUMENTATION = """
name: instances
short_description: Instances of all clouds that Nimbi knows
description:
  - Asks a server of Nimbi for the instances in all accounts, in one list.
  - A host is named by its instance's name. Where several instances have one name, each of them is
    named by account and id, as C(aws_i-0123).
  - Host variables are C(nimbi_account) and the fields of the instance with C(nimbi_) before them.
  - Hosts are in the groups C(account_…), C(state_…) and C(realm_…).
  - An account whose cloud fails keeps the hosts that were known of it, and a warning tells so.
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: The name of this plugin.
    required: true
    choices: [nimbi.cloud.instances]
  server:
    description: The URL of the server.
    type: str
    default: http://127.0.0.1:3001
    env: [{name: NIMBI_SERVER}]
  token:
    description: An API token; C(token_file) keeps it out of the inventory.
    type: str
    env: [{name: NIMBI_TOKEN}]
  token_file:
    description: The file with an API token.
    type: path
    env: [{name: NIMBI_TOKEN_FILE}]
  accounts:
    description: Only these accounts; all of them when there are none.
    type: list
    elements: str
    default: []
  state:
    description: Only instances in this state, such as C(running).
    type: str
  tags:
    description: Only instances that have all of these tags.
    type: dict
    default: {}
  fresh:
    description: Ask the clouds instead of taking what the server knows.
    type: bool
    default: false
  deadline:
    description: How many seconds the clouds may take when they are asked.
    type: int
    default: 30
  incomplete:
    description:
      - What to do when an account gave less than all, C(warn) or C(fail).
      - An account of which nothing is known at all is told in the same way.
    type: str
    choices: [warn, fail]
    default: warn
"""

EXAMPLES = """
# The file must be called nimbi.yml, or end in .nimbi.yml.
plugin: nimbi.cloud.instances
server: https://nimbi.example.org
token_file: ~/.config/nimbi/token
state: running
keyed_groups:
  - {key: nimbi_tags.role, prefix: role}
compose:
  ansible_user: "'admin' if nimbi_account == 'aws-prod' else 'debian'"
"""

ENDINGS = ("nimbi.yml", "nimbi.yaml")

# Kinds of addresses that ssh can connect to, the best first.
REACHABLE = ("ipv4", "hostname", "ipv6")
SSH_PORT = 22

# Each host is in a group of each of these: `account_aws`.
GROUPED = ("account", "state", "realm_id")


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc]
    """Reads files that are called nimbi.yml, or end in .nimbi.yml."""

    NAME = "nimbi.cloud.instances"

    def verify_file(self, path: str) -> bool:
        """Return whether a file is one for this plugin."""
        return bool(super().verify_file(path)) and path.endswith(ENDINGS)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory. Raises AnsibleParserError for a server that does not answer."""
        super().parse(inventory, loader, path, cache=cache)
        self._read_config_data(path)
        for name, variables in named(self._known(path, cache)):
            self._add(name, variables)

    def _known(self, path: str, cache: bool) -> list[dict[str, Any]]:
        """Return the instances, from Ansible's cache when it has them and may be used."""
        key = self.get_cache_key(path)
        uses_cache = self.get_option("cache")
        if uses_cache and cache and key in self._cache:
            kept: list[dict[str, Any]] = self._cache[key]
            return kept
        found = self._asked()
        if uses_cache:
            self._cache[key] = found
        return found

    def _asked(self) -> list[dict[str, Any]]:
        from nimbi.client import SyncClient
        from nimbi.model.errors import CloudError

        try:
            with SyncClient(self.get_option("server"), self._token()) as client:
                listing = client.instances.list(
                    self.get_option("accounts") or None,
                    state=self.get_option("state"),
                    tags=self.get_option("tags"),
                    fresh=self.get_option("fresh"),
                    deadline_s=self.get_option("deadline"),
                    sort="name",
                )
        except CloudError as error:
            raise AnsibleParserError(f"Nimbi: {error.code}: {error}") from error
        self._tell(listing.parts)
        return [
            {"account": account, **msgspec.to_builtins(thing)} for account, thing in listing.items
        ]

    def _token(self) -> str | None:
        told: str | None = self.get_option("token")
        file = self.get_option("token_file")
        if told or not file:
            return told
        try:
            with open(file, encoding="utf-8") as lines:  # noqa: PTH123 — Ansible made it a path
                return lines.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise AnsibleParserError(f"Nimbi: {file}: the token cannot be read") from error

    def _tell(self, parts: Iterable[Any]) -> None:
        told = [incomplete(part) for part in parts if part.state != "ok"]
        if told and self.get_option("incomplete") == "fail":
            raise AnsibleParserError("Nimbi: the list is not whole: " + "; ".join(told))
        for line in told:
            self.display.warning(f"Nimbi: {line}")

    def _add(self, name: str, variables: Mapping[str, Any]) -> None:
        self.inventory.add_host(name)
        for variable, value in variables.items():
            self.inventory.set_variable(name, variable, value)
        told = dict(variables)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), told, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), told, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), told, name, strict=strict)
        for field in GROUPED:
            if value := told[f"nimbi_{field}"]:
                group = self._sanitize_group_name(f"{field.removesuffix('_id')}_{value}")
                self.inventory.add_host(name, group=self.inventory.add_group(group))


def incomplete(part: Any) -> str:
    """Return in words why an account's part of the list is less than whole."""
    age = "" if part.age_s is None else f", as of {part.age_s:.0f} s ago"
    why = "" if part.problem is None else f": {part.problem.code}: {part.problem.message}"
    return f"account {part.account}: {part.state}{age}{why}"


def named(instances: list[dict[str, Any]]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield each instance's name as a host, and its variables; no two have the same name."""
    names = Counter(instance["name"] for instance in instances)
    for instance in instances:
        name = instance["name"]
        if not name or names[name] > 1:
            name = f"{instance['account']}_{instance['id']}"
        yield name, variables_of(instance)


def variables_of(instance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of a host: how to reach it, and all that is known of it."""
    found = {f"nimbi_{name}": value for name, value in instance.items() if name != "extra"}
    login = found.pop("nimbi_login", None) or {}
    port = login.get("port")
    addresses = [*instance["public_addresses"], *instance["private_addresses"]]
    endpoint = reachable([{**each, "port": port} for each in addresses] if port else addresses)
    told = {
        "ansible_host": endpoint.get("address"),
        "ansible_port": endpoint.get("port"),
        "ansible_user": login.get("user"),
    }
    return found | {name: value for name, value in told.items() if value is not None}


def reachable(endpoints: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the address to connect to: a public one before a private one; empty without any.

    An address with a port of its own is that of another service, unless there is no other.
    """
    usable = [endpoint for endpoint in endpoints if endpoint["kind"] in REACHABLE]
    return min(usable, key=lambda one: one.get("port") not in {None, SSH_PORT}, default={})
