"""What is done for instances that are not well: restarted, replaced, moved to another account."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from nimbi.model.errors import Invalid

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Id = Annotated[str, Meta(min_length=1, max_length=1024)]
Patience = Annotated[int, Meta(ge=1, le=86400)]


class Trait(StrEnum):
    """What of an instance its replacement may do without, when told so."""

    NAME = "name"
    REALM = "realm"
    SIZES = "sizes"
    KEY = "key"
    FIREWALLS = "firewalls"
    SUBNET = "subnet"
    TAGS = "tags"
    SPOT = "spot"
    VOLUMES = "volumes"


class Restart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Have an instance run anew: rebooted when it runs, started when it is stopped."""

    account: Name
    instance_id: Id
    patience_s: Patience = 600


class Restarted(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart came to; `did` is `reboot`, `start`, `resume`, or `stop, start`."""

    account: str
    instance_id: str
    did: str


class Replacing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is told of the replacement of one instance, and of many: see Replace."""

    account: Name
    images: Mapping[str, str] = {}
    profiles: Mapping[str, str] = {}
    realms: Mapping[str, str] = {}
    keys: Mapping[str, str] = {}
    firewalls: Mapping[str, str] = {}
    subnets: Mapping[str, str] = {}
    without: frozenset[Trait] = frozenset()
    keep: bool = False
    patience_s: Patience = 1200


class Replace(Replacing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Launch an instance like another, see that it answers, and destroy the old one.

    It gets all that is known of the old one: image, profile, realm, sizes, name, key, firewalls,
    subnet, tags. What cannot be had is refused, save what is among `without`; volumes stay behind,
    so an instance that has some is replaced only `without` them. With `keep` the old one is stopped
    and stays. `target` is another account, where `images`, `profiles`, `realms`, `keys`,
    `firewalls` and `subnets` say what the old one's ids are called there. The new one must answer
    its checks within `patience_s`; else it is destroyed and the old one stays.
    """

    instance_id: Id
    target: Name | None = None


class Replaced(msgspec.Struct, frozen=True, kw_only=True):
    """What a replacement came to: the old instance, the new one, whether the old one is there."""

    account: str
    instance_id: str
    target: str
    new_id: str
    kept: bool = False


class Evacuation(Replacing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Move all instances of an account to another one: each is replaced there, one by one.

    Or only those named in `instances`. The maps are those of Replace. Nothing is begun unless all
    have a place to go: each image and each profile must be in the map. One that fails stays where
    it is, and the others go on.
    """

    target: Name
    instances: Annotated[tuple[Id, ...], Meta(max_length=1000)] = ()

    def check(self) -> None:
        """Raise Invalid when it goes nowhere."""
        if self.account == self.target:
            raise Invalid("an account is evacuated to another one")

    def of(self, instance_id: str) -> Replace:
        """Return what is done for one instance."""
        shared = {name: getattr(self, name) for name in Replacing.__struct_fields__}
        return Replace(**shared, instance_id=instance_id, target=self.target)


class NotMoved(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that stays where it is, and why; `code` is that of the error."""

    instance_id: str
    code: str
    message: str


class Evacuated(msgspec.Struct, frozen=True, kw_only=True):
    """What an evacuation came to."""

    account: str
    target: str
    moved: tuple[Replaced, ...] = ()
    failed: tuple[NotMoved, ...] = ()
