"""One request to a service of AWS, and what its answer says."""

from nimbi.drivers.ec2.errors import AwsError
from nimbi.drivers.ec2.query import text
from nimbi.model.errors import CloudUnavailable, Invalid, UnknownOutcome
from nimbi.wire.http import (
    Answer,
    AnswerLost,
    HttpClient,
    NotReached,
    Request,
    TooLarge,
    Unsendable,
)
from nimbi.wire.times import date_of, seconds
from nimbi.wire.xml_read import Element, MalformedXml, parse

# Source: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html: reading, changing
# and starting things have limits of their own. A budget that is closed begins at half of them.
# Those of S3 are much higher, see
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
READ, CHANGE, LAUNCH = "read", "change", "launch"
OBJECT_READ, OBJECT_CHANGE = "object read", "object change"
FIRST_PER_S = {READ: 10.0, CHANGE: 2.5, LAUNCH: 1.0, OBJECT_READ: 1000.0, OBJECT_CHANGE: 500.0}
READING = ("Describe", "Get", "List", "Search")
LAUNCHING = frozenset({"RunInstances", "StartInstances", "CreateFleet", "CreateImage", "CopyImage"})


def family_of(action: str) -> str:
    """Return which of AWS's limits an action counts for."""
    if action.startswith(READING):
        return READ
    return LAUNCH if action in LAUNCHING else CHANGE


async def sent(http: HttpClient, request: Request, *, changes: bool) -> Answer:
    """Return the answer to a request. Raises CloudUnavailable, UnknownOutcome, Invalid."""
    try:
        return await http.send(request)
    except NotReached as error:
        raise CloudUnavailable(f"AWS could not be reached: {error}") from error
    except (AnswerLost, TooLarge) as error:
        raise lost(str(error), changes=changes) from error
    except Unsendable as error:
        raise Invalid(str(error)) from error


def lost(why: str, *, changes: bool) -> CloudUnavailable | UnknownOutcome:
    """Return the error of an answer that did not come, or not wholly."""
    if changes:
        return UnknownOutcome(f"AWS may have done it, its answer was lost: {why}")
    return CloudUnavailable(f"AWS gave no whole answer: {why}")


def read(answer: Answer, *, changes: bool) -> Element:
    """Return the root of an answer. Raises AwsError for an error, as `lost` when it is none."""
    if answer.status >= 300:
        raise aws_error(answer, changes=changes)
    try:
        return parse(answer.body)
    except MalformedXml as error:
        raise lost(str(error), changes=changes) from error


def aws_error(answer: Answer, *, changes: bool = False) -> AwsError:
    """Return what an answer with a status from 300 says, in the shape of EC2, S3 or the others."""
    wait_s = seconds(answer.headers.get("Retry-After"))
    clock = date_of(answer.headers.get("Date"))
    code, message, id, status = "", None, None, answer.status
    try:
        root = parse(answer.body)
        error = next(root.iter("Error"), root)
        code, message = text(error, "Code") or "", text(error, "Message")
        id = text(root, "RequestID") or text(root, "RequestId")
    except MalformedXml:
        # Nobody knows what an error said that was cut short: it counts as an answer that got lost.
        if answer.body and "xml" in answer.headers.get("Content-Type", ""):
            status = max(status, 502)
    message = message or f"status {answer.status}"
    return AwsError(code, message, status, id, wait_s, clock, changes=changes)
