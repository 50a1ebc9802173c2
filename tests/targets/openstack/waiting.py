"""Waiting for the cloud that `make` starts while other tests run."""

import os
import time
from typing import NoReturn

import pytest
from tests.targets.openstack.settings import KEYSTONE, LOG
from tests.targets.openstack.starting import STARTER, is_ready, is_starting

PATIENCE_S = 900.0


def cloud() -> str:
    """Return the URL of Keystone when the cloud answers.

    Skips the test where no cloud is being started, and fails it on a CI server, which has one.
    """
    until = time.monotonic() + PATIENCE_S
    while not is_ready():
        if not is_starting():
            _missing(f"no OpenStack runs here; as root, `make openstack` starts one: {_logs()}")
        if time.monotonic() > until:
            _missing(f"OpenStack was not there after {PATIENCE_S:.0f} s: {_logs()}")
        time.sleep(0.5)
    return KEYSTONE


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _logs() -> str:
    """Return how far the start came, and what Keystone said last: whether it ever was there."""
    logs = [LOG / f"{name}.log" for name in (STARTER, "keystone")]
    ends = (log.read_text(errors="replace")[-2000:] for log in logs if log.exists())
    return "\n".join(ends) or f"there is no log in {LOG}"
