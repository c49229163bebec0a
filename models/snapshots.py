"""The objects that events of several nouns carry: who, where, through what, and on what occasion."""

from typing import Annotated

from models.contract import Contract
from models.enumerations import ACTOR_TYPES, GEO_SOURCES, PARTNER_TYPES, QUALIFYING_KINDS
from models.money import Currency, Money
from models.scalars import Date, DecimalText, Identifier, Integer, Json, Text, Timestamp, known


class Partner(Contract):
    """The partner as every event knows it."""

    id: Identifier
    name: Text | None = None
    external_id: Identifier | None = None
    type: Annotated[Text | None, known(PARTNER_TYPES)] = None
    status: Text | None = None
    group_id: Identifier | None = None
    manager_id: Identifier | None = None
    parent_id: Identifier | None = None
    country: Text | None = None


class Tier(Contract):
    """A step of a commission plan."""

    id: Identifier | None = None
    name: Text | None = None
    rank: Integer | None = None


class FullPartner(Partner):
    """The partner as its own events know it."""

    company_name: Text | None = None
    email_hash: Text | None = None
    language: Text | None = None
    plan_id: Identifier | None = None
    tier: Tier | None = None
    payout_method: Text | None = None
    payout_currency: Currency | None = None
    min_payout: Money | None = None
    kyc_status: Text | None = None
    tax_status: Text | None = None
    terms_version: Text | None = None
    signup_source: Text | None = None
    registered_at: Timestamp | None = None
    version: Integer | None = None
    is_test: bool | None = None


class SubIds(Contract):
    """The partner's own labels for a click."""

    sub1: Text | None = None
    sub2: Text | None = None
    sub3: Text | None = None
    sub4: Text | None = None
    sub5: Text | None = None
    sub6: Text | None = None
    sub7: Text | None = None
    sub8: Text | None = None
    sub9: Text | None = None
    sub10: Text | None = None


class Tracking(Contract):
    """The path by which the customer came."""

    click_id: Identifier | None = None
    link_id: Identifier | None = None
    campaign_id: Identifier | None = None
    offer_id: Identifier | None = None
    creative_id: Identifier | None = None
    coupon_code: Text | None = None
    traffic_source: Text | None = None
    traffic_medium: Text | None = None
    referrer_domain: Text | None = None
    landing_url: Text | None = None
    sub_ids: SubIds | None = None
    attribution_model: Text | None = None
    is_view_through: bool | None = None


class Geo(Contract):
    """Where the customer is, and who says so."""

    country: Text | None = None
    region: Text | None = None
    city: Text | None = None
    source: Annotated[Text | None, known(GEO_SOURCES)] = None
    declared_country: Text | None = None


class Device(Contract):
    """What the customer used; addresses and fingerprints as hashes only."""

    type: Text | None = None
    os: Text | None = None
    browser: Text | None = None
    fingerprint_hash: Text | None = None
    ip_hash: Text | None = None
    ip_prefix_hash: Text | None = None
    user_agent_hash: Text | None = None


class Customer(Contract):
    """The operator's customer, never by name; without `id` on clicks and on commissions for a period."""

    id: Identifier | None = None
    external_id: Identifier | None = None
    country: Text | None = None
    registered_at: Timestamp | None = None
    is_new: bool | None = None
    status: Text | None = None


class Challenge(Contract):
    """A proprietary trading firm's test."""

    product_id: Identifier | None = None
    account_size: Json = None
    fee: Json = None
    discount: Json = None
    phase: Json = None
    is_reset: bool | None = None
    attempt_no: Integer | None = None


class Subscription(Contract):
    """A payment of a subscription."""

    plan_id: Identifier | None = None
    interval: Text | None = None
    payment_no: Integer | None = None
    mrr: Json = None


class Order(Contract):
    """A shop's order."""

    net: Json = None
    gross: Json = None
    item_count: Integer | None = None


class QualifyingEvent(Contract):
    """What the customer did that counts."""

    kind: Annotated[Text | None, known(QUALIFYING_KINDS)] = None
    deposit: Money | None = None
    deposit_method: Text | None = None
    deposit_number: Integer | None = None
    wagered: Money | None = None
    trade_volume_lots: DecimalText | None = None
    instrument_class: Text | None = None
    account_type: Text | None = None
    challenge: Challenge | None = None
    subscription: Subscription | None = None
    order: Order | None = None


class Actor(Contract):
    """Who decided."""

    type: Annotated[Text | None, known(ACTOR_TYPES)] = None
    id: Identifier | None = None


class Period(Contract):
    """Whole days, both ends included."""

    start: Date | None = None
    end: Date | None = None


class Rate(Contract):
    """What a commission is reckoned by."""

    type: Text | None = None
    value: DecimalText | None = None
    unit: Text | None = None
