"""What happens in the simulated company: the tables that its story is written in.

The story writes them, the vendors' APIs show what they say of it, the truth is counted from them.
Times are UTC; a time after the company's clock has not happened yet, and nobody may see it. Ids
are whole numbers of the world; what a vendor calls a record is `record.external_id`. Amounts are
in the currency of their row, `*_minutes` and `*_seconds` are durations, shares lie in 0 to 1.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

TIME = pa.timestamp("us", tz="UTC")
DAY = pa.date32()
TEXT, NUMBER, SHARE, FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()
MONEY = pa.decimal128(18, 2)
TEXTS, NUMBERS = pa.list_(pa.string()), pa.list_(pa.int64())

# What a customer's words carry, wherever they are said: known, because the words were made of it.
_LABELS = {"language": TEXT, "sentiment": TEXT, "topic": TEXT, "emotion": TEXT, "competitor": TEXT}
_ADDRESS = {"street": TEXT, "postal_code": TEXT, "city": TEXT, "country": TEXT}

TABLES: dict[str, dict[str, pa.DataType]] = {
    # ---- people and what they belong to -------------------------------------------------------
    "person": {
        "person_id": NUMBER, "kind": TEXT,  # b2c, b2b, employee, test, bot
        "entered_at": TIME,  # first heard of the company
        "first_name": TEXT, "last_name": TEXT,  # in Latin letters
        "native_first_name": TEXT, "native_last_name": TEXT,  # in the person's own script
        "nickname": TEXT, "gender": TEXT, "birth_date": DAY, "language": TEXT,  # en, de, pt, ru
        "timezone": TEXT, **_ADDRESS, "household_id": NUMBER, "account_id": NUMBER,
        "second_account_id": NUMBER,  # a contact at two accounts
        "job_title": TEXT, "email": TEXT, "phone": TEXT,  # E.164; those of the beginning
        "acquisition_channel": TEXT,  # paid_search, paid_social, display, affiliate, event, word_of_mouth, organic
        "acquisition_campaign_id": NUMBER, "referred_by": NUMBER,
        "price_sensitivity": SHARE, "loyalty": SHARE, "patience": SHARE, "expressiveness": SHARE,
    },
    "person_change": {  # of e-mail, phone, last name or address, and from when on it holds
        "person_id": NUMBER, "changed_at": TIME, "field": TEXT, "value": TEXT,
    },
    "erasure": {"person_id": NUMBER, "erased_at": TIME},
    "household": {
        "household_id": NUMBER, **_ADDRESS,
        "shared_email": TEXT,  # one mailbox of two people, or null
        "shared_device_id": TEXT,
    },
    "account": {
        "account_id": NUMBER, "name": TEXT, "domain": TEXT, "industry": TEXT, "segment": TEXT,  # smb, enterprise
        "employees": NUMBER, "annual_revenue": MONEY, **_ADDRESS, "parent_account_id": NUMBER,
        "role_email": TEXT,  # info@ or the like, used by several people
        "created_at": TIME,
    },
    "employee": {
        "employee_id": NUMBER, "first_name": TEXT, "last_name": TEXT, "email": TEXT,
        "team": TEXT,  # sales, support, marketing
        "support_group": TEXT, "role": TEXT, "skill": SHARE, "hired_at": TIME, "left_at": TIME,
    },
    "holiday": {"day": DAY, "country": TEXT, "name": TEXT},
    # ---- what is sold -------------------------------------------------------------------------
    "product": {
        "product_id": NUMBER, "sku": TEXT, "name": TEXT, "category": TEXT, "brand": TEXT,
        "weight_grams": NUMBER, "unit_cost": MONEY,  # in EUR
        "quality": SHARE, "launched_at": TIME, "withdrawn_at": TIME,
    },
    "price": {"product_id": NUMBER, "currency": TEXT, "amount": MONEY, "valid_from": TIME},
    "exchange_rate": {"day": DAY, "currency": TEXT, "to_eur": SHARE},  # 1 unit = to_eur euros
    "campaign": {
        "campaign_id": NUMBER, "name": TEXT, "channel": TEXT,  # email, paid_search, paid_social, display, affiliate, event
        "started_at": TIME, "ended_at": TIME, "budget": MONEY, "actual_cost": MONEY, "currency": TEXT,
        "utm_source": TEXT, "utm_medium": TEXT, "utm_campaign": TEXT, "subject": TEXT,
    },
    # what the platforms of advertising report of a day: paid_search, paid_social, display
    "ad_spend": {
        "day": DAY, "campaign_id": NUMBER, "amount": MONEY, "currency": TEXT,
        "impressions": NUMBER, "clicks": NUMBER,
    },
    # ---- who is who: a person in the words of one system --------------------------------------
    "record": {  # one row a version; the newest one that has happened is the record's state
        "vendor": TEXT,  # hubspot, salesforce, shopify, zendesk, surveymonkey, qualtrics, mailchimp
        "object": TEXT,  # contact; salesforce also lead; shopify customer; zendesk user; mailchimp member
        "record_id": NUMBER,  # unique in the whole world
        "external_id": TEXT,  # as the vendor's API shows it
        "version": NUMBER, "changed_at": TIME, "created_at": TIME,
        "person_id": NUMBER,  # the truth; no API shows it
        "email": TEXT, "other_emails": TEXTS, "phone": TEXT, "first_name": TEXT, "last_name": TEXT,
        "birth_date": DAY, "company_name": TEXT, "job_title": TEXT, **_ADDRESS, "language": TEXT,
        "account_id": NUMBER, "email_consent": FLAG, "consent_changed_at": TIME, "tags": TEXTS,
        "source_channel": TEXT,  # how the record came to be, in the system's words
        "noise": TEXTS,  # kinds of noise that were put into it
        "state": TEXT,  # live, archived (soft delete), merged, erased (no trace but the vendor's own)
        "merged_into": NUMBER,  # record_id, where state is merged
        "merged_from": NUMBERS,  # record_ids, of the winner
    },
    # ---- what they do -------------------------------------------------------------------------
    "device": {
        "device_id": TEXT, "person_id": NUMBER, "household_id": NUMBER, "is_shared": FLAG,
        "is_bot": FLAG, "kind": TEXT, "user_agent": TEXT, "first_seen_at": TIME,
    },
    "web_event": {
        "event_id": NUMBER, "session_id": NUMBER, "device_id": TEXT, "person_id": NUMBER, "at": TIME,
        "received_at": TIME,  # late for a phone without a network
        "kind": TEXT,  # page_view, search, product_view, add_to_cart, checkout, sign_up, sign_in, order_completed, product_reviewed, referral_sent, help_viewed
        "page_path": TEXT, "page_title": TEXT, "referrer": TEXT, "campaign_id": NUMBER,
        "product_id": NUMBER, "order_id": NUMBER, "cart_id": NUMBER, "review_id": NUMBER,
        "referral_id": NUMBER, "search_text": TEXT,
        "record_id": NUMBER,  # shopify customer signed in with, else null
    },
    "orders": {
        "order_id": NUMBER, "person_id": NUMBER, "record_id": NUMBER,  # shopify customer; null: guest
        "email": TEXT, "phone": TEXT, **_ADDRESS, "account_id": NUMBER, "cart_id": NUMBER,
        "channel": TEXT,  # web, app, pos
        "campaign_id": NUMBER, "discount_code": TEXT, "currency": TEXT,
        "subtotal": MONEY,  # sum of quantity x unit_price
        "discount": MONEY, "shipping": MONEY, "tax": MONEY,  # total = subtotal - discount + shipping + tax
        "tax_in_prices": FLAG,  # whether the shop shows its prices with tax; those here are without
        "total": MONEY, "payment_method": TEXT, "carrier": TEXT, "is_test": FLAG,
        "placed_at": TIME, "paid_at": TIME, "shipped_at": TIME, "promised_at": TIME,
        "delivered_at": TIME, "canceled_at": TIME, "cancel_reason": TEXT,
        "delivery_fault": TEXT,  # null, late, lost, damaged, wrong_item
    },
    "order_line": {
        "line_id": NUMBER, "order_id": NUMBER, "product_id": NUMBER, "quantity": NUMBER,
        "unit_price": MONEY, "discount": MONEY, "tax": MONEY,
    },
    "payment": {
        "payment_id": NUMBER, "order_id": NUMBER, "at": TIME,
        "kind": TEXT,  # authorization, capture, sale, void, refund
        "status": TEXT,  # success, failure
        "gateway": TEXT, "amount": MONEY, "currency": TEXT, "parent_payment_id": NUMBER,
    },
    "refund": {
        "refund_id": NUMBER, "order_id": NUMBER, "at": TIME, "amount": MONEY, "reason": TEXT,
        "payment_id": NUMBER,
    },
    "refund_line": {"refund_id": NUMBER, "line_id": NUMBER, "quantity": NUMBER, "subtotal": MONEY},
    "cart": {
        "cart_id": NUMBER, "person_id": NUMBER, "record_id": NUMBER, "email": TEXT, "device_id": TEXT,
        "currency": TEXT, "amount": MONEY, "created_at": TIME, "updated_at": TIME,
        "completed_at": TIME, "order_id": NUMBER,
    },
    "cart_line": {"cart_id": NUMBER, "product_id": NUMBER, "quantity": NUMBER},
    # ---- when something goes wrong ------------------------------------------------------------
    "ticket": {
        "ticket_id": NUMBER, "vendor": TEXT,  # zendesk, salesforce, hubspot
        "person_id": NUMBER, "record_id": NUMBER,  # record of that vendor
        "issue_id": NUMBER,  # the customer's trouble: several tickets may be about one
        "created_at": TIME, "channel": TEXT,  # email, web, chat, phone, social
        "topic": TEXT, "subject": TEXT, "priority": TEXT,  # low, normal, high, urgent
        "support_group": TEXT, "order_id": NUMBER, "account_id": NUMBER, "is_test": FLAG,
        "merged_into": NUMBER, "deleted_at": TIME,
    },
    "ticket_event": {
        "ticket_event_id": NUMBER, "ticket_id": NUMBER, "at": TIME,
        "field": TEXT,  # status, priority, assignee, support_group, satisfaction
        "from_value": TEXT, "to_value": TEXT,  # status: new, open, pending, hold, solved, closed; satisfaction: offered, good, bad
        "actor": TEXT,  # customer, agent, system
        "employee_id": NUMBER,
    },
    "message": {
        "message_id": NUMBER, "ticket_id": NUMBER, "at": TIME, "author": TEXT,  # customer, agent, bot, system
        "employee_id": NUMBER, "is_public": FLAG, "body": TEXT, **_LABELS,
    },
    "activity": {  # of sellers
        "activity_id": NUMBER, "vendor": TEXT, "kind": TEXT,  # call, email, meeting, task
        "person_id": NUMBER, "record_id": NUMBER, "opportunity_id": NUMBER, "employee_id": NUMBER,
        "at": TIME, "duration_seconds": NUMBER, "direction": TEXT, "subject": TEXT, "outcome": TEXT,
    },
    # ---- what they say ------------------------------------------------------------------------
    "survey": {
        "survey_id": NUMBER, "vendor": TEXT,  # surveymonkey, qualtrics, hubspot
        "name": TEXT, "kind": TEXT,  # nps, csat, ces, other
        "relation": TEXT,  # relationship, transactional
        "question": TEXT, "comment_question": TEXT, "scale_min": NUMBER, "scale_max": NUMBER,
        "created_at": TIME,
    },
    "survey_invitation": {
        "invitation_id": NUMBER, "survey_id": NUMBER, "person_id": NUMBER, "record_id": NUMBER,
        "email": TEXT, "sent_at": TIME, "opened_at": TIME,
        "status": TEXT,  # delivered, opened, partial, completed, bounced, opted_out
        "order_id": NUMBER, "ticket_id": NUMBER,
        "felt_score": NUMBER,  # what the person would answer, answered or not
    },
    "survey_response": {
        "response_id": NUMBER, "invitation_id": NUMBER, "survey_id": NUMBER, "person_id": NUMBER,
        "started_at": TIME, "recorded_at": TIME,
        "completed_at": TIME,  # later than recorded_at where a partial answer was finished
        "is_partial": FLAG, "score": NUMBER, "comment": TEXT, "duration_seconds": NUMBER,
        "deleted_at": TIME, **_LABELS,
    },
    "review": {
        "review_id": NUMBER, "person_id": NUMBER, "product_id": NUMBER, "order_id": NUMBER, "at": TIME,
        "rating": NUMBER, "title": TEXT, "body": TEXT, **_LABELS,
    },
    "referral": {
        "referral_id": NUMBER, "person_id": NUMBER, "referred_person_id": NUMBER, "at": TIME,
        "code": TEXT, "order_id": NUMBER, "converted_at": TIME,
    },
    # ---- what the company does ----------------------------------------------------------------
    "email_send": {
        "send_id": NUMBER, "campaign_id": NUMBER, "person_id": NUMBER, "record_id": NUMBER,  # mailchimp member
        "email": TEXT, "sent_at": TIME, "outcome": TEXT,  # sent, hard, soft
    },
    "email_event": {
        "event_id": NUMBER, "send_id": NUMBER, "at": TIME, "kind": TEXT,  # open, click, unsubscribe
        "url": TEXT, "is_machine": FLAG,  # a proxy or scanner, not the person
    },
    "opportunity": {
        "opportunity_id": NUMBER, "vendor": TEXT,  # hubspot, salesforce
        "kind": TEXT,  # lead, opportunity
        "person_id": NUMBER, "record_id": NUMBER,  # contact or lead of that vendor
        "account_id": NUMBER, "employee_id": NUMBER, "campaign_id": NUMBER, "name": TEXT,
        "currency": TEXT, "created_at": TIME, "expected_close": DAY, "lost_reason": TEXT,
        "from_opportunity_id": NUMBER,  # the lead it was converted from
    },
    "opportunity_stage": {
        "stage_event_id": NUMBER, "opportunity_id": NUMBER, "at": TIME,
        "stage": TEXT,  # new, qualified, proposal, negotiation, won, lost
        "amount": MONEY, "probability": SHARE,
    },
    # ---- what nobody sees ---------------------------------------------------------------------
    "stage": {  # where a person truly is in the journey; spans do not overlap
        "person_id": NUMBER, "stage": TEXT,  # awareness, consideration, decision, service, loyalty
        "entered_at": TIME, "left_at": TIME, "cause": TEXT,  # why it ended: next, churned, lost_interest
    },
    "mood": {  # at the end of each block of the story
        "person_id": NUMBER, "at": TIME, "satisfaction": SHARE, "effort": SHARE, "intent": SHARE,
        "is_alive": FLAG,
    },
    "churn": {"person_id": NUMBER, "churned_at": TIME, "returned_at": TIME, "cause": TEXT},
}  # fmt: skip

SCHEMAS = {
    name: pa.schema([pa.field(c, t) for c, t in columns.items()])
    for name, columns in TABLES.items()
}


def write_block(folder: Path, block: str, tables: Mapping[str, pa.Table]) -> None:
    """Add a block of the story: one Parquet file a table, with exactly the columns above."""
    for name, rows in tables.items():
        target = folder / name / f"{block}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows.select(SCHEMAS[name].names).cast(SCHEMAS[name]), target)


def open_world(folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
    """Make every table of the world a view in schema `world`; a table not yet written is empty."""
    connection.execute("create schema if not exists world")
    for name, schema in SCHEMAS.items():
        if any((folder / name).glob("*.parquet")):
            source = f"select * from read_parquet('{folder / name}/*.parquet')"
        else:
            columns = (f"null::{_duckdb_type(f.type)} as {f.name}" for f in schema)
            source = f"select {', '.join(columns)} limit 0"
        connection.execute(f"create or replace view world.{name} as {source}")


def table_of(name: str, columns: Mapping[str, Iterable[object]]) -> pa.Table:
    """Columns (arrays or lists of equal length) as a table of the world; missing ones are null."""
    arrays = {c: pa.array(v, SCHEMAS[name].field(c).type) for c, v in columns.items()}
    n = len(next(iter(arrays.values()))) if arrays else 0
    return pa.table(
        {f.name: arrays.get(f.name, pa.nulls(n, f.type)) for f in SCHEMAS[name]},
        schema=SCHEMAS[name],
    )


def _duckdb_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return _duckdb_type(kind.value_type) + "[]"
    return {TEXT: "varchar", NUMBER: "bigint", SHARE: "double", FLAG: "boolean", DAY: "date",
            TIME: "timestamptz", MONEY: "decimal(18,2)"}[kind]  # fmt: skip
