"""What S3 needs of a session, and its client made for one."""

from typing import Protocol

from nimbi.drivers.ec2.backend import Backend
from nimbi.drivers.ec2.endpoints import Endpoints
from nimbi.drivers.ec2.objects.client import Caller, ObjectClient
from nimbi.drivers.ec2.objects.rules import MIB, Rules
from nimbi.drivers.ec2.objects.sites import Site


class HasObjects(Protocol):
    """A login to a store."""

    @property
    def objects(self) -> ObjectClient: ...


class LoggedIn(Caller, Protocol):
    """A session, of AWS or of a store alone."""

    backend: Backend
    endpoints: Endpoints


def objects_of(
    session: LoggedIn, *, path_style: bool | None, has_conditions: bool = True
) -> ObjectClient:
    """Return the client for a session. Raises Unsupported when it has no endpoint of S3."""
    settings = session.backend.settings
    site = Site(
        session.endpoints.url("s3"),
        session.endpoints.region,
        is_aws=session.endpoints.is_aws("s3"),
        path_style=path_style,
    )
    rules = Rules(part_bytes=settings.part_mib * MIB, at_once=settings.parts_at_once)
    return ObjectClient(session, site, rules, session.backend.room, has_conditions=has_conditions)
