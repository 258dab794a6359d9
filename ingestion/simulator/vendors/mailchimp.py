"""Mailchimp as the company uses it: one audience, its members, the mailings and what became of them.

Ids: a member is the MD5 of the lower-cased address, so a changed address is another member;
`contact_id` stays. A mailing is a campaign of the world in one week, its id ten hex digits.
An Apple proxy opens from 17.0.0.0/8, as in the real world.
"""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingestion.simulator.projection import Projection

VENDOR = "mailchimp"

SETTINGS: dict[str, Any] = {
    "count_default": 10,  # [B]
    "count_max": 1000,  # [B]
    "connections": 10,  # at the same time, per user [A]
    "archived_in_default_list": True,  # [C]
    "since_is_strict": True,  # since_last_changed is strictly after [C]
}

LIST_ID = "a1b2c3d4e5"
_COMMON = Path(__file__).with_suffix(".sql").read_text()
_TIME = "strftime(({}) at time zone 'UTC', '%Y-%m-%dT%H:%M:%S+00:00')"


def _time(column: str) -> str:
    """As Mailchimp writes it; where null is meant it writes an empty text."""
    return f"coalesce({_TIME.format(column)}, '')"


def _projection(name: str, sql: str) -> Projection:
    return Projection(f"mailchimp_{name}", f"{_COMMON}\n{sql}")


_REPORT = f"""
    'opens': {{
        'opens_total': coalesce(opens, 0), 'proxy_excluded_opens': coalesce(human_opens_total, 0),
        'unique_opens': coalesce(unique_opens, 0), 'proxy_excluded_unique_opens': coalesce(human_opens, 0),
        'open_rate': round(coalesce(unique_opens, 0) / greatest(emails_sent - hard - soft, 1), 6),
        'last_open': {_time("last_open")}
    }},
    'clicks': {{
        'clicks_total': coalesce(clicks, 0), 'unique_clicks': coalesce(unique_clicks, 0),
        'unique_subscriber_clicks': coalesce(unique_clicks, 0),
        'click_rate': round(coalesce(unique_clicks, 0) / greatest(emails_sent - hard - soft, 1), 6),
        'last_click': {_time("last_click")}
    }}
"""

PROJECTIONS = {
    "lists": _projection(
        "lists",
        f"""
        select
            '{LIST_ID}' as id,
            min(first_change) as created_at,
            max(last_changed) as updated_at,
            null::timestamptz as archived_at,
            to_json({{
                'id': '{LIST_ID}', 'web_id': 50021, 'name': 'Nordlicht Newsletter',
                'date_created': {_time("min(first_change)")},
                'permission_reminder': 'You signed up on our website.', 'email_type_option': false,
                'visibility': 'prv', 'double_optin': true,
                'stats': {{
                    'member_count': count(*) filter (where status = 'subscribed'),
                    'unsubscribe_count': count(*) filter (where status = 'unsubscribed'),
                    'cleaned_count': count(*) filter (where status = 'cleaned')
                }}
            }})::varchar as document
        from members
        having count(*) > 0
        """,
    ),
    "members": _projection(
        "members",
        f"""
        select
            external_id as id,
            first_change as created_at,
            last_changed as updated_at,
            null::timestamptz as archived_at,
            status,
            to_json({{
                'id': external_id,
                'email_address': email,
                'unique_email_id': left(md5('unique ' || external_id), 10),
                'contact_id': md5('contact ' || root),
                'web_id': 510000 + record_id,
                'email_type': 'html',
                'status': status,
                'full_name': trim(concat_ws(' ', first_name, last_name)),
                'merge_fields': {{
                    'FNAME': coalesce(first_name, ''), 'LNAME': coalesce(last_name, ''),
                    'PHONE': coalesce(phone, ''),
                    'BIRTHDAY': coalesce(strftime(birth_date, '%m/%d'), '')
                }},
                'stats': {{
                    'avg_open_rate': round(coalesce(opened / received, 0), 4),
                    'avg_click_rate': round(coalesce(clicked / received, 0), 4)
                }},
                'timestamp_signup': case when source_channel = 'import' then '' else {_time("first_change")} end,
                'timestamp_opt': {_time("first_change")},
                'member_rating': 2 + (coalesce(opened / received, 0) * 3)::int,
                'last_changed': {_time("last_changed")},
                'language': coalesce(language, ''),
                'vip': false,
                'location': {{'country_code': coalesce(country, ''), 'timezone': ''}},
                'source': coalesce(source_channel, 'API - Generic'),
                'tags_count': len(coalesce(tags, [])),
                'tags': list_transform(coalesce(tags, []), t -> {{'id': (hash(t) % 9000)::int, 'name': t}}),
                'list_id': '{LIST_ID}'
            }})::varchar as document
        from members
        """,
    ),
    "segments": _projection(
        "segments",
        f"""
        select
            (700 + ordinality)::varchar as id,
            min(first_change) as created_at,
            max(last_changed) as updated_at,
            null::timestamptz as archived_at,
            to_json({{
                'id': 700 + ordinality, 'name': name, 'type': 'saved', 'list_id': '{LIST_ID}',
                'member_count': count(*) filter (where language = name),
                'created_at': {_time("min(first_change)")}, 'updated_at': {_time("max(last_changed)")}
            }})::varchar as document
        from members, unnest(['de', 'en', 'pt', 'ru']) with ordinality as s (name, ordinality)
        group by name, ordinality
        """,
    ),
    "campaigns": _projection(
        "campaigns",
        f"""
        select
            m.cid as id,
            m.sent_at - interval 2 days as created_at,
            m.sent_at as updated_at,
            null::timestamptz as archived_at,
            to_json({{
                'id': cid, 'web_id': 90000 + m.campaign_id, 'type': 'regular',
                'create_time': {_time("m.sent_at - interval 2 days")},
                'status': 'sent', 'emails_sent': emails_sent, 'send_time': {_time("m.sent_at")},
                'content_type': 'template',
                'recipients': {{'list_id': '{LIST_ID}', 'list_is_active': true, 'recipient_count': emails_sent}},
                'settings': {{
                    'subject_line': c.subject, 'title': c.name,
                    'from_name': 'Nordlicht Outdoor', 'reply_to': 'hello@nordlicht.test'
                }},
                'tracking': {{'opens': true, 'html_clicks': true, 'google_analytics': c.utm_campaign}},
                'report_summary': {{
                    'opens': coalesce(opens, 0), 'unique_opens': coalesce(unique_opens, 0),
                    'clicks': coalesce(clicks, 0), 'subscriber_clicks': coalesce(unique_clicks, 0)
                }}
            }})::varchar as document
        from mailings as m
        join world.campaign as c using (campaign_id)
        left join counts using (mailing)
        """,
    ),
    "reports": _projection(
        "reports",
        f"""
        select
            m.cid as id,
            m.sent_at as created_at,
            m.sent_at as updated_at,
            null::timestamptz as archived_at,
            to_json({{
                'id': cid, 'campaign_title': c.name, 'type': 'regular',
                'list_id': '{LIST_ID}', 'list_is_active': true, 'list_name': 'Nordlicht Newsletter',
                'subject_line': c.subject, 'emails_sent': emails_sent, 'abuse_reports': 0,
                'unsubscribed': coalesce(unsubscribed, 0), 'send_time': {_time("m.sent_at")},
                'bounces': {{'hard_bounces': hard, 'soft_bounces': soft, 'syntax_errors': 0}},
                {_REPORT}
            }})::varchar as document
        from mailings as m
        join world.campaign as c using (campaign_id)
        left join counts using (mailing)
        """,
    ),
    "sent_to": _projection(
        "sent_to",
        f"""
        select
            cid || '|' || email_id as id,
            min(s.sent_at) as created_at,
            min(s.sent_at) as updated_at,
            null::timestamptz as archived_at,
            cid,
            to_json({{
                'email_id': email_id, 'email_address': any_value(s.email), 'merge_fields': '{{}}'::json, 'vip': false,
                'status': any_value(s.outcome),
                'open_count': count(a.event_id) filter (where a.kind = 'open'),
                'last_open': {_time("max(a.at) filter (where a.kind = 'open')")},
                'absplit_group': '', 'gmt_offset': 0, 'campaign_id': cid, 'list_id': '{LIST_ID}', 'list_is_active': true
            }})::varchar as document
        from sends as s
        left join (select event_id, send_id, kind, "at" from activity) as a using (send_id)
        group by cid, email_id
        """,
    ),
    "email_activity": _projection(
        "email_activity",
        f"""
        select
            cid || '|' || email_id as id,
            min("at") as created_at,
            max("at") as updated_at,
            null::timestamptz as archived_at,
            cid,
            to_json({{
                'campaign_id': cid, 'list_id': '{LIST_ID}', 'list_is_active': true,
                'email_id': email_id, 'email_address': any_value(email),
                'activity': list(to_json({{  -- to sort JSON costs less than to sort structs
                    'action': action, 'type': type, 'timestamp': {_time('"at"')}, 'url': coalesce(url, ''), 'ip': ip
                }}) order by "at", number)
            }})::varchar as document
        from (
            select cid, email_id, email, "at", event_id as number, kind as action, '' as type, url,
                case when is_machine then '17.58.' else '203.0.' end
                || (event_id % 200)::varchar || '.' || (event_id % 250)::varchar as ip
            from activity
            where kind in ('open', 'click')
            union all
            select cid, email_id, email, sent_at, send_id, 'bounce', outcome, null, ''
            from sends where outcome in ('hard', 'soft')
        )
        group by cid, email_id
        """,
    ),
    "unsubscribes": _projection(
        "unsubscribes",
        f"""
        select
            cid || '|' || email_id as id,
            min("at") as created_at,
            min("at") as updated_at,
            null::timestamptz as archived_at,
            cid,
            to_json({{
                'email_id': email_id, 'email_address': any_value(email), 'vip': false,
                'timestamp': {_time('min("at")')}, 'reason': 'None given',
                'campaign_id': cid, 'list_id': '{LIST_ID}', 'list_is_active': true
            }})::varchar as document
        from activity
        where kind = 'unsubscribe'
        group by cid, email_id
        """,
    ),
}  # fmt: skip
# the connector notes beside it when the mailing went out
PROJECTIONS["sent_to_in_lake"] = _projection(
    "sent_to_in_lake",
    f"""
    select
        sent.* replace (
            json_merge_patch(
                sent.document, to_json({{'_sent_at': {_time("mailings.sent_at")}}})
            )::varchar as document
        )
    from (\n{PROJECTIONS["sent_to"].sql}\n) as sent
    join mailings using (cid)
    """,
)
LAKE_TABLES = {"sent_to": "sent_to_in_lake"}


def _too_many(request: Request, options: dict[str, Any]) -> Response:
    """No header says how long to wait [A]."""
    return _problem(
        429, "Too Many Requests", "You have exceeded the limit of 10 simultaneous connections."
    )


FAULT_FORMS = {"throttle": _too_many}


def routes(api: Any) -> list[Route]:
    """The reading half of the Marketing API 3.0."""

    def signed_in(handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def handle(request: Request) -> Response:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() == "basic":
                given = base64.b64decode(given).decode().partition(":")[2]
            if given != api.secret("api_key"):
                return _problem(
                    401,
                    "API Key Invalid",
                    "Your API key may be invalid, or you've attempted to access the wrong datacenter.",
                )
            return handler(request)

        return handle

    def listing(
        request: Request, name: str, key: str, where: str = "true", values: tuple[Any, ...] = (),
        order: str = "created_at, id", **envelope: Any,
    ) -> Response:  # fmt: skip
        known = {"count", "offset", "fields", "exclude_fields", "sort_field", "sort_dir", *FILTERS}
        if unknown := request.query_params.keys() - known:
            api.unsupported(request, f"parameters {', '.join(sorted(unknown))}")
            return _problem(
                400, "Invalid Resource", f"{', '.join(sorted(unknown))} is not supported."
            )
        try:
            count = int(request.query_params.get("count", api.settings["count_default"]))
            offset = int(request.query_params.get("offset", 0))
        except ValueError:
            return _problem(400, "Invalid Resource", "count and offset are integers.")
        if not 0 <= count <= api.settings["count_max"] or offset < 0:
            return _problem(400, "Invalid Resource", "count is between 0 and 1000.")
        table = api.table(name)
        (total,) = api.query(f"select count(*) from {table} where {where}", values)[0]
        rows = api.query(
            f"select document from {table} where {where} order by {order} limit ? offset ?",
            (*values, count, offset),
        )
        return api.json([r[0] for r in rows], key=key, total_items=total, _links=[], **envelope)

    def since(request: Request) -> tuple[str, tuple[Any, ...]]:
        """What the time filters ask for, as a condition on `updated_at` or `created_at`."""
        conditions, values = ["true"], []
        for name, (column, operator) in FILTERS.items():
            if operator and (text := request.query_params.get(name)):
                strict = operator == ">" and not api.settings["since_is_strict"]
                conditions.append(f"{column} {'>=' if strict else operator} ?")
                values.append(_moment(text))
        return " and ".join(conditions), tuple(values)

    def order(request: Request) -> str:
        column = "updated_at" if request.query_params.get("sort_field") in SORTED else "created_at"
        return f"{column} {'desc' if request.query_params.get('sort_dir') == 'DESC' else 'asc'}, id"

    def lists(request: Request) -> Response:
        return listing(request, "lists", "lists")

    def members(request: Request) -> Response:
        where, values = since(request)
        if status := request.query_params.get("status"):
            where, values = f"{where} and status = ?", (*values, status)
        elif not api.settings["archived_in_default_list"]:
            where += " and status <> 'archived'"
        return listing(
            request, "members", "members", where, values, order(request), list_id=LIST_ID
        )

    def segments(request: Request) -> Response:
        return listing(request, "segments", "segments", list_id=LIST_ID)

    def campaigns(request: Request) -> Response:
        return listing(request, "campaigns", "campaigns", *since(request), order(request))

    def reports(request: Request) -> Response:
        return listing(request, "reports", "reports", *since(request), order(request))

    def of_campaign(name: str, key: str) -> Callable[[Request], Response]:
        def handle(request: Request) -> Response:
            campaign = request.path_params["campaign"]
            where, values = since(request)
            return listing(
                request, name, key, f"cid = ? and {where}", (campaign, *values), "id",
                campaign_id=campaign,
            )  # fmt: skip

        return handle

    def of_list(handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def handle(request: Request) -> Response:
            if request.path_params["list"] != LIST_ID:
                return _problem(
                    404, "Resource Not Found", "The requested resource could not be found."
                )
            return handler(request)

        return handle

    def root(request: Request) -> Response:
        return JSONResponse({"account_id": "9f2c81d0", "account_name": "Nordlicht Outdoor"})

    def ping(request: Request) -> Response:
        return JSONResponse({"health_status": "Everything's Chimpy!"})

    paths: dict[str, Callable[[Request], Response]] = {
        "/3.0/": root,
        "/3.0/ping": ping,
        "/3.0/lists": lists,
        "/3.0/lists/{list}/members": of_list(members),
        "/3.0/lists/{list}/segments": of_list(segments),
        "/3.0/campaigns": campaigns,
        "/3.0/reports": reports,
        "/3.0/reports/{campaign}/sent-to": of_campaign("sent_to", "sent_to"),
        "/3.0/reports/{campaign}/email-activity": of_campaign("email_activity", "emails"),
        "/3.0/reports/{campaign}/unsubscribed": of_campaign("unsubscribes", "unsubscribes"),
    }
    return [Route(path, signed_in(handler)) for path, handler in paths.items()]


SORTED = ("last_changed", "send_time")
# parameter -> column, operator; without an operator it is read elsewhere
FILTERS: dict[str, tuple[str, str | None]] = {
    "since_last_changed": ("updated_at", ">"),
    "before_last_changed": ("updated_at", "<="),
    "since_send_time": ("updated_at", ">="),
    "before_send_time": ("updated_at", "<="),
    "since_create_time": ("created_at", ">="),
    "since": ("updated_at", ">="),
    "status": ("status", None),
}


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace(" ", "+"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _problem(status: int, title: str, detail: str) -> Response:
    return JSONResponse(
        {
            "type": "https://mailchimp.com/developer/marketing/docs/errors/",
            "title": title,
            "status": status,
            "detail": detail,
            "instance": "5a8c9b1e-0000-0000-0000-000000000000",
        },
        status,
        media_type="application/problem+json",
    )
