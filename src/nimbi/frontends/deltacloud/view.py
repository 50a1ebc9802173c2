"""What renderers are told of a request besides the thing itself."""

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from nimbi.driver.compute import Instances
from nimbi.frontends.deltacloud.states import SHOWN_AS, operations_on_wire
from nimbi.gateway.cloud import Cloud
from nimbi.model.instances import Instance
from nimbi.wire.matrix import PATH_SAFE

LOGIN_FEATURES = frozenset({"authentication_key", "authentication_password"})

RUN = "instances.run"
CREATE_IMAGE = "images.create"


@dataclass(slots=True)
class View:
    """`api` is the absolute URL of the entry point; `operations` what the login can do."""

    api: str
    operations: frozenset[str]
    cloud: Cloud
    _plain: tuple[str, ...] = ()
    _imaged: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        can = self.operations
        self._plain = (RUN,) if RUN in can else ()
        self._imaged = (*self._plain, CREATE_IMAGE) if CREATE_IMAGE in can else self._plain

    @property
    def shows_logins(self) -> bool:
        """Whether the cloud's instances are logged in to by what was chosen at their start."""
        return bool(LOGIN_FEATURES & self.cloud.features(Instances))

    def href(self, collection: str, id: str) -> str:
        """Return the absolute URL of a member; it may stand in XML as it is."""
        return f"{self.api}/{collection}/{segment(id)}"

    def instance_operations(self, instance: Instance) -> tuple[str, ...]:
        """Return what the instance's state and the cloud allow, by start, stop, reboot, destroy."""
        allowed = self.cloud.instance_operations(instance)
        if instance.state in SHOWN_AS:
            known = operations_on_wire(self.cloud.driver.instance_states, instance.state)
            return tuple(verb for verb in allowed if verb in known)
        return allowed

    def extras(self, instance: Instance) -> tuple[str, ...]:
        """Return what can be done besides: RUN, and CREATE_IMAGE of an instance that allows it."""
        return self._imaged if instance.can_be_imaged else self._plain


# Ids come again and again, in lists and in requests. Only what a cloud told gets here, so that no
# stranger can fill the cache with long texts.
@lru_cache(maxsize=4096)
def segment(id: str) -> str:
    """Return an id as one segment of a path, safe in XML and in HTML too."""
    # `quote` leaves dots alone, and clients would resolve a segment that is nothing else.
    return quote(id, safe=PATH_SAFE) if id not in {".", ".."} else id.replace(".", "%2E")
