"""A cloud of Eucalyptus in front of moto: its paths, its own words, and what it refuses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from tests.targets.exchange import Asked, Handler, Reply, forwarding, served
from tests.targets.proxy import error_reply

COMPUTE, WALRUS = "/services/Eucalyptus", "/services/Walrus"

# Parameters that it knows, by their first part. Source: the request messages of Eucalyptus 4.
KNOWN = {
    "AllocateAddress": "",
    "AssociateAddress": "PublicIp InstanceId",
    "AttachVolume": "VolumeId InstanceId Device",
    "AuthorizeSecurityGroupIngress": "GroupId GroupName IpPermissions",
    "CreateImage": "InstanceId Name Description NoReboot BlockDeviceMapping",
    "CreateKeyPair": "KeyName",
    "CreateSecurityGroup": "GroupName GroupDescription VpcId",
    "CreateSnapshot": "VolumeId Description",
    "CreateTags": "ResourceId Tag",
    "CreateVolume": "Size SnapshotId AvailabilityZone VolumeType Iops Encrypted",
    "DeleteKeyPair": "KeyName",
    "DeleteSecurityGroup": "GroupId GroupName",
    "DeleteSnapshot": "SnapshotId",
    "DeleteVolume": "VolumeId",
    "DeregisterImage": "ImageId",
    "DescribeAddresses": "PublicIp AllocationId Filter",
    "DescribeAvailabilityZones": "ZoneName Filter",
    "DescribeImages": "ImageId Owner ExecutableBy Filter",
    "DescribeInstanceTypes": "InstanceType Verbose Availability",
    "DescribeInstances": "InstanceId Filter",
    "DescribeKeyPairs": "KeyName Filter",
    "DescribeSecurityGroups": "GroupId GroupName Filter",
    "DescribeSnapshots": "SnapshotId Owner RestorableBy Filter",
    "DescribeVolumes": "VolumeId Filter",
    "DetachVolume": "VolumeId InstanceId Device Force",
    "DisassociateAddress": "PublicIp AssociationId",
    "GetConsoleOutput": "InstanceId",
    "ImportKeyPair": "KeyName PublicKeyMaterial",
    "RebootInstances": "InstanceId",
    "RegisterImage": "Name Description ImageLocation Architecture RootDeviceName "
    "BlockDeviceMapping VirtualizationType",
    "ReleaseAddress": "PublicIp AllocationId",
    "RevokeSecurityGroupIngress": "GroupId GroupName IpPermissions",
    "RunInstances": "ImageId MinCount MaxCount KeyName SecurityGroupId SecurityGroup UserData "
    "InstanceType Placement BlockDeviceMapping Monitoring ClientToken",
    "StartInstances": "InstanceId",
    "StopInstances": "InstanceId Force",
    "TerminateInstances": "InstanceId",
}
TYPES = (
    "<DescribeInstanceTypesResponse><instanceTypeDetails>"
    "<item><name>m1.small</name><cpu>1</cpu><disk>5</disk><memory>256</memory></item>"
    "<item><name>m1.large</name><cpu>2</cpu><disk>10</disk><memory>512</memory></item>"
    "</instanceTypeDetails></DescribeInstanceTypesResponse>"
)


@dataclass
class Eucalyptus:
    """A handler in front of moto. `asked` are the requests that came to the compute service."""

    carry_out: Handler
    asked: list[Asked] = field(default_factory=list)

    async def __call__(self, asked: Asked) -> Reply:
        if asked.target.startswith(WALRUS):
            return await self.carry_out(replace(asked, target=asked.target[len(WALRUS) :] or "/"))
        if asked.target.rstrip("/") != COMPUTE:
            return Reply(404, b"<html>Service not found</html>")
        self.asked.append(asked)
        return await self._compute(asked)

    async def _compute(self, asked: Asked) -> Reply:
        known = KNOWN.get(asked.action)
        if known is None:
            return error_reply(asked, 400, "InvalidAction", f"no binding of {asked.action}")
        parameters = {name.partition(".")[0] for name in asked.form} - {"Action", "Version"}
        if young := parameters - set(known.split()):
            return error_reply(asked, 400, "InvalidParameterValue", f"Failed to bind {young}")
        if asked.action == "DescribeInstanceTypes":
            return Reply(body=TYPES.encode())
        return await self.carry_out(replace(asked, target="/"))


@asynccontextmanager
async def cloud_before(moto: str) -> AsyncIterator[tuple[str, Eucalyptus]]:
    """Give the host and port of the cloud, and the cloud itself."""
    async with forwarding(moto) as forward:
        eucalyptus = Eucalyptus(forward)
        async with served(eucalyptus) as url:
            yield url.partition("://")[2], eucalyptus
