"""Where AWS's services are, and what stands in for them."""

from pathlib import Path
from typing import Any

import pytest

from nimbi.drivers.ec2 import DRIVER
from nimbi.drivers.ec2.endpoints import (
    PARTITIONS,
    SERVICES,
    Endpoints,
    endpoints_of,
    entrypoints,
    is_optional,
    partition_of,
)
from nimbi.drivers.ec2.profiles import Profiles, read_profiles
from nimbi.drivers.ec2.regions import regions
from nimbi.drivers.ec2.session import Session, Settings
from nimbi.model.errors import Invalid, Unsupported

STAND_IN = "http://127.0.0.1:5000"
OTHER = "http://127.0.0.1:6000"
NAMES_OF_BOTOCORE = {
    "ec2": "ec2",
    "elb": "elbv2",
    "cloudwatch": "cloudwatch",
    "s3": "s3",
    "sts": "sts",
    "sso": "sso",
    "sso_oidc": "sso-oidc",
}


def endpoints(
    provider: str | None = "eu-west-1",
    environment: dict[str, str] | None = None,
    profiles: Profiles | None = None,
    **settings: Any,
) -> Endpoints:
    return endpoints_of(provider, Settings(**settings), environment or {}, profiles or Profiles())


def files(folder: Path, config: str) -> Profiles:
    (folder / "config").write_text(config)
    return read_profiles(
        {"AWS_CONFIG_FILE": str(folder / "config"), "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    )


def test_aws_s_own_tools_find_the_same_partitions() -> None:
    session = pytest.importorskip("botocore.session").Session()
    for partition in PARTITIONS:
        for region in partition.regions:
            assert session.get_partition_for_region(region) == partition_of(region).id


@pytest.mark.parametrize(
    "region", ["us-east-1", "af-south-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1"]
)
@pytest.mark.parametrize(("name", "of_botocore"), NAMES_OF_BOTOCORE.items())
def test_a_client_of_botocore_calls_the_same_host(region: str, name: str, of_botocore: str) -> None:
    session = pytest.importorskip("botocore.session").Session()
    session.set_credentials("a", "b")
    client = session.create_client(of_botocore, region)
    service = SERVICES[name]
    if (name, region) == ("s3", "us-east-1"):
        # Its old name, without a region, is the same host.
        assert client.meta.endpoint_url == "https://s3.amazonaws.com"
    else:
        assert client.meta.endpoint_url == endpoints(region).url(name)
    assert client.meta.service_model.signing_name == service.scope
    assert service.version in {"", client.meta.service_model.api_version}
    variable = client.meta.service_model.service_id.replace(" ", "_").upper()
    assert service.variable == variable


@pytest.mark.parametrize("region", ["eu-west-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize(("fips", "dual"), [(True, False), (False, True), (True, True)])
def test_the_hosts_of_fips_and_of_ipv6_are_those_of_botocore(
    region: str, fips: bool, dual: bool
) -> None:
    session = pytest.importorskip("botocore.session").Session()
    config = pytest.importorskip("botocore.config").Config(
        use_fips_endpoint=fips, use_dualstack_endpoint=dual
    )
    session.set_credentials("a", "b")
    found = endpoints(region, use_fips_endpoint=fips, use_dualstack_endpoint=dual)
    for name, of_botocore in NAMES_OF_BOTOCORE.items():
        if (name, region, fips, dual) == ("s3", "cn-north-1", True, True):
            continue  # botocore's table and its rules contradict each other
        client = session.create_client(of_botocore, region, config=config)
        assert client.meta.endpoint_url == found.url(name)


def test_fips_and_ipv6_are_wanted_as_aws_s_tools_are_told(tmp_path: Path) -> None:
    environment = {"AWS_USE_FIPS_ENDPOINT": "true"}
    assert (
        endpoints(environment=environment).url("ec2") == "https://ec2-fips.eu-west-1.amazonaws.com"
    )
    profiles = files(tmp_path, "[default]\nuse_dualstack_endpoint = true\n")
    assert endpoints(profiles=profiles).url("ec2") == "https://ec2.eu-west-1.api.aws"
    assert endpoints(profiles=profiles, use_dualstack_endpoint=False).is_aws("ec2")
    assert (
        endpoints(profiles=profiles)
        .at("eu-west-2")
        .url("s3")
        .startswith("https://s3.dualstack.eu-west-2.")
    )


def test_all_regions_that_aws_s_tools_know_are_known() -> None:
    session = pytest.importorskip("botocore.session").Session()
    known = {region for partition in PARTITIONS for region in partition.regions}
    theirs = {
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition)
    }
    assert theirs <= known


@pytest.mark.parametrize("region", ["eu-west-99", "il-north-12", "cn-south-1", "us-gov-north-3"])
def test_a_region_newer_than_this_program_has_its_place(region: str) -> None:
    suffix = partition_of(region).suffix
    assert endpoints(region).url("ec2") == f"https://ec2.{region}.{suffix}"
    assert is_optional(region)


@pytest.mark.parametrize(
    "region",
    [
        "nowhere",
        "",
        "eu-west-1.evil.example",
        "eu-west-1/",
        "eu-west-1\n",
        "EU-WEST-1",
        "eu-west-\u0661",
    ],
)
def test_what_is_no_region_is_refused(region: str) -> None:
    with pytest.raises(Invalid):
        partition_of(region)


def test_a_region_is_found_in_the_order_of_aws_s_tools(tmp_path: Path) -> None:
    profiles = files(tmp_path, "[default]\nregion = ap-south-1\n")
    environment = {"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-3"}
    assert endpoints(None).region == "us-east-1"
    assert endpoints(None, profiles=profiles).region == "ap-south-1"
    assert endpoints(None, environment, profiles).region == "eu-west-2"
    assert endpoints(None, environment, profiles, region="us-west-2").region == "us-west-2"
    assert endpoints("sa-east-1", environment, profiles, region="us-west-2").region == "sa-east-1"


def test_the_environment_puts_a_stand_in_in_place() -> None:
    found = endpoints(
        environment={"AWS_ENDPOINT_URL": STAND_IN + "/", "AWS_ENDPOINT_URL_S3": OTHER}
    )
    assert found.url("ec2") == STAND_IN
    assert found.url("s3") == OTHER
    assert not found.is_aws("ec2")


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_its_variable(name: str) -> None:
    variable = f"AWS_ENDPOINT_URL_{SERVICES[name].variable}"
    found = endpoints(environment={variable: STAND_IN})
    assert [service for service in SERVICES if not found.is_aws(service)] == [name]


def test_a_profile_puts_a_stand_in_in_place(tmp_path: Path) -> None:
    profiles = files(
        tmp_path,
        f"[default]\nendpoint_url = {STAND_IN}\nservices = mine\n"
        f"[services mine]\ns3 =\n  endpoint_url = {OTHER}\n",
    )
    found = endpoints(profiles=profiles)
    assert found.url("ec2") == STAND_IN
    assert found.url("s3") == OTHER
    environment = {"AWS_ENDPOINT_URL": "http://127.0.0.1:7000"}
    assert endpoints(environment=environment, profiles=profiles).url("s3").endswith(":7000")


def test_configured_stand_ins_can_be_ignored(tmp_path: Path) -> None:
    environment = {"AWS_ENDPOINT_URL": STAND_IN, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
    assert endpoints(environment=environment).is_aws("ec2")
    profiles = files(
        tmp_path, f"[default]\nendpoint_url = {STAND_IN}\nignore_configured_endpoint_urls = true\n"
    )
    assert endpoints(profiles=profiles).is_aws("ec2")
    # What this program is told itself is no such thing.
    assert not endpoints(environment=environment, endpoint_url=OTHER).is_aws("ec2")


def test_settings_go_before_the_environment() -> None:
    environment = {"AWS_ENDPOINT_URL_S3": STAND_IN}
    found = endpoints(environment=environment, endpoint_urls={"s3": OTHER})
    assert found.url("s3") == OTHER


@pytest.mark.parametrize(
    "url", ["127.0.0.1:5000", "ftp://h", "http://", "http://h:x", "http://[::1", "http://h/?q"]
)
def test_an_endpoint_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        endpoints(endpoint_url=url)


def test_a_private_cloud_may_name_its_region_as_it_likes() -> None:
    found = endpoints("RegionOne", endpoint_urls={"s3": STAND_IN})
    assert found.url("s3") == STAND_IN
    with pytest.raises(Unsupported):
        found.url("ec2")
    with pytest.raises(Invalid):
        endpoints("Region One", endpoint_urls={"s3": STAND_IN})


def test_another_region_of_the_same_partition() -> None:
    found = endpoints("eu-west-1", endpoint_urls={"s3": STAND_IN}).at("us-east-1")
    assert found.url("ec2") == "https://ec2.us-east-1.amazonaws.com"
    assert found.url("s3") == STAND_IN
    assert found.region == "us-east-1"


def test_all_regions_are_shown_as_providers() -> None:
    shown = entrypoints()
    assert DRIVER.entrypoints == shown
    assert shown["ec2"]["cn-north-1"] == "ec2.cn-north-1.amazonaws.com.cn"
    assert {"us-gov-east-1", "af-south-1", "eusc-de-east-1"} <= shown["s3"].keys()


async def test_the_cloud_tells_which_regions_an_account_may_use(session: Session) -> None:
    found = await regions(session)
    assert found["eu-west-1"] is True
    known = {region for partition in PARTITIONS for region in partition.regions}
    assert found.keys() <= known
    assert len(found) > 20
