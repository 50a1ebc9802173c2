"""Instances of Eucalyptus: those of AWS, without what needs networks or a market."""

from typing import ClassVar

from msgspec.structs import replace

from nimbi.driver.compute import Instances
from nimbi.driver.states import StateMachine
from nimbi.drivers.ec2.instances import STATES as AWS_STATES
from nimbi.drivers.ec2.instances import Ec2Instances
from nimbi.drivers.eucalyptus.hardware_profiles import profile_for
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import Instance, NewInstance

STATES = StateMachine(
    states=AWS_STATES.states,
    transitions=tuple(each for each in AWS_STATES.transitions if each.by != "resize"),
)
NOT_HERE = frozenset({"subnet", "spot", "open_metadata", "register_to_load_balancer"})


class EucalyptusInstances(Ec2Instances):
    """Instances. Their metadata is told without a token, too: the cloud knows no other way."""

    features: ClassVar[frozenset[str]] = Ec2Instances.features - NOT_HERE

    resize = Instances.resize
    screenshot = Instances.screenshot

    async def _once(self, new: NewInstance, count: int) -> tuple[Instance, ...]:
        profile = await profile_for(self.session, new.hardware_profile_id, new.sizes)
        fixed = replace(new, hardware_profile_id=profile, sizes=Sizes())
        return await super()._once(fixed, count)
