"""OpenStack Swift with its s3api: a real object store, of one disk, from Debian's packages."""

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.targets.stores import Server, free_port, running

USER, PASSWORD = "test:tester", "testing"
KINDS = ("account", "container", "object")
PROGRAMS = (*(f"swift-{kind}-server" for kind in (*KINDS, "proxy")), "swift-ring-builder")

COMMON = """[DEFAULT]
swift_dir = {place}
devices = {place}/disks
mount_check = false
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
log_level = WARNING
log_address = {place}/no-log
"""
STORAGE = (
    COMMON
    + "[pipeline:main]\npipeline = {kind}-server\n[app:{kind}-server]\nuse = egg:swift#{kind}\n"
)
PROXY = (
    COMMON
    + """[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth
    copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
force_swift_request_proxy_log = false
auth_pipeline_check = false
max_upload_part_num = 10000
min_segment_size = 1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
rate_limit_after_segment = 100000
[filter:dlo]
use = egg:swift#dlo
"""
)
HASHES = "[swift-hash]\nswift_hash_path_suffix = of-a-test\n"


def need_programs() -> None:
    """Skip where Swift is not installed; fail where all that tests need must be."""
    missing = [name for name in (*PROGRAMS, "memcached") if shutil.which(name) is None]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"missing: {', '.join(missing)}")
    if missing:
        pytest.skip(f"Swift is not installed: {', '.join(missing)}")


@contextmanager
def store(place: Path) -> Iterator[str]:
    """Run a store until the block ends, and give its URL."""
    need_programs()
    ports = {kind: free_port() for kind in (*KINDS, "proxy", "memcached")}
    (place / "disks" / "disk").mkdir(parents=True)
    (place / "swift.conf").write_text(HASHES)
    for kind in KINDS:
        _build_ring(place, kind, ports[kind])
    known = {"place": place, "user": getpass.getuser(), "memcached": ports["memcached"]}
    memory = ["memcached", "-l", "127.0.0.1", "-p", str(ports["memcached"])]
    memory += ["-u", getpass.getuser()]
    servers = [Server(memory, ports["memcached"], place / "memcached.log")]
    for kind in (*KINDS, "proxy"):
        conf = place / f"{kind}-server.conf"
        text = PROXY if kind == "proxy" else STORAGE
        conf.write_text(text.format(kind=kind, port=ports[kind], **known))
        command = [f"swift-{kind}-server", str(conf)]
        servers.append(Server(command, ports[kind], place / f"{kind}.log"))
    with running(*servers):
        yield f"http://127.0.0.1:{ports['proxy']}"


def _build_ring(place: Path, kind: str, port: int) -> None:
    ring = place / f"{kind}.builder"
    for words in (
        ("create", "4", "1", "0"),
        ("add", f"r1z1-127.0.0.1:{port}/disk", "1"),
        ("rebalance",),
    ):
        subprocess.run(["swift-ring-builder", ring, *words], check=True, capture_output=True)
