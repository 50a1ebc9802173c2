"""Which rung of the ladder a machine is found to have, as root and as nobody."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nimbi.qemu.errors import Invalid, Unsupported
from nimbi.qemu.network import rungs
from nimbi.qemu.network.rungs import Rung, choose

ROOT = os.geteuid() == 0

CHOOSE = """
import asyncio, json, sys
from pathlib import Path
from nimbi.qemu.network.rungs import choose
ladder = asyncio.run(choose(Path(sys.argv[1]), "auto"))
print(json.dumps([ladder.rung, ladder.refusals]))
"""

APPLY = """
import asyncio, sys
from pathlib import Path
from nimbi.qemu.network.fabric import Fabric
from nimbi.qemu.network.plan import Plan
from nimbi.qemu.network.rungs import Rung
from tests.qemu.network.fabric.test_mending import PLAN

async def main():
    fabric = Fabric(Path(sys.argv[1]), Rung.USERNS)
    try:
        print((await fabric.apply(PLAN)).refused)
        status = await fabric.status()
        print({name: len(pids) for name, pids in status.pids.items()}, status.gate["listeners"])
    finally:
        await fabric.down()

asyncio.run(main())
"""

# Python may be in a home that nobody may enter, and the device for taps closed to them: in a place
# of mounts of its own, both are put where they can be used.
AS_NOBODY = """
set -e
mount --bind "$1" "$2/python"
if [ "$3" = open ]; then
    mknod -m 666 "$2/tun" c 10 200
    mount --bind "$2/tun" /dev/net/tun
else
    mknod -m 600 "$2/tun" c 10 200
    mount --bind "$2/tun" /dev/net/tun
fi
cd "$2/state"
exec setpriv --reuid 65534 --regid 65534 --clear-groups env PYTHONPATH="$4" HOME="$2/state" \\
    "$2/python/bin/python3" -c "$5" "$2/state"
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """Give a directory that nobody can enter and use, beside others in it that they own.

    It lies beside those of pytest, which are for their owner alone.
    """
    if not ROOT:
        pytest.skip("becoming nobody needs root")
    made = Path(tempfile.mkdtemp(prefix="nimbi-nobody-"))
    made.chmod(0o755)
    (made / "python").mkdir()
    (made / "state").mkdir()
    os.chown(made / "state", 65534, 65534)
    yield made
    shutil.rmtree(made)


def as_nobody(place: Path, program: str, *, tun: str) -> str:
    repository = Path(__file__).parents[4]
    paths = (repository / "src", repository, sysconfig.get_path("purelib"))
    command = ["unshare", "--mount", "sh", "-c", AS_NOBODY, "sh", sys.base_prefix, str(place), tun]
    ended = subprocess.run(
        [*command, os.pathsep.join(map(str, paths)), program], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.skipif(not ROOT, reason="needs root")
async def test_root_has_all_rungs_and_uses_the_highest(tmp_path: Path):
    ladder = await choose(tmp_path, "auto")
    assert (ladder.rung, ladder.forced, dict(ladder.refusals)) == (Rung.ROOT, False, {})
    for rung in Rung:
        assert (await choose(tmp_path, rung)).rung is rung


async def test_the_lowest_rung_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    ladder = await choose(tmp_path, "user")
    assert (ladder.rung, ladder.forced) == (Rung.USER, True)


async def test_without_its_programs_a_rung_says_which_packages_bring_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", "")
    ladder = await choose(tmp_path, "auto")
    assert ladder.rung is Rung.USER
    assert "apt install" in ladder.refusals[Rung.USERNS]
    with pytest.raises(Unsupported, match="nftables"):
        await choose(tmp_path, "userns")


async def test_what_is_no_rung_is_refused(tmp_path: Path):
    with pytest.raises(Invalid, match="auto, user, userns, root"):
        await choose(tmp_path, "bridge")


async def test_a_success_is_remembered_for_these_programs_only(tmp_path: Path):
    ladder = await choose(tmp_path, "auto")
    if ladder.rung is Rung.USER:
        pytest.skip("this machine has only the lowest rung")
    record = tmp_path / "network" / rungs.RECORD
    kept = json.loads(record.read_bytes())
    assert kept["works"] == [ladder.rung]
    for broken in (b"", b"[]", b'{"key": 1, "works": ["root", "userns"]}'):
        record.write_bytes(broken)
        assert (await choose(tmp_path, "auto")).rung is ladder.rung
        assert json.loads(record.read_bytes()) == kept


def test_nobody_has_a_user_namespace_when_the_device_for_taps_is_open(place: Path):
    rung, refusals = json.loads(as_nobody(place, CHOOSE, tun="open"))
    assert (rung, refusals) == ("userns", {"root": "this is not root"})


def test_nobody_is_told_why_there_are_no_networks(place: Path):
    rung, refusals = json.loads(as_nobody(place, CHOOSE, tun="shut"))
    assert rung == "user"
    assert "/dev/net/tun" in refusals["userns"]
    assert "Permission denied" in refusals["userns"]


def test_nobody_can_have_a_fabric(place: Path, world):
    said = as_nobody(place, APPLY, tun="open")
    assert said.splitlines() == [
        "{}",
        "{'holder': 1, 'gate': 1, 'pasta': 1, 'dnsmasq': 2} 2",
    ]
