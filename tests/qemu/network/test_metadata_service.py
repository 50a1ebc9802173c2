"""A guest asks 169.254.169.254 who it is."""

import os
from pathlib import Path

import pytest
from tests.machines import stock

from nimbi.qemu import GuestSpec, Image, State, open_hypervisor
from nimbi.qemu.guests.keys import generate

pytestmark = pytest.mark.guest
AT_REST = frozenset({State.RUNNING, State.ERROR})
BOOT_S = 120
SERVICE = "http://169.254.169.254/latest"


async def test_a_guest_learns_who_it_is_and_nothing_of_others(
    tmp_path: Path, root: Path, image: Image, ending
):
    stock(tmp_path, root)
    public, private = generate("ed25519")
    try:
        async with open_hypervisor(tmp_path) as hypervisor:
            if not hypervisor.network.fabric:
                assert not os.environ.get("CI"), hypervisor.network.ladder
                pytest.skip("this machine has no shared networks, and no metadata service")
            spec = GuestSpec(
                name="who",
                image_id=image.id,
                memory_mib=96,
                public_keys=(public,),
                user_data=b"\x00\xff data",
                password="never told",
            )
            guest = await hypervisor.create(spec)
            guest = await hypervisor.wait(guest.id, AT_REST, BOOT_S)
            assert guest.state is State.RUNNING, guest.reason

            async def told(path: str) -> bytes:
                line = f"wget -q -O - {SERVICE}/{path}"
                return (await hypervisor.run(guest.id, line, private)).out

            assert await told("meta-data/instance-id") == guest.id.encode()
            assert await told("meta-data/local-hostname") == b"who"
            assert (await told("meta-data/public-keys/0/openssh-key")).strip() == public.encode()
            assert await told("user-data") == spec.user_data
            assert b"never told" not in await told("dynamic/instance-identity/document")
            await hypervisor.destroy(guest.id)
    finally:
        ending(tmp_path)
