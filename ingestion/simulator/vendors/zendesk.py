"""Zendesk as the company uses it: support of consumers, with its own metrics and SLA clocks.

Ids: a ticket is 5000 + its number, a customer the record's external id, an agent 700000 + the
employee, group and organization 360000 and 36000000 + a number. Custom field 360001 holds the
shop's order id (4500000000 + the order's number), 360002 the topic.
"""

import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import anyio.from_thread
import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ingestion.simulator.projection import Projection
from ingestion.simulator.server.engine import VendorApi

VENDOR = "zendesk"

SETTINGS: dict[str, Any] = {
    "export_page": 1000,  # of a cursor or time-based export [A]
    "list_page": 100,  # of a list [A]
    "offset_rows": 10_000,  # beyond, offset pages are refused [C]
    "requests_per_minute": 700,  # Enterprise [A]
    "exports_per_minute": 10,  # incremental exports [A]
    "withheld_seconds": 60,  # the last minute is not exported yet [A]
    "ties_in_full": True,  # a time-based page holds all rows of its first second [C]
    "token_seconds": 172_800,  # [B]
    "api_tokens": True,  # until 2027-04-30 [A]
    "gated": [],  # streams that the account's plan lacks [B]
    "ratings_since": "updated_at",  # what start_time of the ratings is about [C]
    "merged_keeps_email": True,  # of the user who lost a merge [C]
}

TARGETS = {"urgent": 60, "high": 240, "normal": 480, "low": 1440}  # first reply, business minutes
TOPICS = ("delivery", "product_quality", "payment", "returns", "size_fit", "price", "assortment",
          "website", "account", "support")  # fmt: skip

_COMMON = Path(__file__).with_suffix(".sql").read_text()
_SINCE = "2024-01-01T00:00:00Z"  # when the account was set up
GROUPS = (
    "(select support_group as name, 360000 + row_number() over (order by support_group) as id"
    " from (select distinct support_group from world.employee where support_group is not null))"
)


def _time(column: str) -> str:
    return f"strftime(({column}) at time zone 'UTC', '%Y-%m-%dT%H:%M:%SZ')"


def _second(column: str) -> str:
    return f"(epoch_us({column}) // 1000000)"


def _minutes(calendar: str, business: str) -> str:
    return f"{{'calendar': {calendar}, 'business': {business}}}"


def _since_creation(moment: str, business: str) -> str:
    return _minutes(
        f"date_diff('second', t.created_at, {moment}) // 60", f"({business} - c.business) // 60"
    )


def _role(actor: str) -> str:
    return f"case when {actor} in ('customer', 'agent') then {actor} else 'system' end"


def _projection(name: str, sql: str) -> Projection:
    return Projection(f"zendesk_{name}", f"{_COMMON}\n{sql}")


def _fixed(name: str, documents: list[dict[str, Any]]) -> Projection:
    """Records that somebody set up once."""
    times = {"created_at": _SINCE, "updated_at": _SINCE}
    rows = ", ".join(
        "('{}', '{}')".format(d["id"], orjson.dumps(d | times).decode().replace("'", "''"))
        for d in documents
    )
    return Projection(
        f"zendesk_{name}",
        f"""
        select
            id, timestamptz '{_SINCE}' as created_at, timestamptz '{_SINCE}' as updated_at,
            null::timestamptz as archived_at, document
        from (values {rows}) as given (id, document)
        """,
    )


def _field(number: int, title: str, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "id": number, "title": title, "raw_title": title, "type": kind, "active": True,
        "required": False, "removable": number in (360001, 360002), **more,
    }  # fmt: skip


def _policy(number: int, priority: str, target: int) -> dict[str, Any]:
    return {
        "id": number, "title": f"First reply, {priority}", "position": number - 36009000,
        "description": None,
        "filter": {
            "all": [{"field": "priority", "operator": "is", "value": priority}], "any": [],
        },
        "policy_metrics": [
            {
                "priority": priority, "metric": "first_reply_time", "target": target,
                "target_in_seconds": target * 60, "business_hours": True,
            }
        ],
    }  # fmt: skip


_TICKET_CHANGED = "greatest(t.created_at, l.edited_at, k.spoken_at)"
# it moves on what the system does too, unlike `updated_at`
_GENERATED = "greatest(t.created_at, l.changed_at, k.spoken_at, t.moved_at, t.gone_at)"

PROJECTIONS = {
    "tickets": _projection(
        "tickets",
        f"""
        select
            t.id::varchar as id,
            t.created_at,
            {_GENERATED} as updated_at,
            t.gone_at as archived_at,
            g.name as group_name,
            to_json({{
                'url': 'https://nordlicht.zendesk.com/api/v2/tickets/' || t.id || '.json',
                'id': t.id,
                'external_id': null,
                'via': {{'channel': case t.channel when 'phone' then 'voice' when 'social' then 'twitter' else t.channel end}},
                'created_at': {_time("t.created_at")},
                'updated_at': {_time(_TICKET_CHANGED)},
                'generated_timestamp': {_second(_GENERATED)},
                'type': case when t.topic in ('delivery', 'product_quality') then 'problem' else 'question' end,
                'subject': case when t.gone_at is not null then 'SCRUBBED' else t.subject end,
                'description': case when t.gone_at is not null then 'SCRUBBED' else k.first_words end,
                'status': case when t.gone_at is not null then 'deleted' else coalesce(l.status, 'new') end,
                'priority': coalesce(l.priority, t.priority),
                'requester_id': t.requester,
                'submitter_id': t.submitter,
                'assignee_id': 700000 + l.assignee,
                'organization_id': 36000000 + t.organization,
                'group_id': g.id,
                'brand_id': 360100,
                'tags': list_filter([t.topic, case when t.is_test then 'test' end,
                    case when t.merged_into is not null and l.status in ('solved', 'closed') then 'closed_by_merge' end], x -> x is not null),
                'custom_fields': [
                    {{'id': 360001, 'value': (4500000000 + t.order_id)::varchar}},
                    {{'id': 360002, 'value': t.topic}}
                ],
                'satisfaction_rating': case when l.satisfaction is not null
                    then {{'id': 440000 + t.ticket_id, 'score': l.satisfaction, 'comment': null}}
                    else {{'id': null, 'score': 'unoffered', 'comment': null}} end
            }})::varchar as document,
            to_json({{
                'id': 880000 + t.ticket_id,
                'ticket_id': t.id,
                'created_at': {_time("t.created_at")},
                'updated_at': {_time(_TICKET_CHANGED)},
                'group_stations': greatest(coalesce(s.groups, 0), 1),
                'assignee_stations': coalesce(s.assignees, 0),
                'reopens': coalesce(s.reopens, 0),
                'replies': coalesce(k.replies, 0),
                'assignee_updated_at': {_time("k.assignee_spoke_at")},
                'requester_updated_at': {_time("k.requester_spoke_at")},
                'status_updated_at': {_time("s.status_updated_at")},
                'initially_assigned_at': {_time("s.first_assigned_at")},
                'assigned_at': {_time("s.assigned_at")},
                'solved_at': {_time("w.solved_at")},
                'latest_comment_added_at': {_time("k.spoken_at")},
                'reply_time_in_minutes': {_since_creation("k.replied_at", "r.business")},
                'first_resolution_time_in_minutes': {_since_creation("w.first_solved_at", "w.first_solved_business")},
                'full_resolution_time_in_minutes': {_since_creation("w.solved_at", "w.solved_business")},
                'agent_wait_time_in_minutes': {_minutes("w.agent_minutes", "w.agent_business")},
                'requester_wait_time_in_minutes': {_minutes("w.requester_minutes", "w.requester_business")},
                'on_hold_time_in_minutes': {_minutes("w.hold_minutes", "w.hold_business")}
            }})::varchar as metric_set
        from tickets as t
        left join latest as l using (ticket_id)
        left join talk as k using (ticket_id)
        left join waits as w using (ticket_id)
        left join stations as s using (ticket_id)
        left join clocked as c on t.created_at = c.moment
        left join clocked as r on k.replied_at = r.moment
        left join {GROUPS} as g on coalesce(l.support_group, t.support_group) = g.name
        """,
    ),
    # deleted for good after 30 days; until then they are listed
    "deleted_tickets": _projection(
        "deleted_tickets",
        f"""
        select
            t.id::varchar as id,
            t.gone_at as created_at,
            t.gone_at as updated_at,
            null::timestamptz as archived_at,
            to_json({{
                'id': t.id, 'subject': 'SCRUBBED', 'description': 'SCRUBBED',
                'actor': {{'id': 700001, 'name': 'Support'}},
                'deleted_at': {_time("t.gone_at")}, 'previous_state': coalesce(l.status, 'new')
            }})::varchar as document
        from tickets as t
        left join latest as l using (ticket_id)
        where t.gone_at > clock() - interval 30 days
        """,
    ),
    # one event a moment and ticket; its child events say what changed, a comment is one of them
    "ticket_events": _projection(
        "ticket_events",
        f"""
        , children as (
            select
                e.ticket, e.at, e.ticket_event_id * 2 as number, e.actor,
                case e.actor when 'agent' then 700000 + e.employee_id when 'customer' then e.submitter else -1 end as updater_id,
                to_json({{
                    'id': 2100000000 + e.ticket_event_id * 2,
                    'event_type': case when e.field = 'status' and e.from_value is null then 'Create' else 'Change' end,
                    'via': 'Web form',
                    'status': case when e.field = 'status' then e.to_value end,
                    'priority': case when e.field = 'priority' then e.to_value end,
                    'assignee_id': case when e.field = 'assignee' then 700000 + e.to_value::bigint end,
                    'group_id': g.id,
                    'satisfaction_score': case when e.field = 'satisfaction' then e.to_value end,
                    'previous_value': case e.field
                        when 'assignee' then (700000 + try_cast(e.from_value as bigint))::varchar
                        when 'support_group' then p.id::varchar
                        else e.from_value end
                }}) as child,
                to_json({{'_group_name': g.name, '_previous_group_name': p.name}}) as added
            from events as e
            left join {GROUPS} as g on e.field = 'support_group' and e.to_value = g.name
            left join {GROUPS} as p on e.field = 'support_group' and e.from_value = p.name
            union all
            select
                ticket, "at", message_id * 2 + 1, author, author_id,
                to_json({{
                    'id': 2100000000 + message_id * 2 + 1, 'event_type': 'Comment', 'comment_present': true,
                    'comment_public': is_public, 'author_id': author_id, 'type': 'Comment', 'public': is_public,
                    'body': body, 'html_body': '<p>' || body || '</p>', 'plain_body': body, 'created_at': {_time('"at"')},
                    'via': channel
                }}),
                to_json({{'_author_role': {_role("author")}}})
            from messages
        )
        select
            (3100000000 + min(number))::varchar as id,
            "at" as created_at,
            "at" as updated_at,
            null::timestamptz as archived_at,
            ticket,
            to_json({{
                'id': 3100000000 + min(number),
                'ticket_id': ticket,
                'timestamp': {_second('"at"')},
                'created_at': {_time('"at"')},
                'updater_id': arg_min(updater_id, number),
                'via': 'Web form',
                'event_type': 'Audit',
                'child_events': list(json_merge_patch('{{}}', child) order by number)
            }})::varchar as document,
            to_json(list(json_merge_patch('{{}}', child, added) order by number))::varchar as children_in_lake,
            {_role("arg_min(actor, number)")} as updater_role
        from children
        group by ticket, "at"
        """,
    ),
    # The first reply has a target in business time; the two other clocks run and rest by status.
    "ticket_metric_events": _projection(
        "ticket_metric_events",
        f"""
        , clocks as (
            select
                s.*, m.metric, m.number, list_contains(m.runs_in, status) as runs,
                lag(list_contains(m.runs_in, status)) over turns as ran,
                lag(status) over turns in ('solved', 'closed') as was_done,
                1 + count(*) filter (where status = 'solved') over (turns rows between unbounded preceding and 1 preceding) as instance_id
            from spans as s, (values
                ('agent_work_time', ['new', 'open'], 0), ('requester_wait_time', ['new', 'open', 'hold'], 1)
            ) as m (metric, runs_in, number)
            window turns as (partition by ticket_id, metric order by begins, ticket_event_id)
        ),
        asked as (
            select
                t.ticket_id, t.id as ticket, t.created_at, k.replied_at, s.ended_at, c.business,
                case t.priority {" ".join(f"when '{p}' then {m}" for p, m in TARGETS.items())} end as target
            from tickets as t
            join clocked as c on t.created_at = c.moment
            left join talk as k using (ticket_id)
            left join stations as s using (ticket_id)
        ),
        due as (
            select
                a.*,
                d.opens_at + to_seconds(a.business + a.target * 60 - d.worked * 60) as breached_at
            from asked as a
            join calendar as d
                on a.business + a.target * 60 > d.worked * 60 and a.business + a.target * 60 <= (d.worked + d.minutes) * 60
        ),
        happenings as (
            select
                71000000000 + ticket_event_id * 2 + number as id, 5000 + ticket_id as ticket, metric, instance_id, begins as happens_at,
                case
                    when runs and not coalesce(ran, false) then 'activate'
                    when not runs and status in ('solved', 'closed') and not was_done then 'fulfill'
                    when not runs and ran then 'pause'
                end as type,
                null::struct(target bigint, business_hours boolean) as sla,
                null::struct(calendar bigint, business bigint) as status
            from clocks
            union all
            select 51000000000 + ticket_id * 8, ticket, 'reply_time', 1, created_at, 'activate', null, null from asked
            union all
            select
                51000000000 + ticket_id * 8 + 1, ticket, 'reply_time', 1, created_at, 'apply_sla',
                {{'target': target, 'business_hours': true}}, null
            from asked
            union all
            select 51000000000 + ticket_id * 8 + 2, ticket, 'reply_time', 1, replied_at, 'fulfill', null, null
            from asked where replied_at is not null
            union all
            select
                51000000000 + ticket_id * 8 + 3, ticket, 'reply_time', 1, replied_at, 'update_status', null,
                {{'calendar': date_diff('second', a.created_at, a.replied_at) // 60, 'business': (r.business - a.business) // 60}}
            from asked as a join clocked as r on a.replied_at = r.moment
            union all
            select 51000000000 + ticket_id * 8 + 4, ticket, 'reply_time', 1, breached_at, 'breach', null, null
            from due where breached_at < coalesce(least(replied_at, ended_at), clock())
        )
        select
            id::varchar as id,
            happens_at as created_at,
            happens_at as updated_at,
            null::timestamptz as archived_at,
            to_json({{
                'id': id, 'ticket_id': ticket, 'metric': metric, 'instance_id': instance_id, 'type': type,
                'time': {_time("happens_at")}, 'sla': sla, 'status': status, 'deleted': false
            }})::varchar as document
        from happenings
        where type is not null
        """,
    ),
    "users": _projection(
        "users",
        f"""
        select
            u.external_id as id,
            u.created_at,
            u.changed_at as updated_at,
            case when u.state <> 'live' then u.changed_at end as archived_at,
            'end-user' as role,
            u.state = 'merged' as is_merged,
            case when u.state in ('merged', 'archived') then o.external_id end as winner,
            to_json({{
                'id': u.external_id::bigint,
                'url': 'https://nordlicht.zendesk.com/api/v2/users/' || u.external_id || '.json',
                'name': case when u.state = 'erased' then 'Permanently Deleted User'
                    else coalesce(nullif(trim(concat_ws(' ', u.first_name, u.last_name)), ''), u.email, u.phone, 'Caller') end,
                'email': case when u.state <> 'erased' then u.email end,
                'phone': case when u.state <> 'erased' then u.phone end,
                'role': 'end-user',
                'organization_id': 36000000 + u.account_id,
                'external_id': null,
                'locale': case u.language when 'pt' then 'pt-BR' when 'en' then 'en-US' else u.language end,
                'time_zone': 'Berlin',
                'active': u.state = 'live',
                'suspended': false,
                'shared': false,
                'permanently_deleted': u.state = 'erased',
                'tags': coalesce(u.tags, []),
                'user_fields': '{{}}'::json,
                'created_at': {_time("u.created_at")},
                'updated_at': {_time("u.changed_at")}
            }})::varchar as document,
            to_json(list_transform(
                case when u.state = 'live' then list_filter(list_concat(
                    [{{'type': 'email', 'value': u.email}}],
                    list_transform(coalesce(u.other_emails, []), x -> {{'type': 'email', 'value': x}}),
                    [{{'type': 'phone_number', 'value': u.phone}}]
                ), x -> x.value is not null) else [] end,
                x -> {{
                    'id': 1000000000 + (hash(x.type || ' ' || x.value) % 9000000000)::bigint,
                    'user_id': u.external_id::bigint, 'type': x.type, 'value': x.value,
                    'primary': x.value = coalesce(u.email, u.phone), 'verified': x.type = 'email',
                    'created_at': {_time("u.created_at")}, 'updated_at': {_time("u.changed_at")}
                }}
            ))::varchar as identities
        from users as u
        -- who holds this address as a further one, if it is only one
        left join (
            select lower(mail) as mail, any_value(external_id) as external_id
            from (select external_id, unnest(other_emails) as mail from users where state = 'live')
            group by lower(mail)
            having count(distinct external_id) = 1
        ) as o on lower(u.email) = o.mail and u.external_id <> o.external_id
        union all
        select
            (700000 + employee_id)::varchar,
            hired_at,
            changed_at,
            gone_at,
            'agent',
            false,
            null,
            to_json({{
                'id': 700000 + employee_id,
                'url': 'https://nordlicht.zendesk.com/api/v2/users/' || (700000 + employee_id) || '.json',
                'name': first_name || ' ' || last_name,
                'email': email,
                'phone': null,
                'role': 'agent',
                'organization_id': null,
                'external_id': null,
                'locale': 'de',
                'time_zone': 'Berlin',
                'active': gone_at is null,
                'suspended': false,
                'shared': false,
                'permanently_deleted': false,
                'tags': [team],
                'user_fields': '{{}}'::json,
                'created_at': {_time("hired_at")},
                'updated_at': {_time("changed_at")}
            }})::varchar,
            to_json([{{
                'id': 900000000 + employee_id, 'user_id': 700000 + employee_id, 'type': 'email', 'value': email,
                'primary': true, 'verified': true, 'created_at': {_time("hired_at")}, 'updated_at': {_time("hired_at")}
            }}])::varchar
        from (
            select
                *, case when left_at <= clock() then left_at end as gone_at,
                case when left_at <= clock() then left_at else hired_at end as changed_at
            from world.employee
            where team = 'support' and hired_at <= clock()
        )
        """,
    ),
    "organizations": _projection(
        "organizations",
        f"""
        select
            (36000000 + account_id)::varchar as id,
            created_at,
            created_at as updated_at,
            null::timestamptz as archived_at,
            to_json({{
                'id': 36000000 + account_id,
                'url': 'https://nordlicht.zendesk.com/api/v2/organizations/' || (36000000 + account_id) || '.json',
                'external_id': null,
                'name': name,
                'domain_names': [domain],
                'details': concat_ws(', ', street, postal_code, city),
                'tags': [segment],
                'organization_fields': '{{}}'::json,
                'created_at': {_time("created_at")},
                'updated_at': {_time("created_at")},
                'deleted_at': null
            }})::varchar as document
        from world.account
        where
            account_id in (select organization from tickets union all select account_id from records)
            and created_at <= clock()
        """,
    ),
    "groups": _projection(
        "groups",
        f"""
        select
            id::varchar as id,
            since as created_at,
            since as updated_at,
            null::timestamptz as archived_at,
            to_json({{
                'id': id, 'name': name, 'deleted': false, 'created_at': {_time("since")}, 'updated_at': {_time("since")}
            }})::varchar as document
        from {GROUPS}, (select min(hired_at) as since from world.employee)
        """,
    ),
    "satisfaction_ratings": _projection(
        "satisfaction_ratings",
        f"""
        select
            (440000 + t.ticket_id)::varchar as id,
            l.offered_at as created_at,
            l.rated_at as updated_at,
            null::timestamptz as archived_at,
            to_json({{
                'id': 440000 + t.ticket_id,
                'ticket_id': t.id,
                'requester_id': t.requester,
                'assignee_id': 700000 + l.assignee,
                'group_id': g.id,
                'score': l.satisfaction,
                'comment': null,
                'reason': null,
                'created_at': {_time("l.offered_at")},
                'updated_at': {_time("l.rated_at")}
            }})::varchar as document
        from tickets as t
        join latest as l using (ticket_id)
        left join {GROUPS} as g on coalesce(l.support_group, t.support_group) = g.name
        where l.satisfaction is not null
        """,
    ),
    "schedules": _projection(
        "schedules",
        f"""
        select
            '360601' as id, timestamptz '{_SINCE}' as created_at, timestamptz '{_SINCE}' as updated_at,
            null::timestamptz as archived_at,
            -- minutes since Sunday 0 o'clock
            to_json({{
                'id': 360601, 'name': 'Support', 'time_zone': 'Berlin', 'created_at': '{_SINCE}', 'updated_at': '{_SINCE}',
                'intervals': list_transform(range(1, 6), d -> {{'start_time': d * 1440 + 480, 'end_time': d * 1440 + 1080}})
            }})::varchar as document,
            to_json(list({{
                'id': 360700 + number, 'name': name, 'start_date': day::varchar, 'end_date': day::varchar
            }} order by number))::varchar as holidays
        from (
            select *, row_number() over (order by day) as number from world.holiday where country = 'DE'
        )
        """,
    ),
    "sla_policies": _fixed(
        "sla_policies",
        [_policy(36009001 + n, *item) for n, item in enumerate(TARGETS.items())],
    ),
    "ticket_fields": _fixed(
        "ticket_fields",
        [
            _field(360011, "Subject", "subject"),
            _field(360012, "Description", "description"),
            _field(360013, "Status", "status"),
            _field(360014, "Priority", "priority"),
            _field(360001, "Order number", "text"),
            _field(
                360002, "Topic", "tagger",
                custom_field_options=[
                    {"id": 360800 + n, "name": topic.replace("_", " ").capitalize(), "value": topic}
                    for n, topic in enumerate(TOPICS)
                ],
            ),
        ],
    ),
}  # fmt: skip


# ---- as the connector lands them ----------------------------------------------------------------


def _in_lake(name: str, document: str, archived: str = "archived_at") -> None:
    """A projection whose documents have the members that the connector adds."""
    PROJECTIONS[f"{name}_in_lake"] = Projection(
        f"zendesk_{name}_in_lake",
        f"""
        select id, created_at, updated_at, {archived} as archived_at, {document} as document
        from ({PROJECTIONS[name].sql})
        """,
    )


def _with(members: str) -> str:
    """SQL for the document with these further members, which are SQL for a text themselves."""
    return f"left(document, -1) || ',' || {members} || '}}'"


def _span_ends(span: str) -> str:
    minutes = f"to_minutes((metric_set ->> '$.{span}.calendar')::bigint)"
    moment = f"(document ->> '$.created_at')::timestamptz + {minutes}"
    return f"strftime(({moment}) at time zone 'UTC', '%Y-%m-%dT%H:%M:%S+00:00')"


_in_lake(
    "tickets",
    _with(f"""'"metric_set":' || metric_set || ',' || (to_json({{
        '_satisfaction': document ->> '$.satisfaction_rating.score',
        '_group_name': group_name,
        '_first_replied_at': {_span_ends("reply_time_in_minutes")},
        '_first_solved_at': {_span_ends("first_resolution_time_in_minutes")}
    }})::varchar)[2:-2]"""),
)
_in_lake(
    "users",
    _with("""'"identities":' || identities || coalesce(',"merged_into":' || winner, '')"""),
    # an agent who has left is still who he was
    archived="case when role = 'end-user' then archived_at end",
)
_in_lake("schedules", _with("""'"holidays":' || holidays"""))
_in_lake(
    "ticket_events",
    "json_merge_patch(document,"
    " to_json({'child_events': children_in_lake::json, '_updater_role': updater_role}))::varchar",
)
LAKE_TABLES = {
    name: f"{name}_in_lake" for name in ("tickets", "ticket_events", "users", "schedules")
}


# ---- replies that say no ------------------------------------------------------------------------


def _too_many(request: Request, options: dict[str, Any]) -> Response:
    """Its body is no JSON [A]."""
    given = options.get("retry_after", 20)
    headers = {} if given is None else {"Retry-After": str(given)}
    return PlainTextResponse(
        "Number of allowed API requests per minute exceeded", 429, headers=headers
    )


def _invalid_token(request: Request, options: dict[str, Any]) -> Response:
    described = (
        "The access token provided is expired, revoked, malformed or invalid for other reasons."
    )
    return JSONResponse({"error": "invalid_token", "error_description": described}, 401)


def _forbidden(request: Request, options: dict[str, Any]) -> Response:
    message = "You do not have access to this page. Please contact the account owner for help."
    return JSONResponse({"error": {"title": "Forbidden", "message": message}}, 403)


def _problem(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "description": description}, status)


FAULT_FORMS = {
    "throttle": _too_many,
    "throttle_text": _too_many,
    "unauthorized": _invalid_token,
    "missing_scope": _forbidden,
}


# ---- paths --------------------------------------------------------------------------------------

Handler = Callable[[Request], Response]


def routes(api: VendorApi) -> list[Route]:
    """The reading half of the Ticketing API, v2."""
    desk = _Desk(api)
    exports: dict[str, Handler] = {
        "tickets/cursor": lambda r: desk.cursor_export(r, "tickets", "metric_set"),
        "users/cursor": lambda r: desk.cursor_export(r, "users", "identities"),
        "ticket_events": lambda r: desk.time_export(r, "ticket_events"),
        "ticket_metric_events": lambda r: desk.time_export(r, "ticket_metric_events"),
        "organizations": lambda r: desk.time_export(r, "organizations"),
    }
    lists: dict[str, Handler] = {
        "groups": lambda r: desk.listing(r, "groups"),
        "ticket_fields": lambda r: desk.listing(r, "ticket_fields"),
        "slas/policies": lambda r: desk.listing(r, "sla_policies"),
        "deleted_tickets": lambda r: desk.listing(r, "deleted_tickets"),
        "satisfaction_ratings": desk.ratings,
        "users": desk.users,
        "users/me": desk.me,
        "oauth/tokens/current": desk.current_token,
        "business_hours/schedules": desk.schedules,
        "business_hours/schedules/{id:int}/holidays": desk.holidays,
        "tickets/{id:int}/comments": desk.comments,
    }
    paths = {f"incremental/{path}": desk.signed_in(h, export=True) for path, h in exports.items()}
    paths |= {path: desk.signed_in(h) for path, h in lists.items()}
    return [
        Route("/oauth/tokens", desk.token, methods=["POST"]),
        *(
            Route(f"/api/v2/{path}{suffix}", handler)
            for path, handler in paths.items()
            for suffix in (".json", "")
        ),
    ]


class _Desk:
    """What the account answers."""

    def __init__(self, api: VendorApi) -> None:
        self.api = api
        # made known, so that the journal hides them
        self.first_refresh_token = api.secret("refresh_token")
        self.client = (api.secret("client_id"), api.secret("client_secret"))
        self.basic = f"{api.secret('email')}/token:{api.secret('api_token')}"

    # ---- who may ask, and how often ------------------------------------------------------------

    def token(self, request: Request) -> Response:
        """Refreshing gives a new pair; the old one, access token included, is dead at once [A]."""
        body = anyio.from_thread.run(request.body)
        is_json = "json" in request.headers.get("content-type", "")
        asked = orjson.loads(body) if is_json else dict(parse_qsl(body.decode()))
        if (asked.get("client_id"), asked.get("client_secret")) != self.client:
            return _oauth_error("invalid_client", "Client authentication failed", 401)
        issue, life = self.api.tokens.issue, self.api.settings["token_seconds"]
        reply: dict[str, Any] = {"token_type": "bearer", "scope": "read", "expires_in": life}
        if asked.get("grant_type") == "client_credentials":
            return JSONResponse(reply | {"access_token": issue("zdaccess", life)})
        if asked.get("grant_type") != "refresh_token":
            return _oauth_error("unsupported_grant_type", "The grant type is not supported", 400)
        given = asked.get("refresh_token", "")
        if given == self.first_refresh_token:
            is_good = self.api.limit("first refresh token", 1, 1e10) is None
        else:
            is_good = self.api.tokens.valid(given, "zdrefresh")
            self.api.tokens.revoke(given)
            self.api.tokens.revoke((self.api.tokens.claims(given) or {}).get("access", ""))
        if not is_good:
            return _oauth_error("invalid_grant", "The provided grant is invalid or expired", 400)
        access = issue("zdaccess", life)
        # the claim says which access token dies with it
        renewed = issue("zdrefresh", 90 * 86_400, access=access)
        return JSONResponse(
            reply
            | {"access_token": access, "refresh_token": renewed}
            | {"refresh_token_expires_in": 90 * 86_400}
        )

    def signed_in(self, handler: Handler, *, export: bool = False) -> Handler:
        """A handler behind credentials and limits."""

        def handle(request: Request) -> Response:
            settings = self.api.settings
            if refused := self._refused(request):
                return refused
            per_minute = settings["requests_per_minute"]
            limits = [("account", per_minute)]
            if export:
                limits.append(("exports", settings["exports_per_minute"]))
            for key, calls in limits:
                if (wait := self.api.limit(key, calls, 60)) is not None:
                    return _too_many(request, {"retry_after": int(wait) + 1})
            response = handler(request)
            left = per_minute - self.api.limits.used("account", 60)
            response.headers["X-Rate-Limit"] = str(per_minute)
            response.headers["X-Rate-Limit-Remaining"] = str(left)
            return response

        return handle

    def _refused(self, request: Request) -> Response | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            is_good = self.api.tokens.valid(given, "zdaccess")
            return None if is_good else _invalid_token(request, {})
        try:
            pair = base64.b64decode(given).decode()
        except (binascii.Error, UnicodeDecodeError):
            pair = ""
        if pair == self.basic and self.api.settings["api_tokens"]:
            return None
        return JSONResponse({"error": "Couldn't authenticate you"}, 401)

    def current_token(self, request: Request) -> Response:
        """Until when the shown token lives."""
        given = request.headers.get("authorization", "").partition(" ")[2]
        ends = (self.api.tokens.claims(given) or {}).get("ends")
        expires = self.api.query(f"select {_time('to_timestamp(?)')}", [ends])[0][0]
        return JSONResponse({"token": {"id": 1, "scopes": ["read"], "expires_at": expires}})

    def me(self, request: Request) -> Response:
        user = {"id": 700001, "name": "Warehouse", "role": "admin", "active": True}
        return JSONResponse({"user": user})

    # ---- exports -------------------------------------------------------------------------------

    def cursor_export(self, request: Request, name: str, sideload: str) -> Response:
        """Rows by when they last changed, then id; the cursor is the last row's place."""
        params, until = request.query_params, self._until()
        self._check(request, {"start_time", "cursor", "per_page", "include", "exclude_deleted"})
        if given := params.get("cursor"):
            place = _place(given)
            if place is None:
                return _problem(400, "InvalidCursor", "cursor is not valid")
        else:
            start = _start(params.get("start_time"), until)
            if isinstance(start, Response):
                return start
            place = (start, -1, 0)
        stamp, number, turn = place
        size = min(int(params.get("per_page", 1000)), self.api.settings["export_page"])
        where = "and archived_at is null" if params.get("exclude_deleted") == "true" else ""
        document = "document"
        if name == "users" and not self.api.settings["merged_keeps_email"]:
            document = (
                "case when is_merged then json_merge_patch(document, '{\"email\": null}')"
                " else document end"
            )
        rows = self.api.query(
            f"""
            select {document}, {sideload}, {_second("updated_at")} as stamp, id::bigint as number
            from {self.api.table(name)}
            where stamp < ? and (stamp, number) > (?, ?) {where}
            order by stamp, number
            limit ?
            """,
            [until, stamp, number, size + 1],
        )
        has_more, rows = len(rows) > size, rows[:size]
        if self.api.fault("repeated_cursor"):
            has_more = True
        elif self.api.fault("empty_page"):  # nothing yet, and more to come
            has_more, rows, turn = True, [], turn + 1
        elif rows:
            stamp, number, turn = rows[-1][2], rows[-1][3], 0
        cursor = _cursor(stamp, number, turn)
        envelope: dict[str, Any] = {
            "after_url": self.api.url(request, f"{_own_path(request)}?cursor={cursor}"),
            "after_cursor": cursor, "before_url": None, "before_cursor": None,
            "end_of_stream": not has_more,
        }  # fmt: skip
        wanted = {"metric_set": "metric_sets"}.get(sideload, sideload)
        if wanted in params.get("include", "").split(","):
            texts = (row[1] if row[1].startswith("{") else row[1][1:-1] for row in rows)
            envelope[wanted] = orjson.Fragment(f"[{','.join(filter(None, texts))}]")
        return self.api.json([row[0] for row in rows], key=name, **envelope)

    def time_export(self, request: Request, name: str) -> Response:
        """Rows from a second on. What shares the last second of a page comes again on the next."""
        if refused := self._gated(request, name):
            return refused
        self._check(request, {"start_time", "include", "per_page"})
        until = self._until()
        start = _start(request.query_params.get("start_time"), until)
        if isinstance(start, Response):
            return start
        table, size = self.api.table(name), self.api.settings["export_page"]
        if self.api.settings["ties_in_full"]:
            # else a second with more rows than a page holds could never be left
            same = f"select count(*) from {table} where {_second('updated_at')} = ?"
            size += self.api.query(same, [start])[0][0]
        rows = self.api.query(
            f"""
            select document, {_second("updated_at")} as stamp
            from {table}
            where stamp >= ? and stamp < ?
            order by stamp, id::bigint
            limit ?
            """,
            [start, until, size + 1],
        )
        has_more, rows = len(rows) > size, rows[:size]
        end = rows[-1][1] if rows else start
        if self.api.fault("repeated_cursor"):
            has_more, end = True, start
        elif self.api.fault("empty_page"):
            has_more, rows, end = True, [], start
        include = request.query_params.get("include")
        documents = [row[0] for row in rows]
        if name == "ticket_events" and include != "comment_events":
            documents = [_without_comments(text) for text in documents]
        query = urlencode({"start_time": end} | ({"include": include} if include else {}))
        return self.api.json(
            documents, key=name, count=len(rows), end_time=end, end_of_stream=not has_more,
            next_page=self.api.url(request, f"{_own_path(request)}?{query}"),
        )  # fmt: skip

    def _until(self) -> int:
        """The second from which on rows are withheld."""
        clock = int(self.api.company.clock.timestamp())
        return clock - int(self.api.settings["withheld_seconds"])

    # ---- lists ---------------------------------------------------------------------------------

    def ratings(self, request: Request) -> Response:
        where, values = "true", []
        if since := request.query_params.get("start_time"):
            where, values = f"{_second(self.api.settings['ratings_since'])} >= ?", [int(since)]
        return self.listing(request, "satisfaction_ratings", where, values, {"start_time"})

    def users(self, request: Request) -> Response:
        """Deleted users are not listed."""
        params = request.query_params
        roles = [*params.getlist("role[]"), *params.getlist("role")]
        where = "archived_at is null"
        if roles:
            where += f" and role in ({', '.join('?' * len(roles))})"
        return self.listing(request, "users", where, roles, {"role[]", "role"})

    def listing(
        self, request: Request, name: str, where: str = "true", values: list[Any] | None = None,
        known: set[str] | None = None,
    ) -> Response:  # fmt: skip
        """A list by id: cursor pages where `page[size]` is asked for, else by offset."""
        if refused := self._gated(request, name):
            return refused
        paging = {"page[size]", "page[after]", "page", "per_page"}
        self._check(request, paging | (known or set()))
        params, most = request.query_params, self.api.settings["list_page"]
        table, values = self.api.table(name), values or []
        kept = [(k, v) for k, v in params.multi_items() if k not in paging]
        if "page[size]" not in params:
            return self._offset_page(request, name, where, values, kept)
        size = int(params["page[size]"])
        after = (0, 0, 0)
        if given := params.get("page[after]"):
            after = _place(given) or (-1, 0, 0)
        if not 1 <= size <= 100 or after[0] < 0:
            return _problem(400, "InvalidPaginationParameter", "page[size] is between 1 and 100")
        size = min(size, most)
        rows = self.api.query(
            f"select document, id::bigint as number from {table}"
            f" where ({where}) and number > ? order by number limit ?",
            [*values, after[1], size + 1],
        )
        has_more, rows = len(rows) > size, rows[:size]
        cursor = given
        if self.api.fault("repeated_cursor"):
            has_more, cursor = True, _cursor(0, after[1])
        elif self.api.fault("empty_page"):
            has_more, rows, cursor = True, [], _cursor(0, after[1], after[2] + 1)
        elif rows:
            cursor = _cursor(0, rows[-1][1])
        query = urlencode([*kept, ("page[size]", str(size)), ("page[after]", cursor or "")])
        return self.api.json(
            [row[0] for row in rows], key=name,
            meta={"has_more": has_more, "after_cursor": cursor, "before_cursor": None},
            # a link even where nothing follows [B]
            links={"next": self.api.url(request, f"{_own_path(request)}?{query}"), "prev": None},
        )  # fmt: skip

    def _offset_page(
        self, request: Request, name: str, where: str, values: list[Any], kept: list[Any]
    ) -> Response:
        params, table = request.query_params, self.api.table(name)
        page = int(params.get("page", 1))
        size = min(int(params.get("per_page", 100)), self.api.settings["list_page"])
        if page * size > self.api.settings["offset_rows"]:
            return _problem(400, "InvalidPaginationDepth", "Use cursor pagination")
        (count,) = self.api.query(f"select count(*) from {table} where {where}", values)[0]
        rows = self.api.query(
            f"select document from {table} where {where} order by id::bigint limit ? offset ?",
            [*values, size, (page - 1) * size],
        )

        def link(number: int) -> str:
            query = urlencode([*kept, ("page", number), ("per_page", size)])
            return self.api.url(request, f"{_own_path(request)}?{query}")

        return self.api.json(
            [row[0] for row in rows], key=name, count=count,
            next_page=link(page + 1) if page * size < count else None,
            previous_page=link(page - 1) if page > 1 else None,
        )  # fmt: skip

    def schedules(self, request: Request) -> Response:
        """All of them at once."""
        if refused := self._gated(request, "schedules"):
            return refused
        rows = self.api.query(f"select document from {self.api.table('schedules')} order by id")
        return self.api.json([row[0] for row in rows], key="schedules")

    def holidays(self, request: Request) -> Response:
        rows = self.api.query(
            f"select holidays from {self.api.table('schedules')} where id::bigint = ?",
            [request.path_params["id"]],
        )
        if not rows:
            return _problem(404, "RecordNotFound", "Not found")
        return JSONResponse({"holidays": orjson.loads(rows[0][0])})

    def comments(self, request: Request) -> Response:
        """Of a ticket that is there; those of a deleted one are not."""
        number = request.path_params["id"]
        live = f"select 1 from {self.api.table('tickets')} where id = ? and archived_at is null"
        if not self.api.query(live, [str(number)]):
            return _problem(404, "RecordNotFound", "Not found")
        rows = self.api.query(
            f"select document from {self.api.table('ticket_events')} where ticket = ?"
            " order by created_at",
            [number],
        )
        comments = [
            child | {"audit_id": event["id"]}
            for event in (orjson.loads(row[0]) for row in rows)
            for child in event["child_events"]
            if child["event_type"] == "Comment"
        ]
        return JSONResponse({"comments": comments, "count": len(comments), "next_page": None})

    def _gated(self, request: Request, name: str) -> Response | None:
        return _forbidden(request, {}) if name in self.api.settings["gated"] else None

    def _check(self, request: Request, known: set[str]) -> None:
        if unknown := request.query_params.keys() - known:
            self.api.unsupported(request, f"parameters {', '.join(sorted(unknown))}")


def _start(text: str | None, until: int) -> int | Response:
    """The `start_time` that was asked for; it must lie more than a minute back [A]."""
    try:
        start = int(text or "")
    except ValueError:
        return _problem(400, "InvalidValue", "start_time is not an integer")
    if start >= until:
        return _problem(400, "StartTimeTooRecent", "Use a start_time older than 60 seconds")
    return start


def _cursor(stamp: int, number: int, turn: int = 0) -> str:
    """A place between rows; `turn` tells replies apart that lead to one place."""
    text = f"{stamp}.0||{number}" + (f"||{turn}" if turn else "")
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[int, int, int] | None:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        stamp, number, *turn = text.split("||")
        return int(float(stamp)), int(number), int(turn[0]) if turn else 0
    except (ValueError, binascii.Error):
        return None


def _own_path(request: Request) -> str:
    """The path that was asked for, without the vendor's prefix."""
    return request.url.path.removeprefix(request.scope["sim.prefix"])


def _without_comments(text: str) -> str:
    event = orjson.loads(text)
    for child in event["child_events"]:
        for name in ("body", "html_body", "plain_body"):
            child.pop(name, None)
    return orjson.dumps(event).decode()


def _oauth_error(error: str, description: str, status: int) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)
