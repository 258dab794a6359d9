"""SurveyMonkey as the company uses it: the half-yearly relationship survey, and a small poll.

Ids: a survey is 400000000 plus the world's number (the poll 400000090), a response 118000000000
plus its own, a recipient 5500000000 plus the invitation's. A collector is a month of invitations
(90000000 + yyyymm), a message in it a day of them (7yyyymmdd). Who is erased leaves anonymous
recipients and responses behind.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingestion.simulator.projection import Projection

VENDOR = "surveymonkey"

SETTINGS: dict[str, Any] = {
    "per_page_default": 50,  # [A]
    "per_page_max": 1000,  # of lists [A/B]
    "bulk_max": 100,  # of responses with their answers [A]
    "calls_per_minute": 120,  # of a private app [A]
    "calls_per_day": 500,  # likewise; anew at 00:00 GMT [A]
    "modified_is_strict": False,  # start_modified_at is "after" in words, inclusive in fact [C]
    "scopes": (
        "surveys_read", "collectors_read", "contacts_read", "responses_read",
        "responses_read_detail", "users_read",
    ),
    "deleted_surveys": (),  # ids
}  # fmt: skip

POLL = "400000090"
_COMMON = Path(__file__).with_suffix(".sql").read_text()
_DAY, _MINUTE = 86_400, 60


def _time(column: str) -> str:
    return f"strftime(({column}) at time zone 'UTC', '%Y-%m-%dT%H:%M:%S+00:00')"


def _projection(name: str, sql: str) -> Projection:
    return Projection(f"surveymonkey_{name}", f"{_COMMON}\n{sql}")


def _in_lake(name: str, added: str) -> Projection:
    """A projection with what the connector adds to a document, which does not say it itself."""
    return Projection(
        f"surveymonkey_{name}_in_lake",
        f"""
        select * replace (json_merge_patch(document, to_json({{{added}}}))::varchar as document)
        from (\n{PROJECTIONS[name].sql}\n)
        """,
    )


_SURVEYS = """
    select
        s.sid, s.title, 'Relationship' as nickname, s.created_at,
        case when happened(s.edited_at, s.survey_id) then s.edited_at else s.created_at end as modified_at,
        2 as questions, 1 as pages, 'en' as language,
        (select count(*) from answered as a where a.sid = s.sid) as responses
    from surveys as s
    union all
    select
        sid, 'Packaging poll', '', created_at, created_at, 1, 1, 'en', (select count(*) from polled)
    from poll where happened(created_at, sid)
"""
_SURVEY = f"""
    'id': sid, 'title': title, 'nickname': nickname, 'language': language, 'folder_id': '0',
    'question_count': questions, 'page_count': pages, 'response_count': responses,
    'date_created': {_time("created_at")}, 'date_modified': {_time("modified_at")},
    'custom_variables': case when sid = '{POLL}' then '{{}}'::json else '{{"order": "order"}}'::json end
"""
# weights and texts of the rating's choices; `edit` is 1 once they were made anew
_CHOICES = """
    list_transform(range(scale_min, scale_max + 1), w -> {
        'id': (88000 + 100 * edit + w)::varchar, 'position': w - scale_min + 1, 'text': w::varchar,
        'weight': w, 'visible': true, 'is_na': false, 'description': ''
    })
"""
_POLL_CHOICES = ("Cardboard box", "Paper bag", "Reusable bag")


def _choice(text: str, position: int) -> str:
    return (
        f"{{'id': '8900{position}', 'position': {position}, 'text': '{text}', 'weight': {position},"
        " 'visible': true, 'is_na': false, 'description': ''}"
    )


def _question(
    question_id: str, position: int, heading: str, family: str, subtype: str, answers: str
) -> str:
    return f"""
        to_json({{
            'id': '{question_id}', 'position': {position}, 'visible': true,
            'family': '{family}', 'subtype': '{subtype}',
            'headings': [{{'heading': {heading}}}], 'required': null::json, 'answers': {answers}
        }})
    """


PROJECTIONS = {
    "surveys": _projection(
        "surveys",
        f"""
        select
            sid as id, created_at, modified_at as updated_at, null::timestamptz as archived_at,
            to_json({{{_SURVEY}}})::varchar as document
        from ({_SURVEYS})
        """,
    ),
    "survey_details": _projection(
        "survey_details",
        f"""
        , documents as (
            select
                a.*,
                case when a.sid = '{POLL}' then [
                    {_question("7011", 1, "'Which packaging do you prefer?'", "single_choice", "vertical",
                        f"{{'choices': [{', '.join(_choice(t, n) for n, t in enumerate(_POLL_CHOICES, 1))}],"
                        " 'other': {'id': '89009', 'text': 'Other (please specify)', 'visible': true, 'is_answer_choice': true}}")}
                ] else [
                    {_question("7001", 1, "s.question || '<br>'", "matrix", "rating",
                        "{'rows': [{'id': '7101', 'position': 1, 'text': '', 'visible': true}], 'choices': choices}")},
                    {_question("7002", 2, "s.comment_question", "open_ended", "essay", "null::json")}
                ] end as questions_json
            from ({_SURVEYS}) as a
            left join (
                select
                    *, (happened(edited_at, survey_id))::int as edit, {_CHOICES} as choices
                from surveys
            ) as s on a.sid = s.sid
        )
        select
            sid as id, created_at, modified_at as updated_at, null::timestamptz as archived_at,
            to_json({{
                {_SURVEY},
                'pages': [{{
                    'id': '30' || right(sid, 3), 'title': '', 'description': '', 'position': 1,
                    'question_count': questions, 'questions': questions_json
                }}]
            }})::varchar as document
        from documents
        """,
    ),
    "collectors": _projection(
        "collectors",
        f"""
        select
            cid as id, min(sent_at) as created_at,
            greatest(max(sent_at), max(answered_at)) as updated_at, null::timestamptz as archived_at,
            any_value(sid) as sid,
            to_json({{
                'id': cid, 'name': strftime(min(sent_at), 'Relationship %Y-%m'), 'type': 'email',
                'status': 'open', 'response_count': count(answered_at),
                'date_created': {_time("min(sent_at)")},
                'date_modified': {_time("greatest(max(sent_at), max(answered_at))")}
            }})::varchar as document
        from invited
        group by cid
        union all
        select
            '90000090', created_at, created_at, null, sid,
            to_json({{
                'id': '90000090', 'name': 'Packaging poll', 'type': 'weblink', 'status': 'open',
                'response_count': (select count(*) from polled),
                'date_created': {_time("created_at")}, 'date_modified': {_time("created_at")}
            }})::varchar
        from poll
        where happened(created_at, sid)
        """,
    ),
    "messages": _projection(
        "messages",
        f"""
        select
            cid || '|' || mid as id, min(sent_at) as created_at, min(sent_at) as updated_at,
            null::timestamptz as archived_at, cid,
            to_json({{
                'id': mid, 'type': 'invite', 'status': 'sent', 'is_scheduled': true,
                'subject': 'How are we doing?',
                'scheduled_date': {_time("min(sent_at)")}, 'date_created': {_time("min(sent_at)")}
            }})::varchar as document
        from invited
        group by cid, mid
        """,
    ),
    "recipients": _projection(
        "recipients",
        """
        select
            mid || '|' || rid as id, sent_at as created_at,
            greatest(sent_at, answered_at) as updated_at, null::timestamptz as archived_at,
            cid, mid, min(sent_at) over (partition by cid, mid) as message_sent_at,
            to_json({
                'id': rid, 'survey_id': sid, 'email': case when is_erased then '' else email end,
                'phone_number': '', 'mail_status': mail_status,
                'survey_response_status': response_status,
                'custom_fields': '{}'::json, 'extra_fields': '{}'::json
            })::varchar as document
        from invited
        """,
    ),
    "responses": _projection(
        "responses",
        f"""
        , documents as (
            select
                a.sid, (118000000000 + a.response_id)::varchar as id,
                i.cid as collector_id, case when i.is_erased then '' else i.rid end as recipient_id,
                case when a.is_complete then 'completed' else 'partial' end as response_status,
                i.order_id, a.duration_seconds, a.started_at as created_at, a.modified_at,
                case when i.is_erased then '' else '203.0.113.' || (a.response_id % 250) end as ip,
                case when i.is_erased then '{{}}'::json else to_json({{
                    'contact': {{
                        'email': {{'type': 'string', 'value': i.email}},
                        'first_name': {{'type': 'string', 'value': coalesce(i.first_name, '')}},
                        'last_name': {{'type': 'string', 'value': coalesce(i.last_name, '')}}
                    }},
                    'respondent': {{'language': {{'type': 'string', 'value': p.language}}}}
                }}) end as metadata,
                list_filter([
                    case when a.score is not null then to_json({{
                        'id': '7001', 'answers': [{{
                            'row_id': '7101',
                            'choice_id': (88000 + 100 * a.is_edited::int + a.score)::varchar,
                            'text': a.score::varchar, 'choice_metadata': {{'weight': a.score::varchar}}
                        }}]
                    }}) end,
                    case when a.comment is not null and a.is_complete then to_json({{
                        'id': '7002', 'answers': [{{'text': a.comment}}]
                    }}) end
                ], q -> q is not null) as questions
            from answered as a
            left join invited as i using (invitation_id)
            left join world.person as p on a.person_id = p.person_id
            union all
            select
                sid, (119000000000 + n)::varchar, '90000090', '', 'completed', null, 10 + n % 20,
                answered_at, answered_at, '198.51.100.' || n, '{{}}'::json,
                [to_json({{
                    'id': '7011', 'answers': [
                        case when n % 7 = 0
                            then to_json({{'other_id': '89009', 'text': 'none at all'}})
                            else to_json({{'choice_id': '8900' || (1 + n % 3)}})
                        end
                    ]
                }})]
            from polled
        )
        select
            sid || '|' || id as id, created_at, modified_at as updated_at,
            null::timestamptz as archived_at, sid, id as response_id,
            to_json({{
                'id': id, 'survey_id': sid, 'collector_id': collector_id, 'recipient_id': recipient_id,
                'response_status': response_status, 'collection_mode': 'default', 'custom_value': '',
                'custom_variables': case when order_id is null then '{{}}'::json
                    else to_json({{'order': (4500000000 + order_id)::varchar}}) end,
                'ip_address': ip, 'total_time': duration_seconds,
                'date_created': {_time("created_at")}, 'date_modified': {_time("modified_at")},
                'edit_url': 'https://www.surveymonkey.com/r/?sm=' || md5(id),
                'analyze_url': 'https://www.surveymonkey.com/analyze/browse/' || md5(sid),
                'logic_path': '{{}}'::json, 'page_path': []::varchar[], 'metadata': metadata,
                'pages': [{{'id': '30' || right(sid, 3), 'questions': questions}}]
            }})::varchar as document
        from documents
        """,
    ),
    "contacts": _projection(
        "contacts",
        """
        select
            external_id as id, created_at, changed_at as updated_at, null::timestamptz as archived_at,
            to_json({
                'id': external_id, 'email': coalesce(email, ''),
                'first_name': coalesce(first_name, ''), 'last_name': coalesce(last_name, ''),
                'phone_number': '', 'custom_fields': '{}'::json
            })::varchar as document
        from persons
        where state = 'live'
        """,
    ),
}  # fmt: skip
PROJECTIONS["collectors_in_lake"] = _in_lake("collectors", "'_survey_id': sid")
PROJECTIONS["recipients_in_lake"] = _in_lake(
    "recipients", f"'_message_id': mid, '_sent_at': {_time('message_sent_at')}"
)
LAKE_TABLES = {"collectors": "collectors_in_lake", "recipients": "recipients_in_lake"}

# what lists give without `include`
_ALWAYS = {"id", "title", "nickname", "name", "email", "href"}


def _too_many(request: Request, options: dict[str, Any]) -> Response:
    """No header says how long to wait, unless the fault gives some."""
    reply = _problem("1040", "Rate limit reached", "Too many requests were made, try again later.")
    reply.headers.update({k: str(v) for k, v in options.get("headers", {}).items()})
    return reply


def _not_here(request: Request, options: dict[str, Any]) -> Response:
    return _problem("1018", "Permission Error", "The account is hosted in another region.")


def _deleted(request: Request, options: dict[str, Any]) -> Response:
    return _problem("1020", "Resource Not Found", "There was an error retrieving the resource.")


FAULT_FORMS = {"throttle": _too_many, "wrong_region": _not_here, "survey_deleted": _deleted}


def routes(api: Any) -> list[Route]:
    """The reading half of API v3."""

    def day() -> str:
        return f"day {api.now():%Y-%m-%d}"

    def left() -> dict[str, str]:
        """What the limits leave, in the headers of every reply [A]."""
        now = api.now()
        midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
        headers = {}
        for name, key, span, reset in (
            ("Minute", "minute", _MINUTE, 60),
            ("Day", day(), 2 * _DAY, (midnight - now).total_seconds()),
        ):
            most = api.settings[f"calls_per_{name.lower()}"]
            prefix = f"X-Ratelimit-App-Global-{name}"
            headers[f"{prefix}-Limit"] = str(most)
            headers[f"{prefix}-Remaining"] = str(most - api.limits.used(key, span))
            headers[f"{prefix}-Reset"] = str(int(reset))
        return headers

    def limited(
        handler: Callable[[Request], Response], scope: str
    ) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or token != api.secret("access_token"):
                return _problem(
                    "1011", "Authorization Error", "The authorization token is invalid."
                )
            if api.limit("minute", api.settings["calls_per_minute"], _MINUTE) is not None:
                return _too_many(request, {})
            if api.limit(day(), api.settings["calls_per_day"], 2 * _DAY) is not None:
                return _too_many(request, {})
            if scope not in api.settings["scopes"]:
                return _problem("1014", "Permission Error", f"This needs the scope {scope}.")
            survey = request.path_params.get("survey")
            if survey in api.settings["deleted_surveys"]:
                return _deleted(request, {})
            return handler(request)

        def handle(request: Request) -> Response:
            reply = answer(request)
            reply.headers.update(left())
            return reply

        return handle

    def listing(
        request: Request, name: str, where: str = "true", values: tuple[Any, ...] = (),
        *, most: str = "per_page_max", document: str = "document", order: str = "created_at, id",
        keep: set[str] | None = None,
    ) -> Response:  # fmt: skip
        asked = request.query_params
        if unknown := asked.keys() - PARAMETERS:
            api.unsupported(request, f"parameters {', '.join(sorted(unknown))}")
            return _problem("1002", "Bad Request", f"{', '.join(sorted(unknown))}: not supported.")
        try:
            page = int(asked.get("page", 1))
            per_page = int(asked.get("per_page", api.settings["per_page_default"]))
            conditions = [where]
            for parameter, operator in (("start_modified_at", ">="), ("end_modified_at", "<")):
                if text := asked.get(parameter):
                    if operator == ">=" and api.settings["modified_is_strict"]:
                        operator = ">"
                    # replies give whole seconds, and so they compare
                    conditions.append(f"date_trunc('second', updated_at) {operator} ?")
                    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S")
                    values = (*values, moment.replace(tzinfo=UTC))
        except ValueError:
            return _problem("1003", "Bad Request", "A parameter has a value that it cannot have.")
        if not 1 <= per_page <= api.settings[most] or page < 1:
            return _problem("1003", "Bad Request", f"per_page is 1 to {api.settings[most]}.")
        if asked.get("sort_by") == "date_modified":
            order = "date_trunc('second', updated_at), id"
        if asked.get("sort_order", "").upper() == "DESC":
            order = ", ".join(f"{part} desc" for part in order.rsplit(", ", 1))
        table, condition = api.table(name), " and ".join(conditions)
        (total,) = api.query(f"select count(*) from {table} where {condition}", values)[0]
        rows = api.query(
            f"select {document} from {table} where {condition} order by {order} limit ? offset ?",
            (*values, per_page, per_page * (page - 1)),
        )
        documents = [row[0] for row in rows]
        if keep is not None:
            documents = [_only(text, keep) for text in documents]

        def link(number: int) -> str:
            return api.url(request, f"{request.url.path}?") + str(
                request.url.include_query_params(page=number, per_page=per_page).query
            )

        links = {"self": link(page)}
        if page * per_page < total:
            links |= {"next": link(page + 1), "last": link(-(-total // per_page))}
        if page > 1:
            links["prev"] = link(page - 1)
        return api.json(
            documents, key="data", page=page, per_page=per_page, total=total, links=links
        )

    def included(request: Request) -> set[str]:
        return _ALWAYS | set(request.query_params.get("include", "").split(","))

    def surveys(request: Request) -> Response:
        deleted = api.settings["deleted_surveys"]
        return listing(
            request, "surveys", "not list_contains(?::varchar[], id)", (list(deleted),),
            keep=included(request),
        )  # fmt: skip

    def details(request: Request) -> Response:
        rows = api.query(
            f"select document from {api.table('survey_details')} where id = ?",
            (request.path_params["survey"],),
        )
        if not rows:
            return _deleted(request, {})
        return Response(api.document(rows[0][0]), media_type="application/json")

    def responses_bulk(request: Request) -> Response:
        reply = listing(
            request, "responses", "sid = ?", (request.path_params["survey"],), most="bulk_max"
        )
        if reply.status_code == 200 and request.query_params.get("simple") != "true":
            return JSONResponse(_without_texts(orjson.loads(bytes(reply.body))))
        return reply

    def response_ids(request: Request) -> Response:
        href = api.url(request, f"/v3/surveys/{request.path_params['survey']}/responses/")
        return listing(
            request, "responses", "sid = ?", (request.path_params["survey"],),
            document=f"json_object('id', response_id, 'href', '{href}' || response_id)::varchar",
        )  # fmt: skip

    def collectors(request: Request) -> Response:
        return listing(
            request, "collectors", "sid = ?", (request.path_params["survey"],),
            keep=included(request),
        )  # fmt: skip

    def messages(request: Request) -> Response:
        return listing(request, "messages", "cid = ?", (request.path_params["collector"],))

    def recipients(request: Request) -> Response:
        where, values = "cid = ?", [request.path_params["collector"]]
        if message := request.path_params.get("message"):
            where, values = f"{where} and mid = ?", [*values, message]
        keep = included(request) | {"survey_id", "phone_number"}
        return listing(request, "recipients", where, tuple(values), keep=keep)

    def contacts(request: Request) -> Response:
        return listing(request, "contacts")

    def me(request: Request) -> Response:
        granted = list(api.settings["scopes"])
        return JSONResponse({
            "id": "1001", "username": "nordlicht", "email": "research@nordlicht.test",
            "account_type": "team_advantage", "language": "en",
            "scopes": {"available": granted, "granted": granted},
        })  # fmt: skip

    paths: dict[str, tuple[Callable[[Request], Response], str]] = {
        "/v3/users/me": (me, "users_read"),
        "/v3/surveys": (surveys, "surveys_read"),
        "/v3/surveys/{survey}/details": (details, "surveys_read"),
        "/v3/surveys/{survey}/responses": (response_ids, "responses_read"),
        "/v3/surveys/{survey}/responses/bulk": (responses_bulk, "responses_read_detail"),
        "/v3/surveys/{survey}/collectors": (collectors, "collectors_read"),
        "/v3/collectors/{collector}/messages": (messages, "collectors_read"),
        "/v3/collectors/{collector}/messages/{message}/recipients": (recipients, "collectors_read"),
        "/v3/collectors/{collector}/recipients": (recipients, "collectors_read"),
        "/v3/contacts": (contacts, "contacts_read"),
    }
    return [Route(path, limited(handler, scope)) for path, (handler, scope) in paths.items()]


PARAMETERS = {
    "page", "per_page", "include", "sort_by", "sort_order", "start_modified_at", "end_modified_at",
    "simple",
}  # fmt: skip


def _only(text: str, keep: set[str]) -> str:
    document = orjson.loads(text)
    return orjson.dumps({k: v for k, v in document.items() if k in keep}).decode()


def _without_texts(page: dict[str, Any]) -> dict[str, Any]:
    """Answers as they are without `simple=true`: of a choice, its ids alone."""
    for response in page["data"]:
        for questions in response["pages"]:
            for question in questions["questions"]:
                for answer in question["answers"]:
                    if "choice_id" in answer:
                        answer.pop("text", None)
                        answer.pop("choice_metadata", None)
    return page


def _problem(error: str, name: str, message: str) -> Response:
    status = {"1002": 400, "1003": 400, "1011": 401, "1014": 403, "1018": 403, "1020": 404}
    code = status.get(error, 429)
    return JSONResponse(
        {
            "error": {
                "docs": "https://developer.surveymonkey.com/api/v3/#error-codes",
                "message": message,
                "id": error,
                "name": name,
                "http_status_code": code,
            }
        },
        code,
    )
