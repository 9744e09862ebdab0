"""The words of docs/events.md that no schema holds; in Markdown."""

from collections.abc import Mapping

HEAD = """\
# Events

Every event that is mapped, where its fields go in XDM, and what is not sent and why. Made from the Avro schemas and the
mapping sets in `schemas/` (`python -m tests.golden.events_page`); `schemas/<event>/examples/` shows each with what comes
out, `processor map FILE --explain` does so with yours. All of it is data that you can replace: [mapping.md](mapping.md).

The rules behind it:

- Each event is an ExperienceEvent of its own: `eventType` is `loyalty.` and the event's name, and `commerce.purchases` or
  `commerce.backofficeCreditMemoIssued` for a bill that was added. `timestamp` is when it happened, and Capillary's
  `createdAt` where the event does not say.
- **What one event added never overwrites a total.** Only totals and whole states go to records: balances to `loyalty`, the
  tier to `tier`, person and contact to `profile`.
- **Each kind of state has a target, and so a dataset, of its own**, because a whole record replaces the one before it. A
  record of state without its state (a redemption that does not tell the balance) is not sent.
- What has no standard XDM field stands below `_tenant`, which is your tenant's namespace.
- Ids are texts in XDM's own fields; a date that goes to a date-time is midnight in `mapping.time_zone`.
- What is no value is left out, and costs nothing else: a blank text that should be a date, a name or a currency, a time of
  0, an e-mail that is none.
- Names and contacts go to `profile` only. A message of an event says whom it is about by its `identityMap`: the customer
  id, and e-mail and phone where Capillary sends usable ones and `[identity]` names their namespaces.
"""

TARGETS = """
## Targets

A target that the settings do not name is not sent. Of a record of state only what the event tells is sent: `pointsRedeemed`
tells the balance and not the points ever issued. Where the dataset has to keep the rest, set
`operation = "merge"` for the target (an upsert into Profile, which needs a dataflow for raw data); with `create` a record
stands for the whole. A customer with several programmes has the balance and the tier of the programme whose event came
last, its `programId` beside it.
"""

NOWHERE = """
These fields are in no message:

| field | why |
| --- | --- |
| `eventName`, `eventId` | they are the `eventType` and the `_id` |
| `loyaltyEventId`, `traceAttributes` | ids for Capillary's support; the record and its dead letter hold them, and `refId` and `apiRequestId` lead there |
| `data.entityInformation` and those inside | the customer id again |
| `cardexternalid` of `customerIdentifiers` | an id of the card in another system: says nothing that its number does not |
| `firstName`, `lastName`, card numbers and `externalId` of `customerIdentifiers`, in messages of events | personal data: `profile` has them; the external id becomes an identity when `identity.external_id` names a namespace |
| channels of `customerIdentifiers` (`wechat`, `facebook`, …) | each would need an identity namespace of yours, and links people for good; a row of your own can send them |
| `triggeringActivity.additionalAttributes`, `requestId` | anything may stand there, and some of it is typed by staff |
| `enteredBy.id`, `user`, names of tills, other ids of stores | staff and ids that only Capillary can read; the codes of till and store are sent |
| `loyaltyProgramDetails` but for its name, in messages of events | the same in each message; `loyalty` has it, and tiers give their names |
"""

DELETED = """
### When a customer is deleted

Capillary tells that a customer's personal data was deleted by this event, with `customerStatus.currentLabel` = `Deleted`.
It may still carry names, contacts and old values of fields. **None of it is sent, to no target**: before any mapping set,
ours or yours, reads the event, all is taken out but the envelope, the customer id, the status and `enteredAt`
(`processor/mapping/deletion.py`). The `identityMap` holds the customer id alone, so no e-mail or phone is linked to it
again. `profile` gets a record with the status and nothing else.

That deletes nothing that Experience Platform holds already, and the streaming API cannot. Adobe has two ways, and they are
yours to take, by the customer id in the namespace of `identity.primary`:

- the [Privacy Service](https://experienceleague.adobe.com/en/docs/experience-platform/privacy/home) for what a person asks
  for under a law such as the GDPR;
- a [record delete](https://experienceleague.adobe.com/en/docs/experience-platform/data-lifecycle/ui/record-delete) of
  Advanced Data Lifecycle Management (*Data Lifecycle*, or `POST /data/core/hygiene/workorder`) for cleaning and
  minimising.

Delete first in Capillary, then there: a record that is replayed afterwards, from the topic or from dead letters, is sent as
it was, contacts and all. Records in Kafka, dead letters among them, stay until their topic's retention ends: let it be
shorter than your deadline.
"""

NOTES: Mapping[str, str] = {
    "CouponIssue": """\
One event names many customers, so it gives a message for each coupon, whose `_id` ends in its number. `IssueBulkCoupon`
arrives under this name. The code is sent: it is what the customer has to be shown.""",
    "CouponRedeem": """\
The bill is named, and has no amounts: `transactionAdded` counts them.""",
    "badgeEarned": """\
`earnConstraints` is not in the Avro schema, because Capillary does not document what its elements are.""",
    "customerUpdated": """\
Capillary does not promise that an update holds the whole customer, so `operation = "merge"` suits `profile` best. Which
fields changed is told by their names; their values are personal data and go to `profile` only, as the event's own fields.
Where and when a customer registered is `customerAdded`'s to say.""",
    "customerAdded": """\
The registration is an event, and person and contact are a record of `profile`.""",
    "loyaltyCustomerMerge": """\
The survivor is primary, and the victim's customer id stands beside it in the `identityMap`: that links the two in the
identity graph, as they are one person now. **A link cannot be taken back.** If your graph must not follow Capillary's merges,
take the key `merged` out of the mapping set. Of the victim nothing but the customer id is sent: e-mail and phone may be
somebody else's by now. The tier is in the message only: the event knows neither its name nor its end.""",
    "pointsExpired": """\
`loyalty.expiredPoints` is a total, and the event does not tell it; nor does it tell the balance.""",
    "pointsExpiryReminder": """\
It does not go to `loyalty.pointsExpiration` of the profile: such a record would stand for all that expires, and would have
no balance.""",
    "pointsRedeemed": """\
The balance is told by programme, so `loyalty` gets a record for each.""",
    "rewardIssued": """\
The code of our own coupon is sent, the voucher of another company is not.""",
    "transactionAdded": """\
A bill of the type `REGULAR` is a purchase; a `RETURN` is a refund of a positive amount and never a purchase; of another
type neither. There are no line items in the event, so there are no `productListItems`.""",
    "transactionUpdated": """\
An update counts nothing again: it is no purchase and no refund, and the bill's amounts stand below `_tenant` only, so that a
sum over `commerce.order` stays right however often a bill is updated. `commerce.order` says which bill it is.""",
}
