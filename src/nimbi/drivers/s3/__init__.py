"""Whatever speaks S3: Ceph, MinIO, Swift, object stores of all makes, and AWS's own."""

from nimbi.driver.interface import Driver
from nimbi.driver.states import StateMachine
from nimbi.drivers.ec2.backend import Backend, start
from nimbi.drivers.ec2.errors import to_error
from nimbi.drivers.ec2.login import AccessKey, own_login
from nimbi.drivers.ec2.objects.blobs import S3Blobs
from nimbi.drivers.ec2.objects.buckets import S3Buckets
from nimbi.drivers.s3.places import urls_of
from nimbi.drivers.s3.session import Session, open_session
from nimbi.drivers.s3.settings import Settings

DRIVER: Driver[Backend, Session] = Driver(
    name="s3",
    title="S3",
    settings=Settings,
    credentials=AccessKey,
    start=start,
    open=open_session,
    collections=(S3Buckets, S3Blobs),
    to_error=to_error,
    instance_states=StateMachine(states=(), transitions=()),
    own_login=own_login,
    urls_of=urls_of,
)
