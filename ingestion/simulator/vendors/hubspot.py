"""HubSpot as the company uses it: newsletter and lead contacts, small companies and their business.

Ids: a contact has its record's; a company is 7000000000 + account, a ticket 8000000000 + ticket
(100000000 more after each merge), a deal 9000000000 and a lead 9500000000 + opportunity, an
engagement 40000000000 + activity or 60000000000 + message of a ticket, a feedback submission
50000000000 + response; an owner is 77000 + employee, its user 66000 + employee. The text
`shop_order_id` of a ticket is the shop's order id, `zendesk_ticket_id` of an answer Zendesk's. Date versions and /v3/ answer alike.
"""

import base64
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import anyio
import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingestion.simulator.projection import Projection

VENDOR = "hubspot"

SETTINGS: dict[str, Any] = {
    "list_default": 10,  # [A]
    "list_max": 100,  # [C]
    "list_max_with_history": 50,  # [C]
    "batch_max": 100,  # [C]
    "search_default": 10,  # [C]
    "search_max": 200,  # [B]
    "search_window": 10_000,  # rows of one search that can be reached [B]
    "search_lag_created_seconds": 10,  # until a new record is found [A Okta]
    "search_lag_updated_seconds": 60,  # until a changed one is found by its change [A Okta]
    "inline_associations": 100,  # of one record and type in a list [C]
    "association_inputs": 1000,  # [C]
    "association_page": 500,  # of one record in a batch reply [C]
    "owners_max": 500,  # [C]
    "url_characters": 16_000,  # [B: clients split at 15,000]
    "token_seconds": 1800,  # [B]
    "calls_per_10_seconds_private": 190,  # [A]
    "calls_per_10_seconds_oauth": 110,  # [A]
    "searches_per_second": 5,  # [A/B]
    "calls_per_day": 650_000,  # [A]
    "missing_scopes": [],  # object types that the token may not read
    "custom_properties": {},  # {type: {name: value}}: what somebody added to every record
}

HISTORY = "propertiesWithHistory"
_TIME = "strftime(date_trunc('milliseconds', {}) at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ')"
_COMMON = re.sub(
    r"\biso\(([^()]+)\)",
    lambda found: _TIME.format(found[1]),
    Path(__file__).with_suffix(".sql").read_text(),
)


def _time(column: str) -> str:
    return _TIME.format(column)


_SELLING = """
    'hubspot_owner_id': owner::varchar
"""
_ENGAGED = f"""
    'hs_timestamp': {_time("created_at")}, 'hs_createdate': {_time("created_at")},
    'hubspot_owner_id': owner::varchar, 'hs_activity_type': '',
"""
_NOTHING = "select null::bigint as number, '' as other, '' as id, '' as type limit 0"


def _links(source: str, from_type: str, *others: tuple[str, str, str]) -> str:
    """Associations: (column of `source`, object type, its name in association types).

    A company is there twice, as the primary one and by the unlabelled type that it always has.
    """
    parts = []
    for column, other, word in others:
        name = f"{from_type}_to_{word}"
        primary = word == "company" and from_type in ("contact", "deal", "ticket")
        for kind in (name, f"{name}_unlabeled") if primary else (name,):
            parts.append(
                f"select number, '{other}' as other, {column}::varchar as id, '{kind}' as type"
                f" from {source} where {column} is not null"
            )
    return " union all ".join(parts)


def _crm(
    name: str,
    source: str,
    properties: str,
    *,
    changed: str = "hs_lastmodifieddate",
    links: str = _NOTHING,
    history: str = "",
) -> Projection:
    """A type of CRM objects: `source` gives number, created_at, updated_at, archived_at."""
    said_history = f", '{HISTORY}': {{{history}}}" if history else ""
    return Projection(
        f"hubspot_{name}",
        f"""
        {_COMMON},
        links as (select distinct * from ({links})),
        linked as (
            select number, to_json(map(list(other order by other), list({{'results': results}} order by other)))::varchar as said
            from (
                select number, other, list({{'id': id, 'type': type}} order by type, id) as results
                from links group by number, other
            )
            group by number
        ),
        said as (
            select
                number,
                date_trunc('milliseconds', created_at) as created_at,
                date_trunc('milliseconds', updated_at) as updated_at,
                date_trunc('milliseconds', archived_at) as archived_at,
                to_json({{
                    'id': number::varchar,
                    'properties': {{
                        {properties},
                        'hs_object_id': number::varchar,
                        '{changed}': {_time("updated_at")}
                    }}{said_history},
                    'createdAt': {_time("created_at")},
                    'updatedAt': {_time("updated_at")},
                    'archived': archived_at is not null
                }})::varchar as record,
                case when archived_at is not null then ',"archivedAt":"' || {_time("archived_at")} || '"' else '' end as gone
            from ({source})
        )
        select
            number::varchar as id, number, created_at, updated_at, archived_at,
            record[:-2] || gone || case when linked.said is null or archived_at is not null then '' else ',"associations":' || linked.said end || '}}' as document
        from said left join linked using (number)
        """,
    )  # fmt: skip


_ENGAGEMENT_LINKS = (
    ("contact", "contacts", "contact"), ("company", "companies", "company"),
    ("deal", "deals", "deal"), ("lead", "leads", "lead"), ("ticket", "tickets", "ticket"),
)  # fmt: skip


def _engagement(kind: str, name: str, properties: str) -> Projection:
    source = (
        "select *, created_at as updated_at, null::timestamptz as archived_at"
        f" from engagements where kind = '{kind}'"
    )
    links = _links(f"({source})", kind, *_ENGAGEMENT_LINKS)
    return _crm(name, source, _ENGAGED + properties, links=links)


def _stages(label: str, table: str, where: str, *stages: tuple[str, str, str, str]) -> str:
    """A pipeline as SQL: label, object type, its id, and (id, label, key, value) of each stage."""
    said = ", ".join(
        f"{{'id': '{sid}', 'label': '{said}', 'displayOrder': {n}, 'archived': false,"
        f" 'createdAt': '2024-01-02T09:00:00.000Z', 'updatedAt': '2024-01-02T09:00:00.000Z',"
        f" 'metadata': map(['isClosed', '{key}'], ['{str(closed).lower()}', '{value}'])}}"
        for n, (sid, said, key, value) in enumerate(stages)
        for closed in (value in ("0.0", "1.0", "CLOSED") or sid.startswith(("qualified-", "unq")),)
    )
    return f"""
        select
            '{table}|{where}' as id, '{table}' as object_type,
            timestamptz '2024-01-02 09:00:00Z' as created_at, timestamptz '2024-01-02 09:00:00Z' as updated_at,
            null::timestamptz as archived_at,
            to_json({{
                'id': '{where}', 'label': '{label}', 'displayOrder': 0, 'archived': false,
                'createdAt': '2024-01-02T09:00:00.000Z', 'updatedAt': '2024-01-02T09:00:00.000Z',
                'stages': [{said}]
            }})::varchar as document
    """


_ENTERED = ",\n".join(
    f"'hs_v2_date_entered_{stage}': {_time(stage + '_at')}"
    for stage in (
        "appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "contractsent",
        "closedwon", "closedlost",
    )
)  # fmt: skip

PROJECTIONS = {
    "contacts": _crm(
        "contacts",
        "select * from contacts",
        f"""
        'email': email, 'hs_additional_emails': array_to_string(coalesce(other_emails, []), ';'),
        'firstname': first_name, 'lastname': last_name, 'phone': coalesce(phone, ''), 'mobilephone': null::varchar,
        'jobtitle': job_title, 'company': company_name,
        'address': street, 'zip': postal_code, 'city': city, 'country': country, 'hs_language': language,
        'date_of_birth': epoch_ms(birth_date::timestamp)::varchar,
        'lifecyclestage': case when account_id is not null then 'salesqualifiedlead' when email_consent then 'subscriber' else 'lead' end,
        'hs_lead_status': '', 'associatedcompanyid': case when archived_at is null then company::varchar end,
        'hubspot_owner_id': '',
        'hs_email_optout': case when email_consent is null then '' else (not email_consent)::varchar end,
        'hs_legal_basis': case when email_consent then 'Freely given consent from contact' else '' end,
        'hs_analytics_source': source_channel, 'interests': array_to_string(coalesce(tags, []), ';'),
        'createdate': {_time("created_at")},
        'hs_merged_object_ids': merged_ids, 'hs_calculated_merged_vids': merged_vids
        """,
        changed="lastmodifieddate",
        links=_links("contacts", "contact", ("company", "companies", "company")),
        history="'hs_email_optout': coalesce(optout, []), 'hs_legal_basis': coalesce(basis, [])",
    ),
    "companies": _crm(
        "companies",
        "select *, created_at as updated_at, null::timestamptz as archived_at from companies",
        f"""
        'name': name, 'domain': domain, 'industry': upper(industry),
        'annualrevenue': annual_revenue::varchar, 'numberofemployees': employees::varchar,
        'address': street, 'zip': postal_code, 'city': city, 'country': country,
        'lifecyclestage': 'customer', 'hubspot_owner_id': '',
        'hs_parent_company_id': case when parent_account_id in (select account_id from companies) then (7000000000 + parent_account_id)::varchar end,
        'createdate': {_time("created_at")}, 'hs_merged_object_ids': null::varchar
        """,
    ),
    "deals": _crm(
        "deals",
        "select * from opportunities where kind = 'opportunity'",
        f"""
        'dealname': name, 'amount': amount::varchar, 'deal_currency_code': currency,
        'amount_in_home_currency': home_amount::varchar,
        'dealstage': word, 'pipeline': 'default', 'hs_deal_stage_probability': probability::varchar,
        'closedate': case when word in ('closedwon', 'closedlost') then {_time("coalesce(closedwon_at, closedlost_at)")}
            else epoch_ms(expected_close::timestamp)::varchar end,
        'hs_is_closed': (word in ('closedwon', 'closedlost'))::varchar,
        'hs_is_closed_won': (word = 'closedwon')::varchar,
        'closed_lost_reason': case when word = 'closedlost' then lost_reason else '' end,
        {_ENTERED},
        'createdate': {_time("created_at")}, 'hs_merged_object_ids': null::varchar, {_SELLING}
        """,
        links=_links(
            "(select * from opportunities where kind = 'opportunity')", "deal",
            ("contact", "contacts", "contact"), ("company", "companies", "company"),
        ),
        history="'dealstage': stage_history",
    ),
    "leads": _crm(
        "leads",
        "select * from opportunities where kind = 'lead'",
        f"""
        'hs_lead_name': name, 'hs_lead_label': 'WARM', 'hs_lead_type': 'NEW_BUSINESS',
        'hs_pipeline': 'lead-pipeline-id', 'hs_pipeline_stage': word,
        'hs_lead_disqualification_reason': case when word = 'unqualified-stage-id' then lost_reason else '' end,
        'hs_createdate': {_time("created_at")}, 'hs_merged_object_ids': null::varchar, {_SELLING}
        """,
        links=_links(
            "(select * from opportunities where kind = 'lead')", "lead",
            ("contact", "contacts", "primary_contact"), ("company", "companies", "company"),
        ),
        history="'hs_pipeline_stage': stage_history",
    ),
    "tickets": _crm(
        "tickets",
        "select * from tickets",
        f"""
        'subject': subject, 'content': content, 'hs_pipeline': '0', 'hs_pipeline_stage': stage,
        'hs_ticket_priority': priority, 'hs_ticket_category': topic,
        'source_type': case channel when 'web' then 'FORM' else upper(channel) end,
        'support_group': support_group, 'shop_order_id': (4500000000 + order_id)::varchar,
        'createdate': {_time("created_at")}, 'closed_date': coalesce({_time("closed_at")}, ''),
        'time_to_close': (epoch_ms(closed_at) - epoch_ms(created_at))::varchar,
        'first_agent_reply_date': {_time("replied_at")},
        'hubspot_owner_id': owner, 'hs_merged_object_ids': merged_ids
        """,
        links=_links(
            "tickets", "ticket",
            ("contact", "contacts", "contact"), ("company", "companies", "company"),
        ),
        history="""
        'hs_pipeline_stage': stage_history, 'hs_ticket_priority': coalesce(priority_history, []),
        'hubspot_owner_id': coalesce(owner_history, [])
        """,
    ),
    "calls": _engagement(
        "call", "calls",
        """
        'hs_call_title': subject, 'hs_call_duration': (duration_seconds * 1000)::varchar,
        'hs_call_direction': case when inbound then 'INBOUND' else 'OUTBOUND' end,
        'hs_call_status': case outcome when 'no_answer' then 'NO_ANSWER' else 'COMPLETED' end,
        'hs_call_disposition': case outcome when 'no_answer' then '73a0d17f-1163-4015-bdd5-ec830791da20' else 'f240bbac-87c9-4f6e-bf70-924b57d47db7' end
        """,
    ),
    "emails": _engagement(
        "email", "emails",
        """
        'hs_email_subject': subject, 'hs_email_text': body, 'hs_email_status': upper(outcome),
        'hs_email_direction': case when inbound then 'INCOMING_EMAIL' else 'EMAIL' end
        """,
    ),
    "meetings": _engagement(
        "meeting", "meetings",
        f"""
        'hs_meeting_title': subject, 'hs_meeting_outcome': case outcome when 'held' then 'COMPLETED' else upper(outcome) end,
        'hs_meeting_start_time': {_time("created_at")},
        'hs_meeting_end_time': {_time("created_at + to_seconds(duration_seconds)")}
        """,
    ),
    "tasks": _engagement(
        "task", "tasks",
        "'hs_task_subject': subject, 'hs_task_type': 'TODO', 'hs_task_status': case outcome when 'done' then 'COMPLETED' else 'NOT_STARTED' end",
    ),
    "notes": _engagement("note", "notes", "'hs_note_body': body"),
    "feedback_submissions": _crm(
        "feedback_submissions",
        "select * from submissions",
        f"""
        'hs_survey_id': survey_id::varchar, 'hs_survey_name': name, 'hs_survey_type': upper(kind),
        'hs_survey_channel': 'EMAIL', 'hs_value': score::varchar,
        'hs_response_group': case when score >= 6 then 'easy' when score >= 4 then 'neutral' when score >= 1 then 'difficult' end,
        'zendesk_ticket_id': zendesk_ticket::varchar,
        'hs_content': case when unfinished then '' else coalesce(comment, '') end,
        'hs_submission_timestamp': {_time("created_at")}, 'hs_createdate': {_time("created_at")}
        """,
        links=_links(
            "submissions", "feedback_submission",
            ("contact", "contacts", "contact"), ("ticket", "tickets", "ticket"),
        ),
    ),
    "owners": Projection(
        "hubspot_owners",
        f"""
        select
            (77000 + employee_id)::varchar as id,
            77000 + employee_id as number,
            hired_at as created_at,
            case when coalesce(happened(left_at, employee_id), false) then left_at else hired_at end as updated_at,
            case when coalesce(happened(left_at, employee_id), false) then left_at end as archived_at,
            email,
            to_json({{
                'id': (77000 + employee_id)::varchar, 'email': email, 'type': 'PERSON',
                'firstName': first_name, 'lastName': last_name,
                'userId': case when coalesce(happened(left_at, employee_id), false) then null else 66000 + employee_id end,
                'userIdIncludingInactive': 66000 + employee_id,
                'createdAt': {_time("hired_at")},
                'updatedAt': {_time("case when coalesce(happened(left_at, employee_id), false) then left_at else hired_at end")},
                'archived': coalesce(happened(left_at, employee_id), false),
                'teams': [{{'id': (hash(team) % 900 + 100)::varchar, 'name': team, 'primary': true}}]
            }})::varchar as document
        from world.employee
        where happened(hired_at, employee_id)
        """,
    ),
    "pipelines": Projection(
        "hubspot_pipelines",
        " union all ".join((
            _stages("Sales Pipeline", "deals", "default",
                ("appointmentscheduled", "Appointment Scheduled", "probability", "0.1"),
                ("qualifiedtobuy", "Qualified To Buy", "probability", "0.25"),
                ("presentationscheduled", "Presentation Scheduled", "probability", "0.5"),
                ("contractsent", "Contract Sent", "probability", "0.75"),
                ("closedwon", "Closed Won", "probability", "1.0"),
                ("closedlost", "Closed Lost", "probability", "0.0")),
            _stages("Support Pipeline", "tickets", "0",
                ("1", "New", "ticketState", "OPEN"),
                ("2", "Waiting on contact", "ticketState", "OPEN"),
                ("3", "Waiting on us", "ticketState", "OPEN"),
                ("4", "Closed", "ticketState", "CLOSED")),
            _stages("Lead pipeline", "leads", "lead-pipeline-id",
                ("new-stage-id", "New", "leadState", "NEW"),
                ("qualified-stage-id", "Qualified", "leadState", "QUALIFIED"),
                ("unqualified-stage-id", "Disqualified", "leadState", "UNQUALIFIED")),
        )),
    ),
}  # fmt: skip

_NOT_CRM = ("owners", "pipelines")
TYPES = tuple(name for name in PROJECTIONS if name not in _NOT_CRM)
PROJECTIONS["pipelines_in_lake"] = Projection(  # with what the connector adds
    "hubspot_pipelines_in_lake",
    f"""
    select * replace (left(document, -1) || ',"_object_type":"' || object_type || '"}}' as document)
    from (\n{PROJECTIONS["pipelines"].sql}\n)
    """,
)
LAKE_TABLES = {"pipelines": "pipelines_in_lake", "properties": None}  # these say no fact
_ALWAYS = ("createdate", "hs_createdate", "hs_lastmodifieddate", "lastmodifieddate", "hs_object_id")
_DEFAULTS = {
    "contacts": ("email", "firstname", "lastname"),
    "companies": ("name", "domain"),
    "deals": ("dealname", "amount", "closedate", "dealstage", "pipeline"),
    "tickets": ("subject", "content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_priority"),
}
_NUMBERS = {
    "amount", "amount_in_home_currency", "annualrevenue", "numberofemployees", "hs_object_id",
    "hs_call_duration", "time_to_close", "hs_value", "hs_deal_stage_probability",
}  # fmt: skip
_CALCULATED = {
    "hs_is_closed", "hs_is_closed_won", "time_to_close", "hs_calculated_merged_vids",
    "amount_in_home_currency", "hs_merged_object_ids",
}  # fmt: skip
# association type -> typeId; without a label unless it is the primary company
TYPE_IDS = {
    "contact_to_company": 1, "contact_to_company_unlabeled": 279, "deal_to_contact": 3,
    "deal_to_company": 5, "deal_to_company_unlabeled": 341, "ticket_to_contact": 16,
    "ticket_to_company": 26, "ticket_to_company_unlabeled": 339, "lead_to_primary_contact": 578,
    "lead_to_company": 610, "call_to_contact": 194, "call_to_company": 182, "call_to_deal": 206,
    "email_to_contact": 198, "email_to_company": 186, "email_to_deal": 210,
    "email_to_ticket": 224, "meeting_to_contact": 200, "meeting_to_company": 188,
    "meeting_to_deal": 212, "task_to_contact": 204, "task_to_company": 192, "task_to_deal": 216,
    "note_to_contact": 202, "note_to_company": 190, "note_to_ticket": 228,
    "feedback_submission_to_contact": 98, "feedback_submission_to_ticket": 97,
    "call_to_lead": 597, "email_to_lead": 599, "meeting_to_lead": 601, "task_to_lead": 603,
}  # fmt: skip
_COMPARED = {"EQ": "=", "NEQ": "<>", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
_OPERATORS = {
    *_COMPARED, "BETWEEN", "IN", "NOT_IN", "HAS_PROPERTY", "NOT_HAS_PROPERTY", "CONTAINS_TOKEN",
    "NOT_CONTAINS_TOKEN",
}  # fmt: skip
_WELL_FORMED = re.compile(r"[\w.~+/=-]{20,400}")


class _ApiError(Exception):
    def __init__(
        self, status: int, category: str, message: str, sub: str | None = None, **context: Any
    ) -> None:
        super().__init__(message)
        self.response = _problem(status, category, message, sub, context)


def routes(api: Any) -> list[Route]:
    """The reading half of the CRM API, and the OAuth token endpoint."""
    hub = _Hub(api)
    found = []
    for shape, method, handler in (
        ("objects/{type}", "GET", hub.listing),
        ("objects/{type}/search", "POST", hub.search),
        ("objects/{type}/batch/read", "POST", hub.batch),
        ("objects/{type}/{id}", "GET", hub.single),
        ("owners", "GET", hub.owners),
        ("owners/", "GET", hub.owners),
        ("pipelines/{type}", "GET", hub.pipelines),
        ("properties/{type}", "GET", hub.properties),
        ("associations/{type}/{other}/batch/read", "POST", hub.associations),
    ):
        what, slash, rest = shape.partition("/")
        number = "v4" if what == "associations" else "v3"
        for path in (f"/crm/{number}/{shape}", f"/crm/{what}/{{version}}{slash}{rest}"):
            found.append(Route(path, hub.signed_in(handler), methods=[method]))
    found.append(Route("/oauth/{version}/token", hub.token, methods=["POST"]))
    found.append(Route("/account-info/v3/details", hub.signed_in(hub.account)))
    return found


class _Hub:
    """The handlers."""

    def __init__(self, api: Any) -> None:
        self.api = api

    # -- who asks, and how often

    def signed_in(self, handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def handle(request: Request) -> Response:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not _WELL_FORMED.fullmatch(given):
                return Response(
                    "<!DOCTYPE html><title>530</title><h1>Error 1016</h1>",
                    530,
                    media_type="text/html",
                )
            private = given == self.api.secret("access_token")
            if not private and not self.api.tokens.valid(given, "access"):
                if self.api.tokens.claims(given) is None:
                    return _problem(
                        401, "INVALID_AUTHENTICATION", "Authentication credentials not found."
                    )
                return _problem(
                    401, "EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired."
                )
            kind = "private" if private else "oauth"
            refused = self._limited(kind, request.url.path.endswith("/search"))
            if refused is not None:
                return refused
            try:
                version = request.path_params.get("version")
                if version is not None and not re.fullmatch(r"20\d\d-(03|09)", version):
                    raise _ApiError(404, "OBJECT_NOT_FOUND", f"There is no version {version}")
                if len(str(request.url)) > self.api.settings["url_characters"]:
                    return Response("URI Too Long", 414)
                self._permitted(request)
                response = handler(request)
            except _ApiError as error:
                return error.response
            if private:
                most = self.api.settings["calls_per_10_seconds_private"]
                left = most - self.api.limits.used("burst private", 10)
                response.headers["X-HubSpot-RateLimit-Max"] = str(most)
                response.headers["X-HubSpot-RateLimit-Remaining"] = str(left)
                response.headers["X-HubSpot-RateLimit-Interval-Milliseconds"] = "10000"
            return response

        return handle

    def _limited(self, kind: str, is_search: bool) -> Response | None:
        settings, now = self.api.settings, self.api.now()
        if self.api.limit(f"day {now:%Y%m%d}", settings["calls_per_day"], 86_400) is not None:
            return _throttled("DAILY", None)
        if is_search and self.api.limit("search", settings["searches_per_second"], 1) is not None:
            return _throttled("SECONDLY", None)
        wait = self.api.limit(f"burst {kind}", settings[f"calls_per_10_seconds_{kind}"], 10)
        return None if wait is None else _throttled("TEN_SECONDLY_ROLLING", wait)

    def _permitted(self, request: Request) -> None:
        wanted = {str(request.path_params.get(part)) for part in ("type", "other")}
        if "/owners" in request.url.path:
            wanted.add("owners")
        if missing := wanted & set(self.api.settings["missing_scopes"]):
            scopes = [f"crm.objects.{name}.read" for name in sorted(missing)]
            raise _ApiError(
                403, "MISSING_SCOPES",
                "This app hasn't been granted all required scopes to make this call. Read more about "
                "required scopes here: https://developers.hubspot.com/scopes.",
                requiredGranularScopes=scopes,
            )  # fmt: skip

    def token(self, request: Request) -> Response:
        form = dict(parse_qsl(_body(request).decode()))
        for name in ("client_id", "client_secret", "refresh_token"):
            if form.get(name) != self.api.secret(name):
                status = f"BAD_{name.upper()}"
                return JSONResponse(
                    {"status": status, "message": f"missing or unknown {name}"}, 400
                )
        if form.get("grant_type") != "refresh_token":
            self.api.unsupported(request, f"grant {form.get('grant_type')}")
            return JSONResponse({"status": "BAD_GRANT_TYPE", "message": "unsupported"}, 400)
        life = self.api.settings["token_seconds"]
        return JSONResponse({
            "access_token": self.api.tokens.issue("access", life), "expires_in": life,
            "refresh_token": form["refresh_token"], "token_type": "bearer",
        })  # fmt: skip

    def account(self, request: Request) -> Response:
        return JSONResponse({
            "portalId": 145678, "accountType": "STANDARD", "timeZone": "Europe/Berlin",
            "companyCurrency": "EUR", "uiDomain": "app-eu1.hubspot.com", "dataHostingLocation": "eu1",
        })  # fmt: skip

    # -- records

    def listing(self, request: Request) -> Response:
        name = self._type(request)
        query = request.query_params
        self._known(request, {"limit", "after", "properties", HISTORY, "associations", "archived"})
        history = _names(query.getlist(HISTORY))
        most = self.api.settings["list_max_with_history" if history else "list_max"]
        limit = self._limit(query.get("limit"), self.api.settings["list_default"], most)
        last = _read_after(query["after"]) if "after" in query else 0
        archived = _flag(query.get("archived"))
        rows = self.api.query(
            f"select number, document from {self.api.table(name)}"
            f" where number > ? and archived_at is {'not ' if archived else ''}null"
            " order by number limit ?",
            (last, limit + 1),
        )
        shaped = self._shaped(
            request, name, [text for _, text in rows[:limit]], _names(query.getlist("properties")),
            history, _names(query.getlist("associations")),
        )  # fmt: skip
        paging = {}
        if len(rows) > limit:
            after = base64.urlsafe_b64encode(f"{rows[limit - 1][0]}".encode()).decode()
            asked = [(k, v) for k, v in query.multi_items() if k != "after"] + [("after", after)]
            link = self.api.url(request, f"{request.url.path}?{urlencode(asked)}")
            paging = {"paging": {"next": {"after": after, "link": link}}}
        return self.api.json(shaped, **paging)

    def search(self, request: Request) -> Response:
        name = self._type(request)
        asked = _json(request)
        self._only(
            request, asked, {"filterGroups", "sorts", "properties", "limit", "after", "query"}
        )
        limit = self._limit(
            asked.get("limit"), self.api.settings["search_default"], self.api.settings["search_max"]
        )
        try:
            offset = int(asked.get("after") or 0)
        except ValueError:
            raise _ApiError(
                400, "VALIDATION_ERROR", "Invalid input: after must be an integer"
            ) from None
        window = self.api.settings["search_window"]
        if offset + limit > window:
            raise _ApiError(
                400,
                "VALIDATION_ERROR",
                f"The maximum offset of a search is {window}; narrow it down",
            )
        where, values = self._condition(name, asked.get("filterGroups") or [])
        if asked.get("query"):
            self.api.unsupported(request, "query")
        order = "created_at, number"
        if sorts := asked.get("sorts") or []:
            if len(sorts) > 1:
                raise _ApiError(400, "VALIDATION_ERROR", "A search takes one sort")
            sort = sorts[0] if isinstance(sorts[0], dict) else {"propertyName": sorts[0]}
            down = sort.get("direction", "ASCENDING").upper().startswith("DESC")
            column, _ = self._column(name, sort["propertyName"])
            order = f"{column} {'desc' if down else 'asc'} nulls last, number"
        lag_created = timedelta(seconds=self.api.settings["search_lag_created_seconds"])
        lag_updated = timedelta(seconds=self.api.settings["search_lag_updated_seconds"])
        now = self.api.now()
        # the index learns of a change late: until then it holds the time that was there before
        index = (
            "(select *, case when updated_at <= ? then updated_at else created_at end as indexed_at"
            f" from {self.api.table(name)} where archived_at is null and created_at <= ?)"
        )
        index_values = (now - lag_updated, now - lag_created)
        ((total,),) = self.api.query(
            f"select count(*) from {index} where {where}", (*index_values, *values)
        )
        rows = self.api.query(
            f"select document from {index} where {where} order by {order} limit ? offset ?",
            (*index_values, *values, limit, offset),
        )
        paging = {}
        if offset + limit < total:
            paging = {"paging": {"next": {"after": str(offset + limit)}}}
        shaped = self._shaped(
            request, name, [text for (text,) in rows], asked.get("properties") or [], [], []
        )
        return self.api.json(shaped, total=total, **paging)

    def batch(self, request: Request) -> Response:
        name = self._type(request)
        asked = _json(request)
        self._only(request, asked, {"inputs", "properties", HISTORY})
        history = asked.get(HISTORY) or []
        most = self.api.settings["list_max_with_history" if history else "batch_max"]
        wanted = [str(one["id"]) for one in asked.get("inputs") or []]
        if not 0 < len(wanted) <= most:
            raise _ApiError(400, "VALIDATION_ERROR", f"A batch has 1 to {most} inputs")
        archived = _flag(request.query_params.get("archived"))
        rows = self.api.query(
            f"select id, document from {self.api.table(name)} where id in (select unnest(?))"
            f" and archived_at is {'not ' if archived else ''}null order by number",
            (wanted,),
        )
        shaped = self._shaped(
            request, name, [text for _, text in rows], asked.get("properties") or [], history, []
        )
        lost = sorted(set(wanted) - {key for key, _ in rows})
        errors: dict[str, Any] = {}
        if lost:
            errors = {"numErrors": 1, "errors": [{
                "status": "error", "category": "OBJECT_NOT_FOUND",
                "message": "Could not get some objects, they may be deleted or not exist.",
                "context": {"ids": lost},
            }]}  # fmt: skip
        envelope = orjson.dumps({**self._done(), **errors}).decode()
        body = f'{envelope[:-1]},"results":[{",".join(self.api.documents(shaped))}]}}'
        return Response(body, 207 if lost else 200, media_type="application/json")

    def single(self, request: Request) -> Response:
        """One record; an id that was merged away leads to the one that it is now."""
        name, key = self._type(request), request.path_params["id"]
        query = request.query_params
        table = self.api.table(name)
        merged = (
            "list_contains(string_split(document ->> '$.properties.hs_merged_object_ids', ';'), ?)"
        )
        rows = self.api.query(
            f"select document from {table} where archived_at is null and (id = ? or {merged})",
            (key, key),
        )
        if not rows:
            raise _ApiError(
                404, "OBJECT_NOT_FOUND", f"Object not found. objectId are usually numeric: {key}"
            )
        shaped = self._shaped(
            request, name, [rows[0][0]], _names(query.getlist("properties")),
            _names(query.getlist(HISTORY)), _names(query.getlist("associations")),
        )  # fmt: skip
        return Response(shaped[0], media_type="application/json")

    def associations(self, request: Request) -> Response:
        name, other = self._type(request), request.path_params["other"]
        if other not in TYPES:
            raise _ApiError(400, "VALIDATION_ERROR", f"Unable to infer object type from: {other}")
        inputs = _json(request).get("inputs") or []
        if not 0 < len(inputs) <= self.api.settings["association_inputs"]:
            raise _ApiError(400, "VALIDATION_ERROR", "Too many or no inputs")
        rows = self.api.query(
            f"select id, document -> '$.associations.{other}.results' from {self.api.table(name)}"
            " where id in (select unnest(?)) and archived_at is null",
            ([str(one["id"]) for one in inputs],),
        )
        found = {key: orjson.loads(text) for key, text in rows if text}
        size, results, none = self.api.settings["association_page"], [], []
        number = "version" not in request.path_params  # of old the ids were numbers on the wire [A]
        for one in inputs:
            key = str(one["id"])
            by_id: dict[str, list[str]] = {}
            for link in found.get(key, ()):
                by_id.setdefault(link["id"], []).append(link["type"])
            if not by_id:
                none.append(key)
                continue
            start = int(one.get("after") or 0)
            targets = list(by_id)[start : start + size]
            result: dict[str, Any] = {"from": {"id": key}, "to": [
                {"toObjectId": int(target) if number else target, "associationTypes": [
                    {"category": "HUBSPOT_DEFINED", "typeId": TYPE_IDS[kind],
                     "label": "Primary" if f"{kind}_unlabeled" in TYPE_IDS else None}
                    for kind in by_id[target]
                ]} for target in targets
            ]}  # fmt: skip
            if start + size < len(by_id):
                after = str(start + size)
                result["paging"] = {"next": {"after": after, "link": f"?after={after}"}}
            results.append(result)
        reply: dict[str, Any] = {**self._done(), "results": results}
        if none:
            reply |= {"numErrors": len(none), "errors": [
                {"status": "error", "category": "OBJECT_NOT_FOUND",
                 "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                 "message": f"No {other} is associated with {name} {key}.",
                 "context": {"fromObjectId": [key]}}
                for key in none
            ]}  # fmt: skip
        return JSONResponse(reply, 207 if none else 200)

    # -- what does not change much

    def owners(self, request: Request) -> Response:
        self._known(request, {"limit", "after", "archived", "email"})
        query = request.query_params
        limit = self._limit(query.get("limit"), 100, self.api.settings["owners_max"])
        archived = _flag(query.get("archived"))
        last = _read_after(query["after"]) if "after" in query else 0
        rows = self.api.query(
            f"select number, document from {self.api.table('owners')} where number > ?"
            f" and archived_at is {'not ' if archived else ''}null and (? is null or email = ?)"
            " order by number limit ?",
            (last, query.get("email"), query.get("email"), limit + 1),
        )
        paging = {}
        if len(rows) > limit:
            after = base64.urlsafe_b64encode(f"{rows[limit - 1][0]}".encode()).decode()
            paging = {"paging": {"next": {"after": after}}}
        return self.api.json([text for _, text in rows[:limit]], **paging)

    def pipelines(self, request: Request) -> Response:
        rows = self.api.query(
            f"select document from {self.api.table('pipelines')} where object_type = ?",
            (request.path_params["type"],),
        )
        return self.api.json([text for (text,) in rows])

    def properties(self, request: Request) -> Response:
        self._known(request, {"archived"})
        if _flag(request.query_params.get("archived")):
            return self.api.json([])
        found = [_property(name) for name in self._all_properties(self._type(request))]
        return self.api.json([orjson.dumps(one).decode() for one in found])

    # -- helpers

    def _type(self, request: Request) -> str:
        name = request.path_params["type"]
        if name not in TYPES:
            raise _ApiError(400, "VALIDATION_ERROR", f"Unable to infer object type from: {name}")
        return str(name)

    def _custom(self, name: str) -> dict[str, Any]:
        return dict(self.api.settings["custom_properties"].get(name, {}))

    def _all_properties(self, name: str) -> list[str]:
        return [*_property_names(name), *self._custom(name)]

    def _known(self, request: Request, names: set[str]) -> None:
        if unknown := request.query_params.keys() - names:
            self.api.unsupported(request, f"parameters {', '.join(sorted(unknown))}")
            raise _ApiError(400, "VALIDATION_ERROR", f"{', '.join(sorted(unknown))} is not known")

    def _only(self, request: Request, asked: dict[str, Any], names: set[str]) -> None:
        if unknown := {k for k, v in asked.items() if v} - names:
            self.api.unsupported(request, f"fields {', '.join(sorted(unknown))}")
            raise _ApiError(400, "VALIDATION_ERROR", f"{', '.join(sorted(unknown))} is not known")

    @staticmethod
    def _limit(given: Any, default: int, most: int) -> int:
        try:
            limit = default if given is None else int(given)
        except ValueError:
            limit = 0
        if not 0 < limit <= most:
            raise _ApiError(
                400, "VALIDATION_ERROR", f"limit must be between 1 and {most}, is {given}"
            )
        return limit

    def _done(self) -> dict[str, Any]:
        now = f"{self.api.now():%Y-%m-%dT%H:%M:%S}.000Z"
        return {"status": "COMPLETE", "startedAt": now, "completedAt": now}

    def _column(self, name: str, asked: str) -> tuple[str, str]:
        """SQL of a property and its kind: time, number or text."""
        changed = "lastmodifieddate" if name == "contacts" else "hs_lastmodifieddate"
        if asked == changed:
            return "indexed_at", "time"
        if asked == "hs_object_id":
            return "number", "number"
        if asked in ("createdate", "hs_createdate"):
            return "created_at", "time"
        if not re.fullmatch(r"\w+", asked):
            raise _ApiError(
                400, "VALIDATION_ERROR", f"There was a problem with the property {asked!r}"
            )
        text = f"nullif(document ->> '$.properties.{asked}', '')"
        return (f"try_cast({text} as double)", "number") if asked in _NUMBERS else (text, "text")

    def _condition(self, name: str, groups: list[dict[str, Any]]) -> tuple[str, list[Any]]:
        filters = [group.get("filters") or [] for group in groups]
        if len(groups) > 5 or max(map(len, filters), default=0) > 10 or sum(map(len, filters)) > 25:
            raise _ApiError(
                400, "VALIDATION_ERROR", "At most 5 groups, 10 filters a group, 25 in all"
            )
        values: list[Any] = []
        said = [
            " and ".join(self._filter(name, one, values) for one in group) or "true"
            for group in filters
        ]
        return " or ".join(f"({one})" for one in said) or "true", values

    def _filter(self, name: str, asked: dict[str, Any], values: list[Any]) -> str:
        operator = asked.get("operator")
        column, kind = self._column(name, str(asked.get("propertyName")))

        def given(key: str) -> Any:
            try:
                if kind == "time":
                    return _moment(asked[key])
                return float(asked[key]) if kind == "number" else str(asked[key])
            except (KeyError, ValueError):
                raise _ApiError(
                    400, "VALIDATION_ERROR", f"{key} of the filter on {asked.get('propertyName')} is missing or invalid"
                ) from None  # fmt: skip

        if operator not in _OPERATORS:
            raise _ApiError(400, "VALIDATION_ERROR", f"Invalid operator: {operator}")
        if operator in _COMPARED:
            values.append(given("value"))
            return f"{column} {_COMPARED[operator]} ?"
        if operator == "BETWEEN":
            values.extend((given("value"), given("highValue")))
            return f"{column} between ? and ?"
        if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
            return f"{column} is {'not ' if operator == 'HAS_PROPERTY' else ''}null"
        no = "not " if operator.startswith("NOT") else ""
        if operator.endswith("IN"):
            if not isinstance(asked.get("values"), list):
                raise _ApiError(400, "VALIDATION_ERROR", "IN needs values")
            values.append([str(value) for value in asked["values"]])
            return f"{no}coalesce(list_contains(?, {column}::varchar), false)"
        values.append(str(given("value")).replace("*", "%"))
        return f"{no}coalesce({column} ilike '%' || ? || '%', false)"

    def _shaped(
        self,
        request: Request,
        name: str,
        documents: Iterable[str],
        properties: list[str],
        history: list[str],
        associations: list[str],
    ) -> list[str]:
        """The records with what was asked for: unknown names are passed over in silence [A]."""
        if unknown := set(associations) - set(TYPES):
            raise _ApiError(400, "VALIDATION_ERROR", f"No association type {', '.join(unknown)}")
        custom = self._custom(name)
        wanted = properties or [*_DEFAULTS.get(name, ()), *history]
        cap = self.api.settings["inline_associations"]
        shaped = []
        for text in documents:
            record = orjson.loads(text)
            known = record["properties"] | custom
            all_history, links = record.pop(HISTORY, {}), record.pop("associations", {})
            record["properties"] = {
                key: known[key] for key in sorted({*wanted, *_ALWAYS}) if key in known
            }
            if history:
                record[HISTORY] = {key: all_history.get(key, []) for key in history if key in known}
            found = {other: links[other]["results"] for other in associations if other in links}
            if found:
                record["associations"] = {
                    other: self._inline(request, record["id"], other, results, cap)
                    for other, results in found.items()
                }
            shaped.append(orjson.dumps(record).decode())
        return shaped

    def _inline(
        self, request: Request, key: str, other: str, results: list[dict[str, str]], cap: int
    ) -> dict[str, Any]:
        if len(results) <= cap:
            return {"results": results}
        after = results[cap - 1]["id"]
        link = self.api.url(request, f"{request.url.path}/{key}/associations/{other}?after={after}")
        return {"results": results[:cap], "paging": {"next": {"after": after, "link": link}}}


def _property_names(name: str) -> list[str]:
    """Properties of a type, read off its projection."""
    said = PROJECTIONS[name].sql.partition("'properties': {")[2].partition("'createdAt'")[0]
    said = said.partition(f"'{HISTORY}'")[0]
    return list(dict.fromkeys(re.findall(r"'(\w+)':", said)))


def _property(name: str) -> dict[str, Any]:
    kind, field = "string", "text"
    if name in _NUMBERS:
        kind, field = "number", "number"
    elif name.endswith(("date", "_timestamp", "_time")) or "_date_" in name:
        kind, field = "datetime", "date"
    elif name.startswith("hs_is_") or name == "hs_email_optout":
        kind, field = "bool", "booleancheckbox"
    return {
        "name": name, "label": name.replace("_", " ").capitalize(), "type": kind, "fieldType": field,
        "description": "", "groupName": "information", "options": [], "displayOrder": -1,
        "calculated": name in _CALCULATED, "externalOptions": False, "hasUniqueValue": False,
        "hidden": False, "hubspotDefined": name not in ("interests", "support_group", "shop_order_id", "zendesk_ticket_id"),
        "archived": False, "createdAt": "2024-01-02T09:00:00.000Z",
        "updatedAt": "2024-01-02T09:00:00.000Z", "formField": False,
    }  # fmt: skip


def _names(given: list[str]) -> list[str]:
    return [name for text in given for name in text.split(",") if name]


def _flag(given: str | None) -> bool:
    return (given or "").lower() == "true"


def _read_after(text: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(text))
    except ValueError:
        raise _ApiError(400, "VALIDATION_ERROR", "after is no paging token of a list") from None


def _moment(value: Any) -> datetime:
    if re.fullmatch(r"-?\d+", str(value)):
        return datetime.fromtimestamp(int(value) / 1000, UTC)
    moment = datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _body(request: Request) -> bytes:
    """The body of a request, from within a handler that runs in a thread."""
    return anyio.from_thread.run(request.body)


def _json(request: Request) -> dict[str, Any]:
    try:
        asked = orjson.loads(_body(request) or b"{}")
    except orjson.JSONDecodeError:
        asked = None
    if not isinstance(asked, dict):
        raise _ApiError(400, "VALIDATION_ERROR", "Invalid input JSON")
    return asked


def _problem(
    status: int, category: str, message: str, sub: str | None = None, context: Any = None
) -> Response:
    return JSONResponse(
        {
            "status": "error", "message": message, "category": category,
            "correlationId": "5e1f0c9a-0000-4000-8000-000000000000",
            **({"subCategory": sub} if sub else {}),
            **({"errors": [{"message": message, "context": context}]} if context else {}),
        },
        status,
    )  # fmt: skip


_SAID = {
    "TEN_SECONDLY_ROLLING": "ten_secondly_rolling", "SECONDLY": "secondly", "DAILY": "daily",
}  # fmt: skip


def _throttled(policy: str, wait: float | None) -> Response:
    """Only the burst limit says (sometimes) how long to wait [B]."""
    headers = {} if wait is None else {"Retry-After": str(int(wait) + 1)}
    return JSONResponse(
        {
            "status": "error", "message": f"You have reached your {_SAID[policy]} limit.",
            "errorType": "RATE_LIMIT", "policyName": policy,
            "correlationId": "5e1f0c9a-0000-4000-8000-000000000000",
            "requestId": "5e1f0c9a-0000-4000-8000-000000000001",
        },
        429,
        headers,
    )  # fmt: skip


# options: `policy`, and `retry_after` in seconds (none: no header)
FAULT_FORMS = {
    "throttle": lambda request, options: _throttled(
        options.get("policy", "TEN_SECONDLY_ROLLING"), options.get("retry_after")
    )
}
