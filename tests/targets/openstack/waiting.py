"""Waiting for the cloud that `make` starts while other tests run."""

import os
import time
from typing import NoReturn

import pytest
from tests.targets.openstack.settings import KEYSTONE, LOG, READY
from tests.targets.openstack.starting import STARTER, is_starting

PATIENCE_S = 900.0


def cloud() -> str:
    """Return the URL of Keystone when the cloud answers.

    Skips the test where no cloud is being started, and fails it on a CI server, which has one.
    """
    until = time.monotonic() + PATIENCE_S
    while not READY.exists():
        if not is_starting():
            _missing(f"no OpenStack runs here; as root, `make openstack` starts one: {_log()}")
        if time.monotonic() > until:
            _missing(f"OpenStack was not there after {PATIENCE_S:.0f} s: {_log()}")
        time.sleep(0.5)
    return KEYSTONE


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _log() -> str:
    log = LOG / f"{STARTER}.log"
    return log.read_text()[-2000:] if log.exists() else f"there is no {log}"
