"""Eucalyptus: a private cloud that speaks as EC2 and S3 do, with networking as EC2 began."""

from nimbi.driver.blobs import Blobs, Buckets
from nimbi.driver.capabilities import INTERFACES
from nimbi.driver.interface import Driver
from nimbi.drivers.ec2.backend import Backend, start
from nimbi.drivers.ec2.errors import to_error
from nimbi.drivers.ec2.login import AccessKey, own_login
from nimbi.drivers.ec2.objects.blobs import S3Blobs
from nimbi.drivers.ec2.objects.buckets import S3Buckets
from nimbi.drivers.ec2.realms import Ec2Realms
from nimbi.drivers.ec2.snapshots import Ec2Snapshots
from nimbi.drivers.eucalyptus.addresses import EucalyptusAddresses
from nimbi.drivers.eucalyptus.firewalls import EucalyptusFirewalls
from nimbi.drivers.eucalyptus.hardware_profiles import EucalyptusHardwareProfiles
from nimbi.drivers.eucalyptus.images import EucalyptusImages
from nimbi.drivers.eucalyptus.instances import STATES, EucalyptusInstances
from nimbi.drivers.eucalyptus.keys import EucalyptusKeys
from nimbi.drivers.eucalyptus.places import urls_of
from nimbi.drivers.eucalyptus.session import Session, open_session
from nimbi.drivers.eucalyptus.settings import Settings
from nimbi.drivers.eucalyptus.volumes import EucalyptusVolumes

OF_WALRUS = frozenset({Buckets.name, Blobs.name})


def narrow(session: Session) -> frozenset[str]:
    """Return the collections of those services that the provider names."""
    everything = frozenset(interface.name for interface in INTERFACES)
    found: frozenset[str] = frozenset()
    if "ec2" in session.endpoints.urls:
        found |= everything - OF_WALRUS
    if "s3" in session.endpoints.urls:
        found |= OF_WALRUS
    return found


DRIVER: Driver[Backend, Session] = Driver(
    name="eucalyptus",
    title="Eucalyptus",
    settings=Settings,
    credentials=AccessKey,
    start=start,
    open=open_session,
    collections=(
        Ec2Realms,
        EucalyptusHardwareProfiles,
        EucalyptusImages,
        EucalyptusInstances,
        EucalyptusKeys,
        EucalyptusFirewalls,
        EucalyptusAddresses,
        EucalyptusVolumes,
        Ec2Snapshots,
        S3Buckets,
        S3Blobs,
    ),
    to_error=to_error,
    instance_states=STATES,
    own_login=own_login,
    urls_of=lambda provider: urls_of(provider).values(),
    narrow=narrow,
)
