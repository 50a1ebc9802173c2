"""Small programs in the place of ones that a test machine has not, first in the services' PATH."""

from pathlib import Path

from tests.targets.openstack.settings import STATE

BIN = STATE / "bin"

# All services run as root, so `sudo` and the rootwraps would do nothing but cost time.
SUDO = """#!/bin/sh
while :; do case "$1" in
  -*) shift;;
  *rootwrap) shift 2;;
  *) exec "$@";;
esac; done
"""
# Kernels of test machines have neither NFS client nor server. The NFS drivers of Cinder and Nova
# only need that the same directory appears in both places.
MOUNT = f"""#!/bin/sh
case " $* " in *" -t nfs "*)
  for word; do before=$last; last=$word; done
  [ "$before" = 127.0.0.1:/cinder ] || {{ echo "mount.nfs: no such share $before" >&2; exit 32; }}
  exec /usr/bin/mount --bind "{STATE}/cinder/export" "$last";;
esac
exec /usr/bin/mount "$@"
"""
MOUNT_NFS = "#!/bin/sh\nexit 1\n"  # Cinder only looks whether it is there

# Runs a console entry point of Debian's Python packages: osrun PROGRAM MODULE:FUNCTION WORD...
OSRUN = """#!/usr/bin/python3
import importlib, sys
name, target = sys.argv[1:3]
sys.argv = ["/usr/bin/" + name] + sys.argv[3:]
module, function = target.split(":")
sys.exit(getattr(importlib.import_module(module), function)())
"""
VIRSH = f"""#!/bin/sh
read -r id _ < "{STATE}/run/libvirt-ns.pid"
exec nsenter --mount=/proc/$id/ns/mnt -- /usr/bin/virsh -c qemu:///system "$@"
"""

PROGRAMS = {
    "sudo": SUDO,
    "mount": MOUNT,
    "mount.nfs": MOUNT_NFS,
    "osrun": OSRUN,
    "virsh": VIRSH,
}


def write() -> None:
    """Write all of them; `configuration.write` has made the directory."""
    for name, text in PROGRAMS.items():
        path: Path = BIN / name
        path.write_text(text)
        path.chmod(0o755)
