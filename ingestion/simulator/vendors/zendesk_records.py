"""What Zendesk knows of the company, as its records. For their ids see `zendesk.py`."""

from pathlib import Path
from typing import Any

import orjson

from ingestion.simulator.projection import Projection

# what is promised, by metric of a policy and priority: minutes, and whether of business time
TARGETS: dict[str, tuple[bool, dict[str, int]]] = {
    "first_reply_time": (True, {"urgent": 60, "high": 240, "normal": 480, "low": 1440}),
    "next_reply_time": (True, {"urgent": 120, "high": 300, "normal": 600, "low": 1440}),
    "requester_wait_time": (False, {"urgent": 480, "high": 1440, "normal": 2880, "low": 5760}),
    "agent_work_time": (True, {"urgent": 240, "high": 600, "normal": 1200, "low": 2400}),
}
PRIORITIES = ("urgent", "high", "normal", "low")
TOPICS = ("delivery", "product_quality", "payment", "returns", "size_fit", "price", "assortment",
          "website", "account", "support")  # fmt: skip

_COMMON = Path(__file__).with_name("zendesk.sql").read_text()
_SINCE = "2024-01-01T00:00:00Z"  # when the account was set up
GROUPS = (
    "(select support_group as name, 360000 + row_number() over (order by support_group) as id"
    " from (select distinct support_group from world.employee where support_group is not null))"
)


def time_text(column: str) -> str:
    """SQL for a time as Zendesk writes it."""
    return f"strftime(({column}) at time zone 'UTC', '%Y-%m-%dT%H:%M:%SZ')"


def second_of(column: str) -> str:
    """SQL for the second since 1970 that a time falls into."""
    return f"(epoch_us({column}) // 1000000)"


def _target(metric: str, priority: str = "t.priority") -> str:
    cases = " ".join(f"when '{p}' then {minutes}" for p, minutes in TARGETS[metric][1].items())
    return f"case {priority} {cases} end"


def _minutes(calendar: str, business: str) -> str:
    return f"{{'calendar': {calendar}, 'business': {business}}}"


def _since_creation(moment: str, business: str) -> str:
    return _minutes(
        f"date_diff('second', t.created_at, {moment}) // 60", f"({business} - c.business) // 60"
    )


def _role(actor: str) -> str:
    return f"case when {actor} in ('customer', 'agent') then {actor} else 'system' end"


def _with(members: str, document: str = "document") -> str:
    """SQL for a document with these further members, which are SQL for a text themselves."""
    return f"left({document}, -1) || ',' || {members} || '}}'"


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


def _policy(number: int, priority: str) -> dict[str, Any]:
    return {
        "id": number, "title": f"Targets, {priority}", "position": number - 36009000,
        "description": None,
        "filter": {
            "all": [{"field": "priority", "operator": "is", "value": priority}], "any": [],
        },
        "policy_metrics": [
            {
                "priority": priority, "metric": metric, "target": minutes[priority],
                "target_in_seconds": minutes[priority] * 60, "business_hours": in_business_hours,
            }
            for metric, (in_business_hours, minutes) in TARGETS.items()
        ],
    }  # fmt: skip


_CHILDREN = """'"child_events":' || children"""
_TICKET_CHANGED = "greatest(t.created_at, l.edited_at, k.spoken_at)"
# it moves on what the system does too, unlike `updated_at`
_GENERATED = "greatest(t.created_at, l.changed_at, k.spoken_at, t.moved_at, t.gone_at)"

# One event a moment and ticket; its child events say what changed, a comment is one of them.
_EVENTS = f"""
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
            'body': body, 'html_body': '<p>' || body || '</p>', 'plain_body': body, 'created_at': {time_text('"at"')},
            'via': channel
        }}),
        to_json({{'_author_role': {_role("author")}}})
    from messages
),
audits as (
    select
        (3100000000 + min(number))::varchar as id,
        "at" as happened_at,
        ticket,
        to_json({{
            'id': 3100000000 + min(number),
            'ticket_id': ticket,
            'timestamp': {second_of('"at"')},
            'created_at': {time_text('"at"')},
            'updater_id': arg_min(updater_id, number),
            'via': 'Web form',
            'event_type': 'Audit'
        }})::varchar as event,
        to_json(list(json_merge_patch('{{}}', child) order by number))::varchar as children,
        to_json(list(json_merge_patch('{{}}', child, added) order by number))::varchar as children_in_lake,
        {_role("arg_min(actor, number)")} as updater_role
    from children
    group by ticket, "at"
)
"""


def _events(document: str) -> str:
    return f"""
        {_EVENTS}
        select id, happened_at as created_at, happened_at as updated_at, null::timestamptz as archived_at, ticket,
            {document} as document
        from audits
    """


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
                'created_at': {time_text("t.created_at")},
                'updated_at': {time_text(_TICKET_CHANGED)},
                'generated_timestamp': {second_of(_GENERATED)},
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
                'created_at': {time_text("t.created_at")},
                'updated_at': {time_text(_TICKET_CHANGED)},
                'group_stations': greatest(coalesce(s.groups, 0), 1),
                'assignee_stations': coalesce(s.assignees, 0),
                'reopens': coalesce(s.reopens, 0),
                'replies': coalesce(k.replies, 0),
                'assignee_updated_at': {time_text("k.assignee_spoke_at")},
                'requester_updated_at': {time_text("k.requester_spoke_at")},
                'status_updated_at': {time_text("s.status_updated_at")},
                'initially_assigned_at': {time_text("s.first_assigned_at")},
                'assigned_at': {time_text("s.assigned_at")},
                'solved_at': {time_text("w.solved_at")},
                'latest_comment_added_at': {time_text("k.spoken_at")},
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
                'deleted_at': {time_text("t.gone_at")}, 'previous_state': coalesce(l.status, 'new')
            }})::varchar as document
        from tickets as t
        left join latest as l using (ticket_id)
        where t.gone_at > clock() - interval 30 days
        """,
    ),
    "ticket_events": _projection("ticket_events", _events(_with(_CHILDREN, "event"))),
    # Each reply has a target in business time, which begins anew with what the customer writes next;
    # the wait of the requester and the agents' work have one in all, their clocks run by status.
    "ticket_metric_events": _projection(
        "ticket_metric_events",
        f"""
        , clocks as (
            select
                s.*, m.metric, m.number, list_contains(m.runs_in, status) as runs, b.business,
                lag(list_contains(m.runs_in, status)) over turns as ran,
                lag(status) over turns in ('solved', 'closed') as was_done,
                coalesce(sum(case m.metric when 'agent_work_time' then e.business - b.business
                    else date_diff('second', begins, ends) end) filter (where list_contains(m.runs_in, status)) over (
                    turns rows between unbounded preceding and 1 preceding
                ), 0)::bigint as seconds_before,
                1 + count(*) filter (where status = 'solved') over (turns rows between unbounded preceding and 1 preceding) as instance_id
            from spans as s
            cross join (values
                ('agent_work_time', ['new', 'open'], 0), ('requester_wait_time', ['new', 'open', 'hold'], 1)
            ) as m (metric, runs_in, number)
            join clocked as b on s.begins = b.moment
            left join clocked as e on s.ends = e.moment
            window turns as (partition by s.ticket_id, m.metric order by begins, ticket_event_id)
        ),
        -- of each reply: what it is an answer to, and when it came or was needed no more
        asked as (
            select
                51000000000 + t.ticket_id * 8 as id, t.ticket_id, t.id as ticket, 1 as instance_id, t.created_at as asked_at,
                k.replied_at, {_target("first_reply_time")} as target
            from tickets as t
            left join talk as k using (ticket_id)
            union all
            select
                61000000000 + q.message_id * 8, t.ticket_id, t.id,
                1 + row_number() over (partition by t.ticket_id order by q.asked_at), q.asked_at, q.replied_at,
                {_target("next_reply_time", "coalesce(p.to_value, t.priority)")}
            from questions as q
            join tickets as t using (ticket_id)
            asof left join (select * from events where field = 'priority') as p
                on q.ticket_id = p.ticket_id and q.asked_at >= p.at
        ),
        waiting as (
            select
                a.* exclude (replied_at), least(a.replied_at, d.begins) as ended_at, a.replied_at,
                c.business, r.business as replied_business
            from asked as a
            join clocked as c on a.asked_at = c.moment
            left join clocked as r on a.replied_at = r.moment
            asof left join (select ticket_id, begins from spans where status in ('solved', 'closed')) as d
                on a.ticket_id = d.ticket_id and a.asked_at <= d.begins
        ),
        promised as (
            select ticket_id, id as ticket, created_at, 'requester_wait_time' as metric, {_target("requester_wait_time")} as target, 5 as number
            from tickets as t
            union all
            select ticket_id, id, created_at, 'agent_work_time', {_target("agent_work_time")}, 7 from tickets as t
        ),
        -- the second in which the time is used up
        due as (
            select w.id + 4 as id, w.ticket, 'reply_time' as metric, w.instance_id, w.ended_at, w.business + w.target * 60 as business, null::timestamptz as due_at
            from waiting as w
            union all
            select
                case p.metric when 'agent_work_time' then 55000000000 + p.ticket_id else 51000000000 + p.ticket_id * 8 + 6 end,
                p.ticket, p.metric, c.instance_id, c.ends,
                case p.metric when 'agent_work_time' then c.business + p.target * 60 - c.seconds_before end,
                case p.metric when 'requester_wait_time' then c.begins + to_seconds(p.target * 60 - c.seconds_before) end
            from promised as p
            join clocks as c on p.ticket_id = c.ticket_id and p.metric = c.metric and c.runs and c.seconds_before <= p.target * 60
        ),
        missed as (
            select u.*, coalesce(due_at, d.opens_at + to_seconds(u.business - d.worked * 60)) as missed_at
            from due as u
            left join calendar as d on u.business > d.worked * 60 and u.business <= (d.worked + d.minutes) * 60
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
            select id, ticket, 'reply_time', instance_id, asked_at, 'activate', null, null from waiting
            union all
            select id + 1, ticket, 'reply_time', instance_id, asked_at, 'apply_sla', {{'target': target, 'business_hours': true}}, null
            from waiting
            union all
            select id + 2, ticket, 'reply_time', instance_id, replied_at, 'fulfill', null, null
            from waiting where replied_at is not null
            union all
            select
                id + 3, ticket, 'reply_time', instance_id, replied_at, 'update_status', null,
                {{'calendar': date_diff('second', asked_at, replied_at) // 60, 'business': (replied_business - business) // 60}}
            from waiting where replied_at is not null
            union all
            select
                51000000000 + ticket_id * 8 + number, ticket, metric, 1, created_at, 'apply_sla',
                {{'target': target, 'business_hours': metric = 'agent_work_time'}}, null
            from promised
            union all
            select id, ticket, metric, instance_id, missed_at, 'breach', null, null
            from missed where missed_at < coalesce(ended_at, clock())
        )
        select
            id::varchar as id,
            happens_at as created_at,
            happens_at as updated_at,
            null::timestamptz as archived_at,
            to_json({{
                'id': id, 'ticket_id': ticket, 'metric': metric, 'instance_id': instance_id, 'type': type,
                'time': {time_text("happens_at")}, 'sla': sla, 'status': status, 'deleted': false
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
                'created_at': {time_text("u.created_at")},
                'updated_at': {time_text("u.changed_at")}
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
                    'created_at': {time_text("u.created_at")}, 'updated_at': {time_text("u.changed_at")}
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
                'created_at': {time_text("hired_at")},
                'updated_at': {time_text("changed_at")}
            }})::varchar,
            to_json([{{
                'id': 900000000 + employee_id, 'user_id': 700000 + employee_id, 'type': 'email', 'value': email,
                'primary': true, 'verified': true, 'created_at': {time_text("hired_at")}, 'updated_at': {time_text("hired_at")}
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
                'created_at': {time_text("created_at")},
                'updated_at': {time_text("created_at")},
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
                'id': id, 'name': name, 'deleted': false, 'created_at': {time_text("since")}, 'updated_at': {time_text("since")}
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
                'created_at': {time_text("l.offered_at")},
                'updated_at': {time_text("l.rated_at")}
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
        [_policy(36009001 + n, priority) for n, priority in enumerate(PRIORITIES)],
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
PROJECTIONS["ticket_events_in_lake"] = _projection(
    "ticket_events_in_lake",
    _events(_with("""'"child_events":' || children_in_lake || ',"_updater_role":"' || updater_role || '"'""", "event")),
)  # fmt: skip
LAKE_TABLES = {
    name: f"{name}_in_lake" for name in ("tickets", "ticket_events", "users", "schedules")
}
