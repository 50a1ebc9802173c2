"""What to ask a cloud for, to have an instance like another."""

from collections.abc import Callable, Mapping
from typing import Any

from nimbi.driver.compute import Instances
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Invalid
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import Instance, NewInstance
from nimbi.model.repair import Replace, Trait

# The feature without which a trait cannot be had anew.
FEATURES = {
    Trait.NAME: "user_name",
    Trait.KEY: "authentication_key",
    Trait.FIREWALLS: "firewalls",
    Trait.SUBNET: "subnet",
    Trait.TAGS: "tags",
    Trait.SPOT: "spot",
}
# The field of the wish for each trait.
FIELDS = {
    Trait.NAME: "name",
    Trait.REALM: "realm_id",
    Trait.SIZES: "sizes",
    Trait.KEY: "key_id",
    Trait.FIREWALLS: "firewall_ids",
    Trait.SUBNET: "subnet_id",
    Trait.TAGS: "tags",
    Trait.SPOT: "spot",
}


def lacks(old: Instance, wish: Replace, features: frozenset[str]) -> list[str]:
    """Return why no instance like this can be had, in words; nothing when it can."""
    return _template(old, wish, features)[1]


def template(old: Instance, wish: Replace, features: frozenset[str]) -> NewInstance:
    """Return what to ask for. Raises Invalid that names all that cannot be had."""
    fields, missing = _template(old, wish, features)
    if missing:
        raise Invalid(f"{old.id} cannot be had anew: {'; '.join(missing)}")
    return NewInstance(**fields)


def expected(old: Instance, wish: Replace) -> NewInstance | None:
    """Return what will be asked for as far as a cloud takes all of it; None for what cannot be."""
    fields, missing = _template(old, wish, frozenset(FEATURES.values()))
    return None if missing else NewInstance(**fields)


def features_of(cloud: Cloud) -> frozenset[str]:
    """Return what wishes for instances a cloud honours."""
    return cloud.features(Instances)


def _template(
    old: Instance, wish: Replace, features: frozenset[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return the fields of the wish, and what cannot be had."""
    asked = _Asked(wish)
    fields: dict[str, Any] = {}
    if old.image_id is None:
        asked.missing.append("it is not known what image it was made of")
    else:
        fields["image_id"] = asked.called(old.image_id, wish.images, "the image")
    if old.hardware_profile_id is not None:
        profile = asked.called(old.hardware_profile_id, wish.profiles, "the profile")
        fields["hardware_profile_id"] = profile
    for trait, value in _traits(old, asked).items():
        if trait in wish.without:
            continue
        if trait is Trait.VOLUMES:
            asked.missing.append("its volumes stay behind: say `without` them")
        elif trait in FEATURES and FEATURES[trait] not in features:
            asked.missing.append(f"the cloud takes no {trait}")
        else:
            fields[FIELDS[trait]] = value()
    return fields, asked.missing


class _Asked:
    """What is asked for; `missing` says in words what cannot be had."""

    def __init__(self, wish: Replace) -> None:
        self.wish = wish
        self.missing: list[str] = []
        self._stays = wish.target is None or wish.target == wish.account

    def called(self, id: str, names: Mapping[str, str], what: str) -> str:
        """Return what an id of the old one's account is called where the new one is made."""
        if id in names or self._stays:
            return names.get(id, id)
        self.missing.append(f"{what} {id} has no counterpart in {self.wish.target}")
        return id


def _traits(old: Instance, asked: _Asked) -> dict[Trait, Callable[[], Any]]:
    """Return what an instance has, and how it is asked for; only what it has."""
    wish = asked.wish
    key = old.login.key_id if old.login is not None else None
    realm, subnet = old.realm_id or "", old.subnet_id or ""
    had: dict[Trait, tuple[Any, Callable[[], Any]]] = {
        Trait.NAME: (old.name, lambda: old.name),
        Trait.REALM: (realm, lambda: asked.called(realm, wish.realms, "the realm")),
        Trait.SIZES: (old.sizes != Sizes(), lambda: old.sizes),
        Trait.KEY: (key, lambda: asked.called(key or "", wish.keys, "the key")),
        Trait.FIREWALLS: (
            old.firewall_ids,
            lambda: tuple(
                asked.called(one, wish.firewalls, "the firewall") for one in old.firewall_ids
            ),
        ),
        Trait.SUBNET: (subnet, lambda: asked.called(subnet, wish.subnets, "the subnet")),
        Trait.TAGS: (old.tags, lambda: dict(old.tags)),
        Trait.SPOT: (old.spot, lambda: True),
        Trait.VOLUMES: (old.volumes, lambda: None),
    }
    return {trait: value for trait, (has, value) in had.items() if has}
