"""A stand-in for EC2 that costs next to nothing: `python -m bench.canned PORT [ANSWERS]`.

It has so many answers, one unless told, and gives them in turn. Bound to the loopback interface
only; no signature is checked.
"""

import asyncio
import re
import sys
from collections.abc import Iterator
from itertools import cycle
from typing import cast

import uvloop

INSTANCES = 10

# One instance as EC2 describes it, shortened nowhere: what is not read must be parsed all the same.
INSTANCE = """
<item>
 <instanceId>i-0{n:016x}</instanceId><imageId>ami-0abcdef1234567890</imageId>
 <instanceState><code>16</code><name>running</name></instanceState>
 <privateDnsName>ip-10-0-0-{n}.eu-west-1.compute.internal</privateDnsName>
 <dnsName>ec2-203-0-113-{n}.eu-west-1.compute.amazonaws.com</dnsName><reason/>
 <keyName>my-key</keyName><amiLaunchIndex>{n}</amiLaunchIndex><productCodes/>
 <instanceType>t3.micro</instanceType><launchTime>2026-05-08T16:46:{n:02d}.000Z</launchTime>
 <placement><availabilityZone>eu-west-1a</availabilityZone><groupName/><tenancy>default</tenancy>
 </placement><monitoring><state>disabled</state></monitoring>
 <subnetId>subnet-0be8541f5bfa0a6a4</subnetId><vpcId>vpc-0a84ac1ccda3e1ab4</vpcId>
 <privateIpAddress>10.0.0.{n}</privateIpAddress><ipAddress>203.0.113.{n}</ipAddress>
 <sourceDestCheck>true</sourceDestCheck><groupSet><item><groupId>sg-0e4031ab1e48bb0a6</groupId>
 <groupName>web</groupName></item></groupSet><architecture>x86_64</architecture>
 <rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName>
 <blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs>
 <volumeId>vol-0{n:016x}</volumeId><status>attached</status>
 <attachTime>2026-05-08T16:46:{n:02d}.000Z</attachTime>
 <deleteOnTermination>true</deleteOnTermination></ebs></item></blockDeviceMapping>
 <virtualizationType>hvm</virtualizationType><clientToken>{n:032x}</clientToken>
 <tagSet><item><key>Name</key><value>server {n}</value></item>
 <item><key>team</key><value>blue {number:04d}</value></item></tagSet><hypervisor>xen</hypervisor>
 <networkInterfaceSet><item><networkInterfaceId>eni-0{n:016x}</networkInterfaceId>
 <subnetId>subnet-0be8541f5bfa0a6a4</subnetId><vpcId>vpc-0a84ac1ccda3e1ab4</vpcId>
 <description/><ownerId>123456789012</ownerId><status>in-use</status>
 <macAddress>02:dd:2c:5e:01:{n:02x}</macAddress><privateIpAddress>10.0.0.{n}</privateIpAddress>
 <privateDnsName>ip-10-0-0-{n}.eu-west-1.compute.internal</privateDnsName>
 <sourceDestCheck>true</sourceDestCheck><groupSet><item>
 <groupId>sg-0e4031ab1e48bb0a6</groupId><groupName>web</groupName></item></groupSet>
 <attachment><attachmentId>eni-attach-0{n:016x}</attachmentId><deviceIndex>0</deviceIndex>
 <status>attached</status><attachTime>2026-05-08T16:46:{n:02d}.000Z</attachTime>
 <deleteOnTermination>true</deleteOnTermination><networkCardIndex>0</networkCardIndex>
 </attachment><association><publicIp>203.0.113.{n}</publicIp>
 <publicDnsName>ec2-203-0-113-{n}.eu-west-1.compute.amazonaws.com</publicDnsName>
 <ipOwnerId>amazon</ipOwnerId></association><privateIpAddressesSet><item>
 <privateIpAddress>10.0.0.{n}</privateIpAddress><primary>true</primary><association>
 <publicIp>203.0.113.{n}</publicIp><ipOwnerId>amazon</ipOwnerId></association></item>
 </privateIpAddressesSet><ipv6AddressesSet/><interfaceType>interface</interfaceType></item>
 </networkInterfaceSet><ebsOptimized>true</ebsOptimized>
 <cpuOptions><coreCount>1</coreCount><threadsPerCore>2</threadsPerCore></cpuOptions>
 <capacityReservationSpecification>
 <capacityReservationPreference>open</capacityReservationPreference>
 </capacityReservationSpecification>
 <hibernationOptions><configured>false</configured></hibernationOptions>
 <enclaveOptions><enabled>false</enabled></enclaveOptions>
 <metadataOptions><state>applied</state><httpTokens>required</httpTokens>
 <httpPutResponseHopLimit>2</httpPutResponseHopLimit><httpEndpoint>enabled</httpEndpoint>
 <httpProtocolIpv6>disabled</httpProtocolIpv6><instanceMetadataTags>disabled</instanceMetadataTags>
 </metadataOptions><platformDetails>Linux/UNIX</platformDetails>
 <usageOperation>RunInstances</usageOperation><currentInstanceBootMode>uefi</currentInstanceBootMode>
</item>"""

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
SPACE = 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"'


def instances(number: int = 0) -> bytes:
    """Return an answer to DescribeInstances; of another number, each instance differs a little."""
    reservations = "".join(
        f"<item><reservationId>r-0{n:016x}</reservationId><ownerId>123456789012</ownerId>"
        f"<groupSet/><instancesSet>{INSTANCE.format(n=n, number=number)}</instancesSet></item>"
        for n in range(INSTANCES)
    )
    return (
        f"{HEAD}<DescribeInstancesResponse {SPACE}><requestId>8f7724cf</requestId>"
        f"<reservationSet>{reservations}</reservationSet></DescribeInstancesResponse>"
    ).encode()


def answer(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/xml;charset=UTF-8\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


UNKNOWN = answer(
    b"<Response><Errors><Error><Code>InvalidAction</Code><Message>not here</Message></Error>"
    b"</Errors><RequestID>x</RequestID></Response>",
    "400 Bad Request",
)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
ACTION = re.compile(rb"(?:^|&)Action=(\w+)")


class Canned(asyncio.Protocol):
    """Answers each request by the action it names."""

    def __init__(self, answers: Iterator[bytes]) -> None:
        self._answers = answers
        self._came = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._came += data
        while (end := self._came.find(b"\r\n\r\n")) >= 0:
            length = LENGTH.search(self._came, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._came) < whole:
                return
            action = ACTION.search(self._came[end + 4 : whole])
            self._came = self._came[whole:]
            assert self._transport is not None
            known = action is not None and action[1] == b"DescribeInstances"
            self._transport.write(next(self._answers) if known else UNKNOWN)


async def serve(port: int, count: int = 1) -> None:
    answers = cycle([answer(instances(number)) for number in range(count)])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Canned(answers), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(*map(int, sys.argv[1:])))
