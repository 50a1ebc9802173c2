"""The cloud by hand: `/usr/bin/python3 -m tests.targets.openstack begin|end|up|down|purge`.

`begin` returns at once, and `end` stops what it has started. Runs on Debian's Python, before
anything of the project is installed.
"""

import os
import sys

from tests.targets.openstack import cloud, starting
from tests.targets.openstack.processes import Failed


def main(what: str) -> None:
    if what == "end":
        if starting.has_begun():
            stop(purge=False)
    elif os.geteuid():
        raise Failed("a cloud needs root")
    elif what == "begin":
        _clear_up()
        starting.begin()
    elif what == "up":
        _clear_up()
        cloud.install()
        cloud.up()
    elif what in ("down", "purge"):
        stop(purge=what == "purge")
    else:
        raise Failed(f"{what} is not known: {__doc__}")


def _clear_up() -> None:
    """Begin anew where a machine went down with the cloud: nobody trusts what that left."""
    if cloud.was_cut_off():
        cloud.down(purge=True)


def stop(*, purge: bool) -> None:
    starting.give_up()
    cloud.down(purge=purge)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Failed as error:
        sys.exit(str(error))
