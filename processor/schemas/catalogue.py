"""Every event name that Capillary documents, so that unmapped and unknown are told apart."""

DOCUMENTED_EVENTS: frozenset[str] = frozenset(
    {
        # customers and groups
        "customerAdded",
        "customerUpdated",
        "customerSubscription",
        "loyaltyCustomerMerge",
        "groupCreated",
        "groupUpdated",
        "groupMemberAdded",
        "groupMemberRemoved",
        "pointsContributionToGroup",
        # transactions
        "transactionAdded",
        "transactionUpdated",
        "transactionRejected",
        "rejectedTransactionRetrigger",
        "retroBillAdded",
        "notInterestedBillAdded",
        # points
        "pointsIssued",
        "pointsRedeemed",
        "pointsExpired",
        "pointsExpiryReminder",
        "pointsExpiryChange",
        "singlePointsExpiryUpdated",
        "issuedPointsReversed",
        "redeemedPointsReversed",
        "manualPointsAdjustment",
        "pointsTransferredInitiated",
        "pointsTransferredReceived",
        "promisedToCurrentPointsConversion",
        "alternateCurrenciesIssued",
        "issuedAlternateCurrenciesReversed",
        "promisedToCurrentAlternateCurrencyConversion",
        # tiers
        "tierUpgraded",
        "tierDowngraded",
        "tierRenewed",
        "tierDowngradeReminder",
        # promotions
        "promotionCreated",
        "promotionUpdated",
        "promotionIssued",
        "promotionEarned",
        "revokeIssuedPromotion",
        "revokeEarnedPromotion",
        "cartPromotionIssued",
        "cartPromotionEarned",
        "cartPromotionRedeemed",
        "cartPromotionRevoked",
        # rewards and incentives
        "rewardCreated",
        "rewardUpdated",
        "rewardIssued",
        "rewardExpiryReminder",
        "issueRewardFailure",
        "updateRewardTransaction",
        "CouponIssue",
        "CouponRedeem",
        "IssueBulkCoupon",
        "badgeEarned",
        # milestones and streaks
        "streakCustomerUnEnrolment",
        # partner programmes and others
        "partnerProgramLinked",
        "partnerProgramDelinked",
        "partnerProgramUpdated",
        "supplementaryMembershipExpiryReminder",
        "cardUpdated",
        "requestUpdated",
        "requestWorkflowEvent",
    }
)
"""The names as Capillary spells them.

Source: Capillary's event notification pages (customer, rewards, loyalty, cart promotions, tier,
partner programme, incentives, cards).
"""

DOCUMENTED_FAMILIES: tuple[str, ...] = ("cartPromotion", "target", "unifiedTargets", "streak")
"""Families of events whose members Capillary's pages name only in part."""

PAYLOAD_NAMES: dict[str, str] = {"IssueBulkCoupon": "CouponIssue"}
"""Events whose payload carries another ``eventName`` than the event's own name.

Source: the bulk coupon page's sample payload.
"""


def is_documented(name: str) -> bool:
    """Whether Capillary documents this event name, or the family it belongs to.

    A member of a family goes on with a capital letter: ``targetAchieved``, never ``targeted``.
    """
    if name in DOCUMENTED_EVENTS:
        return True
    return any(
        name.startswith(family) and name[len(family) : len(family) + 1].isupper()
        for family in DOCUMENTED_FAMILIES
    )
