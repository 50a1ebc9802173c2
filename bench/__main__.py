"""Runs measures, one after the other, and prints one table: all, or those that are named."""

import sys
import tempfile
from pathlib import Path

from rich.console import Console

from bench import (
    access,
    blobs,
    cli,
    ec2,
    guests,
    jobs,
    local_blobs,
    metering,
    native,
    one_list,
    openstack,
    requests,
    s3,
    starting,
    swift,
)
from bench.table import show

MEASURES = {
    "requests": requests.measure,
    "native API": native.measure,
    "blobs": blobs.measure,
    "EC2": ec2.measure,
    "OpenStack": openstack.measure,
    "S3": s3.measure,
    "Swift": swift.measure,
    "local blobs": local_blobs.measure,
    "starting": starting.measure,
    "cli": cli.measure,
    "one list": one_list.measure,
    "jobs": jobs.measure,
    "metering": metering.measure,
    "role check": access.measure,
    "guests": guests.measure,
}


def main() -> None:
    chosen = sys.argv[1:] or list(MEASURES)
    if unknown := set(chosen) - set(MEASURES):
        raise SystemExit(f"there is no measure {', '.join(unknown)}, only {', '.join(MEASURES)}")
    console = Console(stderr=True)
    lines = []
    with tempfile.TemporaryDirectory(prefix="nimbi-bench-") as place:
        # nginx's worker, another user when root runs this, must get through to its files.
        Path(place).chmod(0o711)
        for name in chosen:
            with console.status(f"measuring {name}"):
                lines += MEASURES[name](Path(place))
    show(lines)


if __name__ == "__main__":
    main()
