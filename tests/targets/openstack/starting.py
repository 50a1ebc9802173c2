"""Starting the cloud in the background, once for a machine. Only the standard library is used."""

import os

from tests.targets.openstack.knocking import is_open
from tests.targets.openstack.processes import Processes
from tests.targets.openstack.settings import LOG, PORTS, PYTHON, READY, ROOT, RUN

STARTER = "starter"  # its log tells how far it has come
BEGUN = RUN / "start" / "begun"


def is_ready() -> bool:
    """Return whether the cloud answers. What a machine that went down left does not count."""
    return READY.exists() and is_open(PORTS["keystone"])


def is_starting() -> bool:
    """Return whether somebody starts the cloud now."""
    return _starters().alive(STARTER) is not None


def begin() -> None:
    """Install what is missing and start the cloud, in the background; return at once."""
    if not is_ready():
        READY.unlink(missing_ok=True)
        command = [PYTHON, "-m", "tests.targets.openstack", "up"]
        _starters().start(STARTER, command, {"PYTHONPATH": str(ROOT)})
        BEGUN.touch()


def has_begun() -> bool:
    """Return whether `begin` started the cloud that is there, or tries to."""
    return BEGUN.exists()


def give_up() -> None:
    """End a start that is under way."""
    _starters().stop(STARTER)
    BEGUN.unlink(missing_ok=True)


def _starters() -> Processes:
    return Processes(RUN / "start", LOG, os.environ)
