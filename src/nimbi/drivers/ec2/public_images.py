"""Public images that a list shows unasked: the newest of each of a few kinds, not all 70,000."""

import msgspec


class PublicImages(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Images of one kind, of which the newest is shown.

    `owner` is an account's number or `amazon`; in `name`, `*` is any text and `?` any character.
    `partition` None is each of AWS's partitions.
    """

    owner: str
    name: str
    architecture: str = "x86_64"
    partition: str | None = None


def _both(owner: str, name: str, x86: str, arm: str, partition: str) -> tuple[PublicImages, ...]:
    return tuple(
        PublicImages(owner=owner, name=name.format(word), architecture=of, partition=partition)
        for word, of in ((x86, "x86_64"), (arm, "arm64"))
    )


_UBUNTU = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{}-server-*"
_DEBIAN = "debian-13-{}-2*"

# Sources: https://docs.aws.amazon.com/linux/al2023/ug/naming-and-versioning.html
# https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/ (owners)
# https://wiki.debian.org/Cloud/AmazonEC2Image
DEFAULT: tuple[PublicImages, ...] = (
    PublicImages(owner="amazon", name="al2023-ami-2023.*-x86_64"),
    PublicImages(owner="amazon", name="al2023-ami-2023.*-arm64", architecture="arm64"),
    *_both("099720109477", _UBUNTU, "amd64", "arm64", "aws"),
    *_both("837727238323", _UBUNTU, "amd64", "arm64", "aws-cn"),
    *_both("513442679011", _UBUNTU, "amd64", "arm64", "aws-us-gov"),
    *_both("136693071363", _DEBIAN, "amd64", "arm64", "aws"),
)
