"""Preflight of one target's header: does its inlet belong to our organisation, and know the schema?

The inlet is asked to validate one message at once (``syncValidation``) that no XDM schema lets
pass: a message that is refused so is dropped, and nothing of it is kept.
"""

from datetime import UTC, datetime

from processor.errors import ProcessorError
from processor.experience_platform.answers import RequestRefused, read_answer
from processor.experience_platform.client import Collection
from processor.experience_platform.envelope import Envelope
from processor.experience_platform.exchange import NoReply
from processor.experience_platform.ims import Token
from processor.operations.checks.finding import Finding, bad, bad_by, ok, skipped, warning
from processor.settings import ExperiencePlatformSettings, TargetSettings

NO_ENTITY = b'{"_id":0,"timestamp":0,"identityMap":0,"processorCheck":true}'
"""Wrong four times: an unknown key, and three known ones of another type than XDM gives them."""

_WRONG_ORG = "wrong ims org"
_UNKNOWN_FORMAT = "unknown xdm format"
_UNPROVEN = "so its organisation shows with the first event"


async def organisation(
    collection: Collection,
    platform: ExperiencePlatformSettings,
    name: str,
    target: TargetSettings,
    token: Token,
) -> Finding:
    """Whether an inlet that answers takes our organisation and the target's schema.

    Args:
        collection: the inlets.
        platform: the table ``[experience_platform]``.
        name: of the target.
        target: its settings.
        token: that the inlet has taken.

    Source: domain facts 3.4 to 3.6: ``Message has an absent or wrong ims org in the header``.
    """
    subject = f"organisation at {name}"
    if target.operation == "merge":
        return skipped(subject, f"An upsert cannot be validated without being sent, {_UNPROVEN}.")
    try:
        message = Envelope(platform, target).wrap(NO_ENTITY)
    except ProcessorError as error:
        return bad_by(subject, error)
    reply = await collection.validate(name, message, token=token)
    if isinstance(reply, NoReply):
        return skipped(subject, f"The inlet did not say ({reply.why}), {_UNPROVEN}.")
    answer = read_answer(reply.status, reply.headers, reply.body, sent=1, now=datetime.now(UTC))
    if 200 <= reply.status < 300:  # noqa: PLR2004 - HTTP's own borders
        return warning(
            subject,
            "The inlet took a message that no XDM schema lets pass: it does not validate.",
            "Make the connection one for XDM data, or see what its dataflow makes of messages.",
        )
    if not isinstance(answer, RequestRefused):
        return skipped(
            subject,
            f"The inlet validates nothing before it takes it ({reply.status}), {_UNPROVEN}.",
        )
    return _refused(subject, str(answer.error))


def _refused(subject: str, says: str) -> Finding:
    if _WRONG_ORG in says.lower():
        return bad(
            subject,
            "The inlet belongs to another organisation.",
            "Correct experience_platform.org_id, or the target's inlet_id.",
        )
    if _UNKNOWN_FORMAT in says.lower():
        return bad(
            subject,
            "The inlet does not know the schema for this dataset.",
            "Check schema_id, dataset_id and flow_id of the target; a new dataflow takes five "
            "minutes, a changed schema fifteen.",
        )
    return ok(subject, "its inlet takes organisation and schema")
