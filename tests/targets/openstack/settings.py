"""Where the cloud of the tests is: directories, ports, logins."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[3]
PYTHON = "/usr/bin/python3"  # Debian's, whose packages the services are

# All that the cloud writes; the database's user must be able to enter it.
STATE = Path(os.environ.get("NIMBI_OPENSTACK_STATE", "/var/lib/openstack-target"))
# What is made once for many clouds: the image of the guests.
CACHE = Path(os.environ.get("NIMBI_OPENSTACK_CACHE", "/var/cache/openstack-target"))

PASSWORD = "secret"  # of all users
REGION = "RegionOne"
HOST = "osreal"  # what the services call this machine
PUBLIC_NETWORK = "public"
VOLUME_KIND = "another"  # beside Cinder's own, `__DEFAULT__`
# The first three numbers of the addresses of `public`: of a block for documentation, nobody's.
PUBLIC_BLOCK = "198.51.100"

# None of those that Linux gives to outgoing connections (32768 on), or that local guests publish
# (20000 to 31999).
PORTS = {
    "keystone": 5000,
    "glance": 9292,
    "placement": 8778,
    "nova": 8774,
    "metadata": 8775,
    "neutron": 9696,
    "cinder": 8776,
    "swift": 8080,
    "vnc": 6080,
    "rabbit": 17672,
    "epmd": 17369,
    "erlang": 17673,
    "memcached": 17211,
    "account": 17202,
    "container": 17201,
    "object": 17200,
}
KEYSTONE = f"http://127.0.0.1:{PORTS['keystone']}/v3"

READY = STATE / "ready"  # there as long as the cloud answers
LOG = STATE / "log"
RUN = STATE / "run"
