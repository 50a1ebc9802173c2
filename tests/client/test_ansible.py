"""The inventory plugin, as Ansible itself runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.client.desk import Desk, Reply, problem, served

INVENTORY = """
plugin: nimbi.cloud.instances
state: running
keyed_groups: [{key: nimbi_tags.role, prefix: role}]
compose: {greeting: "'hello ' ~ nimbi_name"}
"""


def instance(account: str, id: str, name: str | None, **more: Any) -> dict[str, Any]:
    told = dict.fromkeys(("owner_id", "image_id", "realm_id", "hardware_profile_id"))
    return {"account": account, "id": id, "name": name, "state": "running", **told, **more}


LISTING = {
    "items": [
        instance(
            "aws",
            "i-1",
            "web",
            realm_id="eu-1",
            tags={"role": "www"},
            public_addresses=[
                {"address": "52:54:00:00:00:01", "kind": "mac"},
                {"address": "192.0.2.7", "kind": "ipv4", "port": 8080},
            ],
            login={"user": "debian", "password": "hidden", "port": 2222},
        ),
        instance("aws", "i-2", "db"),
        instance("local", "i-2", "db", private_addresses=[{"address": "10.0.0.2"}]),
        instance("local", "i-3", None),
    ],
    "next": None,
    "accounts": [
        {"account": "aws", "state": "ok", "age_s": 1.0},
        {
            "account": "old",
            "state": "stale",
            "age_s": 90.0,
            "problem": {"code": "timeout", "message": "no answer"},
        },
    ],
}


def inventory(place: Path, desk: Desk, text: str = INVENTORY) -> subprocess.CompletedProcess[str]:
    file = place / "nimbi.yml"
    file.write_text(text)
    with served(desk) as url:
        return subprocess.run(
            [Path(sys.executable).with_name("ansible-inventory"), "-i", file, "--list", "--export"],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(place),
                "LC_ALL": "C.UTF-8",
                "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
                "NIMBI_SERVER": url,
                "NIMBI_TOKEN": "t0ken",
            },
            cwd=place,
            capture_output=True,
            text=True,
        )


def test_ansible_sees_the_instances_of_all_accounts_and_is_told_what_is_missing(
    tmp_path: Path,
) -> None:
    desk = Desk(Reply(200, LISTING))
    done = inventory(tmp_path, desk)
    assert done.returncode == 0, done.stderr
    # Ansible marks texts of others as such.
    marked = json.JSONDecoder(object_hook=lambda found: found.get("__ansible_unsafe", found))
    told = marked.decode(done.stdout)
    hosts = told["_meta"]["hostvars"]
    # No two hosts have one name, though two instances do.
    assert set(hosts) == {"web", "aws_i-2", "local_i-2", "local_i-3"}
    web = hosts["web"]
    assert (web["ansible_host"], web["ansible_port"]) == ("192.0.2.7", 2222)
    assert (web["ansible_user"], web["greeting"]) == ("debian", "hello web")
    assert hosts["local_i-2"]["ansible_host"] == "10.0.0.2"
    assert "ansible_host" not in hosts["local_i-3"]
    assert told["account_aws"]["hosts"] == ["web", "aws_i-2"]
    assert told["role_www"]["hosts"] == told["realm_eu_1"]["hosts"] == ["web"]
    assert "account old: stale, as of 90 s ago: timeout: no answer" in " ".join(done.stderr.split())
    assert "hidden" not in done.stdout
    assert desk.asked[0].target.startswith("/v1/instances?state=running&")
    assert desk.asked[0].headers["authorization"] == "Bearer t0ken"


def test_a_list_that_must_be_whole_fails_when_it_is_not(tmp_path: Path) -> None:
    done = inventory(tmp_path, Desk(Reply(200, LISTING)), INVENTORY + "incomplete: fail\n")
    assert done.returncode != 0
    assert "the list is not whole: account old" in " ".join(done.stderr.split())


def test_a_wrong_token_is_told_without_the_token(tmp_path: Path) -> None:
    done = inventory(tmp_path, Desk(problem("unauthorized", 401)))
    assert done.returncode != 0
    assert "Nimbi: unauthorized: it is unauthorized" in " ".join(done.stderr.split())
    assert "t0ken" not in done.stdout + done.stderr
