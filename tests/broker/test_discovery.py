"""Logins that are found on a machine."""

from pathlib import Path

import pytest

from nimbi.broker.credentials import credentials_of
from nimbi.broker.discovery import Found, discover
from nimbi.broker.terms import check_name
from nimbi.drivers.ec2 import DRIVER as EC2
from nimbi.drivers.openstack import DRIVER as OPENSTACK
from nimbi.drivers.rackspace import DRIVER as RACKSPACE
from nimbi.gateway.registry import Registry

SECRET = "s3cr3t-of-a-test"

CREDENTIALS = f"""
[default]
aws_access_key_id = AKIDEFAULT
aws_secret_access_key = {SECRET}

[Work Stuff]
aws_access_key_id = AKIWORK
aws_secret_access_key = {SECRET}
aws_session_token = {SECRET}
"""
CONFIG = """
[default]
region = eu-west-1

[profile boss]
role_arn = arn:aws:iam::1:role/boss
source_profile = default

[profile minio]
aws_access_key_id = m
aws_secret_access_key = m
endpoint_url = http://127.0.0.1:9000
"""
CLOUDS = f"""
clouds:
  devstack:
    auth: {{auth_url: "http://127.0.0.1/identity", username: u, password: "{SECRET}"}}
  "not so good":
    auth: {{auth_url: "http://127.0.0.1/identity"}}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(CREDENTIALS)
    (tmp_path / ".aws" / "config").write_text(CONFIG)
    (tmp_path / ".config" / "openstack").mkdir(parents=True)
    (tmp_path / ".config" / "openstack" / "clouds.yaml").write_text(CLOUDS)
    return tmp_path


def found(home: Path, **environment: str) -> dict[str, Found]:
    drivers = {driver.name: driver for driver in (EC2, OPENSTACK, RACKSPACE)}
    return {each.name: each for each in discover(Registry(drivers), environment, home)}


def test_profiles_of_aws_with_keys_are_accounts(home: Path) -> None:
    logins = found(home)
    default = logins["aws"]
    assert (default.provider, default.source) == ("eu-west-1", "the AWS profile 'default'")
    assert default.new is not None
    assert default.new.credentials == {"user": "AKIDEFAULT", "password": SECRET, "token": None}
    work = logins["work-stuff"].new
    assert work is not None
    assert work.credentials is not None
    assert credentials_of(EC2, work.credentials).token == SECRET


def test_a_profile_that_cannot_be_kept_says_why(home: Path) -> None:
    logins = found(home)
    for name, words in (("boss", "AWS_PROFILE"), ("minio", "endpoint_url")):
        assert logins[name].new is None
        assert words in (logins[name].problem or "")
    own = found(home, AWS_PROFILE="boss")["boss"].new
    assert own is not None
    assert own.own_login


def test_an_endpoint_of_the_server_s_own_profile_is_reached_by_its_own_login(home: Path) -> None:
    own = found(home, AWS_PROFILE="minio")["minio"].new
    assert own is not None
    assert (own.own_login, own.credentials) == (True, None)


def test_entries_of_clouds_yaml_are_accounts_that_copy_nothing(home: Path) -> None:
    logins = found(home)
    devstack = logins["devstack"].new
    assert devstack is not None
    assert (devstack.own_login, devstack.provider, devstack.credentials) == (True, "devstack", None)
    assert "rename" in (logins["not-so-good"].problem or "")


def test_variables_are_accounts_named_after_their_cloud(tmp_path: Path) -> None:
    logins = found(
        tmp_path,
        AWS_ACCESS_KEY_ID="AKI",
        AWS_SECRET_ACCESS_KEY=SECRET,
        AWS_REGION="us-east-2",
        OS_AUTH_URL="http://127.0.0.1/identity",
        OS_USERNAME="u",
        OS_PASSWORD=SECRET,
        RS_USERNAME="u",
        RS_API_KEY=SECRET,
    )
    assert {name: login.provider for name, login in logins.items()} == {
        "aws": "us-east-2",
        "openstack": None,
        "rackspace": None,
    }
    assert logins["openstack"].new is not None
    assert logins["openstack"].new.own_login


def test_all_names_are_names_of_accounts_and_none_comes_twice(home: Path) -> None:
    found_here = discover(
        Registry({"ec2": EC2}), {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, home
    )
    names = [each.name for each in found_here]
    assert len(names) == len(set(names))
    for name in names:
        check_name(name)


def test_a_broken_file_is_told_without_what_is_in_it(home: Path) -> None:
    (home / ".aws" / "credentials").write_text(f"[default\n{SECRET}")
    (only,) = [each for each in found(home).values() if each.driver == "ec2"]
    assert "cannot be read" in (only.problem or "")


def test_nothing_that_is_found_shows_its_secret(home: Path) -> None:
    logins = found(home)
    assert SECRET not in repr(logins) + repr([each.new for each in logins.values()])


def test_a_machine_without_logins_has_none(tmp_path: Path) -> None:
    assert found(tmp_path) == {}
