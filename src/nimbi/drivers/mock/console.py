"""The console of a machine that never was."""

from nimbi.drivers.mock.world import Boot
from nimbi.model.instances import Instance, InstanceState

LONGEST_BYTES = 64 * 1024


def console_text(instance: Instance, boot: Boot | None) -> bytes:
    """Return the end of what the instance would have written, at most 64 KiB."""
    lines = [
        f"[    0.000000] Nimbi mock cloud: booting {instance.image_id}".encode(),
        f"[    0.100000] hostname {instance.id}".encode(),
    ]
    if boot is not None:
        lines += [
            f"[    0.200000] file {file.path}: {len(file.content)} bytes".encode()
            for file in boot.files
        ]
    if boot is not None and boot.user_data is not None:
        lines += [b"[    0.300000] user data:", boot.user_data]
    if instance.state is InstanceState.STOPPED:
        lines.append(b"[    1.000000] Power down")
    else:
        lines.append(f"{instance.id} login: ".encode())
    return b"\n".join(lines)[-LONGEST_BYTES:]
