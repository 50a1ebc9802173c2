"""A server that gives the answers it was told, in AWS's form, and keeps what it was asked."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.targets.exchange import Asked, Reply
from tests.targets.proxy import error_reply
from tests.targets.service_models import answer


@dataclass(frozen=True)
class Refusal:
    """An error that AWS answers."""

    code: str
    message: str = "Told by the test."
    status: int = 400


@dataclass
class Canned:
    """Answers of EC2 by action, as boto3 gives them; the last one is given again and again."""

    answers: defaultdict[str, list[Mapping[str, Any] | Refusal]] = field(
        default_factory=lambda: defaultdict(list)
    )
    asked: list[Asked] = field(default_factory=list)

    def tell(self, action: str, *told: Mapping[str, Any] | Refusal) -> None:
        """Set what comes of an action, call by call."""
        self.answers[action] = list(told)

    @property
    def actions(self) -> list[str]:
        return [asked.action for asked in self.asked]

    def form_of(self, action: str, call: int = 0) -> dict[str, str]:
        """Return the parameters of a call of an action."""
        return [asked.form for asked in self.asked if asked.action == action][call]

    async def __call__(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        told = self.answers[asked.action]
        if not told:
            return error_reply(asked, 400, "InvalidAction", f"{asked.action} was not told")
        now = told.pop(0) if len(told) > 1 else told[0]
        if isinstance(now, Refusal):
            return error_reply(asked, now.status, now.code, now.message)
        return Reply(200, answer("ec2", asked.action, now))
