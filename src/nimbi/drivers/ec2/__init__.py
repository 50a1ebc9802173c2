"""Amazon's EC2, EBS, VPC, Elastic Load Balancing, CloudWatch and S3, and what speaks as they do."""

from nimbi.driver.interface import Driver
from nimbi.drivers.ec2.addresses import Ec2Addresses
from nimbi.drivers.ec2.backend import Backend, start
from nimbi.drivers.ec2.discovery import found_logins
from nimbi.drivers.ec2.endpoints import entrypoints
from nimbi.drivers.ec2.errors import to_error
from nimbi.drivers.ec2.firewalls import Ec2Firewalls
from nimbi.drivers.ec2.hardware_profiles import Ec2HardwareProfiles
from nimbi.drivers.ec2.images import Ec2Images
from nimbi.drivers.ec2.instances import STATES, Ec2Instances
from nimbi.drivers.ec2.keys import Ec2Keys
from nimbi.drivers.ec2.load_balancers import Ec2LoadBalancers
from nimbi.drivers.ec2.login import AccessKey, own_login
from nimbi.drivers.ec2.metrics import Ec2Metrics
from nimbi.drivers.ec2.network_interfaces import Ec2NetworkInterfaces
from nimbi.drivers.ec2.networks import Ec2Networks
from nimbi.drivers.ec2.objects.blobs import S3Blobs
from nimbi.drivers.ec2.objects.buckets import S3Buckets
from nimbi.drivers.ec2.realms import Ec2Realms
from nimbi.drivers.ec2.session import Session, narrow, open_session
from nimbi.drivers.ec2.settings import Settings
from nimbi.drivers.ec2.snapshots import Ec2Snapshots
from nimbi.drivers.ec2.subnets import Ec2Subnets
from nimbi.drivers.ec2.volumes import Ec2Volumes

DRIVER: Driver[Backend, Session] = Driver(
    name="ec2",
    title="EC2",
    settings=Settings,
    start=start,
    open=open_session,
    collections=(
        Ec2Realms,
        Ec2HardwareProfiles,
        Ec2Images,
        Ec2Instances,
        Ec2Keys,
        Ec2Firewalls,
        Ec2Addresses,
        Ec2Networks,
        Ec2Subnets,
        Ec2NetworkInterfaces,
        Ec2LoadBalancers,
        Ec2Volumes,
        Ec2Snapshots,
        S3Buckets,
        S3Blobs,
        Ec2Metrics,
    ),
    credentials=AccessKey,
    to_error=to_error,
    instance_states=STATES,
    own_login=own_login,
    found_logins=found_logins,
    narrow=narrow,
    entrypoints=entrypoints(),
)
