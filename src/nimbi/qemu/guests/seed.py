"""The NoCloud seed: a small CD image that tells a guest who it is."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

LABEL = "cidata"
FILE_MODE = "600"


@dataclass(frozen=True, kw_only=True)
class Seed:
    """What a guest learns at its first boot.

    `public_keys` are whole lines as in authorized_keys; `user_files` is {absolute path: content}.
    Without `password` nobody can log in by password.
    """

    instance_id: str
    host_name: str
    public_keys: Sequence[str] = ()
    user_data: bytes = b""
    user_files: Mapping[str, bytes] = field(default_factory=dict)
    password: str | None = field(default=None, repr=False)


def files(seed: Seed) -> dict[str, bytes]:
    """Return {path in the seed: content}.

    `nimbi/` holds, for the demo guest, what NoCloud has no plain place for. cloud-init has the
    same from the vendor data, whose entries give way to equal ones of the user data.
    Source: cloud-init's documentation, "NoCloud" and "Vendor data".
    """
    meta = [f"instance-id: {seed.instance_id}", f"local-hostname: {seed.host_name}", "public-keys:"]
    meta += [f"  - {json.dumps(key)}" for key in seed.public_keys]
    contents = {"meta-data": "\n".join([*meta, ""]).encode(), "user-data": seed.user_data}
    if told := vendor_data(seed):
        contents["vendor-data"] = told
    if seed.password is not None:
        contents["nimbi/password"] = seed.password.encode()
    if seed.user_files:
        index = [f"{n} {FILE_MODE} {path}\n" for n, path in enumerate(seed.user_files)]
        contents["nimbi/files"] = "".join(index).encode()
        for number, content in enumerate(seed.user_files.values()):
            contents[f"nimbi/file{number}"] = content
    return contents


def vendor_data(seed: Seed) -> bytes:
    """Return password and user files as cloud-init's configuration; nothing when there are none."""
    config: dict[str, Any] = {}
    if seed.password is not None:
        config = {"password": seed.password, "chpasswd": {"expire": False}, "ssh_pwauth": True}
    if seed.user_files:
        config["write_files"] = [
            {
                "path": path,
                "permissions": f"0{FILE_MODE}",
                "encoding": "b64",
                "content": b64encode(content).decode(),
            }
            for path, content in seed.user_files.items()
        ]
    return b"#cloud-config\n" + json.dumps(config).encode() if config else b""


def iso(seed: Seed) -> bytes:
    """Return the seed as an ISO 9660 file system with Rock Ridge and Joliet names."""
    import pycdlib

    disc = pycdlib.PyCdlib()
    disc.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    disc.add_directory("/NIMBI", rr_name="nimbi", joliet_path="/nimbi")
    for number, (path, content) in enumerate(files(seed).items()):
        *above, name = path.split("/")
        place = f"{'/NIMBI' if above else ''}/F{number}.;1"
        source = BytesIO(content)
        disc.add_fp(source, len(content), place, rr_name=name, joliet_path=f"/{path}")
    made = BytesIO()
    disc.write_fp(made)
    disc.close()
    return made.getvalue()


def given(seed: Seed) -> dict[str, Any]:
    """Return what of a seed the metadata service tells too, fit for JSON; no files, no password."""
    data = b64encode(seed.user_data).decode()
    return {"public_keys": list(seed.public_keys), "user_data": data}
