"""Where AWS's services are: partitions, regions, and what stands in for them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from nimbi.drivers.ec2.profiles import Profiles
from nimbi.drivers.ec2.settings import Settings
from nimbi.model.errors import Invalid, Unsupported


@dataclass(frozen=True)
class Service:
    """One of AWS's services. `scope` is its name in signatures, `variable` that of its endpoint.

    `host` is before the region; `version` is the API's, "" for one without.
    """

    host: str
    scope: str
    variable: str
    version: str = ""


# Source: https://docs.aws.amazon.com/sdkref/latest/guide/ss-endpoints-table.html (variables).
SERVICES: Mapping[str, Service] = {
    "ec2": Service("ec2", "ec2", "EC2", "2016-11-15"),
    "elb": Service(
        "elasticloadbalancing",
        "elasticloadbalancing",
        "ELASTIC_LOAD_BALANCING_V2",
        "2015-12-01",
    ),
    "cloudwatch": Service("monitoring", "monitoring", "CLOUDWATCH", "2010-08-01"),
    "s3": Service("s3", "s3", "S3"),
    "sts": Service("sts", "sts", "STS", "2011-06-15"),
    "sso": Service("portal.sso", "awsssoportal", "SSO"),
    "sso_oidc": Service("oidc", "sso-oauth", "SSO_OIDC"),
}


@dataclass(frozen=True)
class Partition:
    """Regions with logins of their own. `pattern` knows regions newer than this program, too.

    Hosts end in `suffix`, those that have IPv6, too, in `dual_suffix`. `home` answers questions
    about the whole partition. `opt_in` are the regions that an account has
    to ask for; all of them are in `regions`, too.
    """

    id: str
    pattern: re.Pattern[str]
    suffix: str
    dual_suffix: str
    home: str
    regions: tuple[str, ...]
    opt_in: frozenset[str] = frozenset()


_OPT_IN = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "me-west-1",
    "mx-central-1",
    "sa-west-1",
]
_DEFAULT = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
]

# Source: https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html and
# aws-partitions.html; the isolated ones from the endpoints that AWS's tools are shipped with.
PARTITIONS: tuple[Partition, ...] = (
    Partition(
        "aws",
        re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]+"),
        "amazonaws.com",
        "api.aws",
        "us-east-1",
        tuple(sorted(_DEFAULT + _OPT_IN)),
        frozenset(_OPT_IN),
    ),
    Partition(
        "aws-cn",
        re.compile(r"cn-[a-z]+-[0-9]+"),
        "amazonaws.com.cn",
        "api.amazonwebservices.com.cn",
        "cn-north-1",
        ("cn-north-1", "cn-northwest-1"),
    ),
    Partition(
        "aws-us-gov",
        re.compile(r"us-gov-[a-z]+-[0-9]+"),
        "amazonaws.com",
        "api.aws",
        "us-gov-west-1",
        ("us-gov-east-1", "us-gov-west-1"),
    ),
    Partition(
        "aws-eusc",
        re.compile(r"eusc-de-[a-z]+-[0-9]+"),
        "amazonaws.eu",
        "api.amazonwebservices.eu",
        "eusc-de-east-1",
        ("eusc-de-east-1",),
    ),
    Partition(
        "aws-iso",
        re.compile(r"us-iso-[a-z]+-[0-9]+"),
        "c2s.ic.gov",
        "api.aws.ic.gov",
        "us-iso-east-1",
        ("us-iso-east-1", "us-iso-west-1"),
    ),
    Partition(
        "aws-iso-b",
        re.compile(r"us-isob-[a-z]+-[0-9]+"),
        "sc2s.sgov.gov",
        "api.aws.scloud",
        "us-isob-east-1",
        ("us-isob-east-1", "us-isob-west-1"),
    ),
    Partition(
        "aws-iso-e",
        re.compile(r"eu-isoe-[a-z]+-[0-9]+"),
        "cloud.adc-e.uk",
        "api.cloud-aws.adc-e.uk",
        "eu-isoe-west-1",
        ("eu-isoe-west-1",),
    ),
    Partition(
        "aws-iso-f",
        re.compile(r"us-isof-[a-z]+-[0-9]+"),
        "csp.hci.ic.gov",
        "api.aws.hci.ic.gov",
        "us-isof-south-1",
        ("us-isof-east-1", "us-isof-south-1"),
    ),
)

DEFAULT_REGION = "us-east-1"
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
IGNORE_VARIABLE = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
USUAL_IN_GOVCLOUD = frozenset({"ec2", "elb", "cloudwatch", "sts"})
PRIVATE_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
URL_VARIABLE = "AWS_ENDPOINT_URL"


@dataclass(frozen=True)
class Endpoints:
    """Where one session calls: `urls` by service, without a slash at the end.

    `is_aws` is whether a service is at AWS itself, and not at what stands in for it.
    """

    region: str
    partition: str
    urls: Mapping[str, str]
    stand_ins: frozenset[str] = frozenset()
    versions: Mapping[str, str] = field(
        default_factory=lambda: {name: service.version for name, service in SERVICES.items()}
    )

    def url(self, service: str) -> str:
        """Return where to call a service. Raises Unsupported when that is nowhere."""
        try:
            return self.urls[service]
        except KeyError:
            raise Unsupported(f"no endpoint of {SERVICES[service].variable} is set") from None

    def at(self, region: str) -> "Endpoints":
        """Return the same services at another region of the same partition."""
        urls = {
            name: url if name in self.stand_ins else url.replace(f".{self.region}.", f".{region}.")
            for name, url in self.urls.items()
        }
        return replace(self, region=region, urls=urls)

    def is_aws(self, service: str) -> bool:
        """Return whether calls to a service go to AWS, and not to what stands in for it."""
        return service not in self.stand_ins


def partition_of(region: str) -> Partition:
    """Return the partition that a region is in. Raises Invalid for what is no region's name."""
    for partition in PARTITIONS:
        if region in partition.regions:
            return partition
    for partition in PARTITIONS:
        if partition.pattern.fullmatch(region):
            return partition
    raise Invalid(f"AWS has no region {region!r}")


def is_optional(region: str) -> bool:
    """Return whether an account may have to ask for a region; those that are new are such."""
    try:
        partition = partition_of(region)
    except Invalid:
        return False
    return region in partition.opt_in or region not in partition.regions


def endpoints_of(
    provider: str | None,
    settings: Settings,
    environment: Mapping[str, str],
    profiles: Profiles,
) -> Endpoints:
    """Return where a session at a region calls, or at the default region when None is given.

    Raises Invalid for what is no region, and for a stand-in's address that is no http(s) URL.
    """
    region = provider or default_region(settings, environment, profiles)
    stand_ins = {
        name: _checked(url)
        for name in SERVICES
        if (url := _stand_in(name, settings, environment, profiles))
    }
    try:
        partition = partition_of(region)
    except Invalid:
        # A private cloud may call its region as it likes, and has only what is named.
        if not stand_ins or not PRIVATE_REGION.fullmatch(region):
            raise
        return Endpoints(region, PARTITIONS[0].id, stand_ins, frozenset(stand_ins))
    fips = _wanted("fips", settings.use_fips_endpoint, environment, profiles)
    dual = _wanted("dualstack", settings.use_dualstack_endpoint, environment, profiles)
    urls = {name: _url(name, region, partition, fips=fips, dual=dual) for name in SERVICES}
    return Endpoints(region, partition.id, urls | stand_ins, frozenset(stand_ins))


def _wanted(
    kind: str, own: bool | None, environment: Mapping[str, str], profiles: Profiles
) -> bool:
    """Return whether endpoints of a kind are wanted: those of FIPS 140, or with IPv6."""
    if own is not None:
        return own
    name = f"use_{kind}_endpoint"
    told = environment.get(f"AWS_{name.upper()}") or profiles.current_or_nothing.get(name, "")
    return told.lower() == "true"


def _url(name: str, region: str, partition: Partition, *, fips: bool, dual: bool) -> str:
    host, suffix = SERVICES[name].host, partition.suffix
    # The usual hosts of GovCloud are such, and have no other name.
    if fips and (dual or partition.id != "aws-us-gov" or name not in USUAL_IN_GOVCLOUD):
        host += "-fips"
    if dual and name == "s3":
        host += ".dualstack"
    elif dual:
        suffix = partition.dual_suffix
    return f"https://{host}.{region}.{suffix}"


def default_region(settings: Settings, environment: Mapping[str, str], profiles: Profiles) -> str:
    """Return the region of a login that names none."""
    from_environment = (environment[name] for name in REGION_VARIABLES if environment.get(name))
    return (
        settings.region
        or next(from_environment, None)
        or profiles.current_or_nothing.get("region")
        or DEFAULT_REGION
    )


def _stand_in(
    name: str, settings: Settings, environment: Mapping[str, str], profiles: Profiles
) -> str | None:
    """Return the address that stands in for a service, by the order of AWS's own tools.

    Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    """
    if own := settings.endpoint_urls.get(name) or settings.endpoint_url:
        return own
    profile = profiles.current_or_nothing
    ignored = environment.get(IGNORE_VARIABLE) or profile.get("ignore_configured_endpoint_urls")
    if (ignored or "").lower() == "true":
        return None
    variable = SERVICES[name].variable
    return (
        environment.get(f"{URL_VARIABLE}_{variable}")
        or environment.get(URL_VARIABLE)
        or profiles.service(variable.lower()).get("endpoint_url")
        or profile.get("endpoint_url")
    )


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_http = parts.scheme in {"http", "https"} and not parts.query and not parts.fragment
        is_good = is_http and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise Invalid("the endpoint of an AWS service must be a URL: http://127.0.0.1:5000")
    return url.rstrip("/")


def entrypoints() -> dict[str, dict[str, str]]:
    """Return the hosts of all regions that this program knows, by service and region."""
    return {
        name: {
            region: f"{SERVICES[name].host}.{region}.{partition.suffix}"
            for partition in PARTITIONS
            for region in partition.regions
        }
        for name in ("ec2", "elb", "cloudwatch", "s3")
    }
