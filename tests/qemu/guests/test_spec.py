"""What may be asked, and what this machine can bear."""

from dataclasses import replace

import pytest

from nimbi.qemu import Capacity, GuestSpec, Hypervisor, Invalid, NotFound
from nimbi.qemu.guests.spec import check, host_name
from nimbi.qemu.hypervisor import guest_id

GOOD = GuestSpec(name="a", image_id="img-1")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBAt"


def test_a_plain_spec_is_good():
    check(replace(GOOD, public_keys=(KEY, f"{KEY} me@here"), user_files={"/etc/x": b""}))


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"name": "\ud800"},
        {"name": "x" * 256},
        {"cpus": 0},
        {"cpus": 65},
        {"memory_mib": 95},
        {"disk_gib": 0},
        {"disk_gib": 65},
        {"host_name": "Upper"},
        {"host_name": "-a"},
        {"host_name": "a" * 64},
        {"host_name": "a;reboot"},
        {"public_keys": (f"{KEY}\nssh-rsa AAAA",)},
        {"public_keys": ('command="x" ssh-rsa AAAA',)},
        {"public_keys": (KEY,) * 101},
        {"user_files": {"relative": b""}},
        {"user_files": {"/a/../b": b""}},
        {"user_files": {"/a\nb": b""}},
        {"user_data": bytes(16 * 2**20 + 1)},
        {"password": ""},
        {"password": "a\nb"},
        {"ports": (0,)},
        {"ports": (80, 80)},
        {"ports": (65536,)},
        {"ports": tuple(range(1, 18))},
    ],
)
def test_what_cannot_be_meant_is_refused(change):
    with pytest.raises(Invalid):
        check(replace(GOOD, **change))


@pytest.mark.parametrize(
    ("name", "made"),
    [("Größe ✓", "gr-e"), ("web 1", "web-1"), ("✓", "i-1"), ("x" * 80, "x" * 63), ("../a", "a")],
)
def test_a_host_name_is_made_from_any_name(name, made):
    assert host_name(replace(GOOD, name=name), "i-1") == made


def test_equal_specs_have_equal_digests_and_others_do_not():
    assert GOOD.digest() == replace(GOOD).digest()
    for change in ({"user_data": b"x"}, {"labels": {"a": "b"}}, {"password": "x"}, {"cpus": 2}):
        assert GOOD.digest() != replace(GOOD, **change).digest()


def test_a_password_is_not_shown():
    assert "hunter2" not in repr(replace(GOOD, password="hunter2"))


@pytest.mark.parametrize("token", ["", "x" * 256])
def test_a_bad_token_is_refused(token):
    with pytest.raises(Invalid):
        guest_id(token)


@pytest.mark.guest
@pytest.mark.parametrize("change", [{"memory_mib": 2**20}, {"cpus": 64}])
async def test_what_does_not_fit_is_refused_and_leaves_nothing(
    hypervisor: Hypervisor, image, root, change
):
    before = sorted((root / "guests").iterdir())
    with pytest.raises(Capacity):
        await hypervisor.create(replace(GOOD, image_id=image.id, **change))
    assert sorted((root / "guests").iterdir()) == before


@pytest.mark.guest
async def test_an_unknown_image_is_not_found(hypervisor: Hypervisor):
    with pytest.raises(NotFound):
        await hypervisor.create(GOOD)


@pytest.mark.parametrize("id", ["", "..", "i-1", "i-0123456789abcde/", "\x00", "🐍"])
async def test_what_is_no_id_is_not_found(hypervisor: Hypervisor, id):
    for operation in (
        hypervisor.guest(id),
        hypervisor.start(id),
        hypervisor.stop(id),
        hypervisor.reboot(id),
        hypervisor.destroy(id),
        hypervisor.console(id),
    ):
        with pytest.raises(NotFound):
            await operation
