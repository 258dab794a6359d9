"""Qualtrics as the company uses it: a survey after every purchase, and one that is never sent.

Ids are a prefix (SV_, R_, EMD_, MLRP_) and 15 hex digits made of the world's number. Embedded data:
orderId (the shop's, as text), Q_DL (also in the link that a contact was sent), followUp. A contact
knows the shop's customer number. Who is erased leaves anonymous responses and history behind.
"""

import base64
import io
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingestion.simulator.projection import Projection

VENDOR = "qualtrics"

SETTINGS: dict[str, Any] = {
    "page_size": 100,  # of surveys, distributions and history [C]
    "contacts_max": 500,  # [B]
    "token_seconds": 3600,  # [A mirror/C]
    "exports_per_minute": 100,  # jobs of the brand [C]
    "calls_per_minute": 3000,  # [B weak, C]
    "job_seconds": 6,
    "end_is_inclusive": False,  # endDate of an export [C]
    "file_name": "{name} – «Ваш отзыв»: 100%?.{format}",  # odd characters broke clients [B]
    "deleted_surveys": (),  # ids
}

POOL = "POOL_0a1B2c3D4e5F6g7"
_COMMON = Path(__file__).with_suffix(".sql").read_text()
_OWNER = "UR_1nordlicht2team3"


def _time(column: str) -> str:
    return f"strftime(({column}) at time zone 'UTC', '%Y-%m-%dT%H:%M:%SZ')"


def _milliseconds(column: str) -> str:
    return f"strftime(({column}) at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ')"


def _given(struct: str) -> str:
    """A struct as JSON without the members that are null."""
    return f"json_merge_patch('{{}}', to_json({struct}))"


def _projection(name: str, sql: str) -> Projection:
    return Projection(f"qualtrics_{name}", f"{_COMMON}\n{sql}")


def _in_lake(name: str, added: str) -> Projection:
    """A projection with what the connector adds to a document, which does not say it itself."""
    return Projection(
        f"qualtrics_{name}_in_lake",
        f"""
        select * replace (json_merge_patch(document, to_json({{{added}}}))::varchar as document)
        from (\n{PROJECTIONS[name].sql}\n)
        """,
    )


_DRAFT = "SV_" + "0123456789abcde"
_ALL_SURVEYS = f"""
    select
        *, case when happened(edited_at, survey_id) then edited_at else created_at end as modified_at,
        true as is_active, (case when happened(edited_at, survey_id) then 3 else 0 end) as shift
    from surveys
    union all by name
    select
        '{_DRAFT}' as sid, 'Visit to a store' as name, 'How was your visit?' as question,
        'What did you miss?' as comment_question, 1 as scale_min, 5 as scale_max,
        min(created_at) + interval 10 days as created_at,
        min(created_at) + interval 10 days as modified_at, false as is_active, 0 as shift
    from surveys
    having happened(min(created_at) + interval 10 days, 'draft')
"""
# of a choice: its id is the value plus `shift`, its recode the value
_CHOICES = "range(scale_min, scale_max + 1)"
_TEXTS = (
    "Very dissatisfied", "Dissatisfied", "Neither satisfied nor dissatisfied", "Satisfied",
    "Very satisfied",
)  # fmt: skip
_TEXT = f"([{', '.join(repr(t) for t in _TEXTS)}])[v]"

PROJECTIONS = {
    "surveys": _projection(
        "surveys",
        f"""
        select
            sid as id, created_at, modified_at as updated_at, null::timestamptz as archived_at, name,
            to_json({{
                'id': sid, 'name': name, 'ownerId': '{_OWNER}',
                'lastModified': {_time("modified_at")}, 'creationDate': {_time("created_at")},
                'isActive': is_active
            }})::varchar as document
        from ({_ALL_SURVEYS})
        """,
    ),
    "definitions": _projection(
        "definitions",
        f"""
        select
            sid as id, created_at, modified_at as updated_at, null::timestamptz as archived_at,
            list_transform({_CHOICES}, v -> {{
                'question_id': 'QID1', 'choice_id': (v + shift)::varchar, 'recode': v::varchar,
                'text': {_TEXT}
            }}) as choices,
            to_json({{
                'SurveyID': sid, 'SurveyName': name,
                'SurveyStatus': case when is_active then 'Active' else 'Inactive' end,
                'OwnerID': '{_OWNER}', 'BrandID': 'nordlicht',
                'SurveyCreationDate': {_time("created_at")}, 'LastModified': {_time("modified_at")},
                'Questions': {{
                    'QID1': {_given(f'''{{
                        'QuestionID': 'QID1', 'DataExportTag': 'Q1', 'QuestionType': 'MC',
                        'Selector': 'SAVR', 'QuestionText': question || '<br>',
                        'QuestionDescription': question,
                        'Choices': map_from_entries(list_transform({_CHOICES}, v -> {{
                            'k': (v + shift)::varchar, 'v': {{'Display': {_TEXT}}}}})),
                        'ChoiceOrder': list_transform({_CHOICES}, v -> (v + shift)::varchar),
                        'RecodeValues': case when shift > 0 then
                            map_from_entries(list_transform({_CHOICES}, v -> {{
                                'k': (v + shift)::varchar, 'v': v::varchar}})) end
                    }}''')},
                    'QID2': {{
                        'QuestionID': 'QID2', 'DataExportTag': 'Q2', 'QuestionType': 'TE',
                        'Selector': 'ESTB', 'QuestionText': comment_question,
                        'QuestionDescription': comment_question
                    }}
                }},
                'Blocks': {{'BL_1': {{
                    'Type': 'Default', 'ID': 'BL_1', 'BlockElements': [
                        {{'Type': 'Question', 'QuestionID': 'QID1'}},
                        {{'Type': 'Question', 'QuestionID': 'QID2'}}
                    ]
                }}}},
                'SurveyFlow': {{'FlowID': 'FL_1', 'Type': 'Root', 'Flow': [
                    {{'Type': 'Block', 'ID': 'BL_1', 'FlowID': 'FL_2'}}]}},
                'ResponseSets': '{{}}'::json
            }})::varchar as document
        from ({_ALL_SURVEYS})
        """,
    ),
    "responses": _projection(
        "responses",
        f"""
        , documents as (
            select
                a.sid, a.rid, 0 as status, 'email' as channel, a.started_at, a.recorded_at,
                a.is_complete, a.duration_seconds, a.score,
                case when a.is_complete then a.comment end as comment,
                greatest(
                    a.recorded_at, case when a.is_complete then a.completed_at end,
                    case when a.is_followed_up then a.recorded_at + interval 5 days end
                ) as modified_at,
                i.link_id, (4500000000 + i.order_id)::varchar as order_id,
                case when a.is_followed_up then 'called' end as follow_up, p.language,
                case when not i.is_erased then i.email end as email,
                case when not i.is_erased then i.reference end as reference,
                case when not i.is_erased then i.first_name end as first_name,
                case when not i.is_erased then i.last_name end as last_name,
                case when not i.is_erased then '203.0.113.' || (a.response_id % 250) end as ip
            from answered as a
            left join invited as i using (invitation_id)
            left join world.person as p on a.person_id = p.person_id
            union all
            select
                sid, rid, status, case status when 1 then 'preview' else 'test' end, tried_at,
                tried_at, true, 9, score, 'Just a try', tried_at, null, null, null, 'en',
                'research@nordlicht.test', null, 'Research', 'Team', '198.51.100.7'
            from tried
        )
        select
            sid || '|' || rid as id, recorded_at as created_at, modified_at as updated_at,
            null::timestamptz as archived_at, sid, recorded_at,
            to_json({{
                'responseId': rid,
                'values': {_given(f'''{{
                    'startDate': {_time("started_at")},
                    'endDate': {_time("recorded_at")},
                    'status': status, 'ipAddress': ip,
                    'progress': case when is_complete then 100 else 50 end,
                    'duration': duration_seconds, 'finished': is_complete::int,
                    'recordedDate': {_milliseconds("recorded_at")}, '_recordId': rid,
                    'recipientFirstName': first_name, 'recipientLastName': last_name,
                    'recipientEmail': email, 'externalDataReference': reference,
                    'distributionChannel': channel,
                    'userLanguage': case language when 'pt' then 'PT-BR' else upper(language) end,
                    'QID1': score, 'QID2_TEXT': comment,
                    'orderId': order_id, 'Q_DL': link_id, 'followUp': follow_up
                }}''')},
                'labels': {_given(f'''{{
                    'status': case status when 0 then 'IP Address' when 1 then 'Survey Preview' else 'Survey Test' end,
                    'finished': case when is_complete then 'True' else 'False' end,
                    'QID1': case when score is not null then ({_TEXT.replace("[v]", "[score]")}) end
                }}''')},
                'displayedFields': ['QID1', 'QID2_TEXT'],
                'displayedValues': {{'QID1': [1, 2, 3, 4, 5]}}
            }})::varchar as document
        from documents
        """,
    ),
    "distributions": _projection(
        "distributions",
        f"""
        select
            did as id, min(sent_at) as created_at, max(sent_at) as updated_at,
            null::timestamptz as archived_at, sid,
            to_json({{
                'id': did, 'parentDistributionId': null::json, 'ownerId': '{_OWNER}',
                'organizationId': 'nordlicht', 'requestType': 'Invite', 'requestStatus': 'Done',
                'sendDate': {_time("min(sent_at)")}, 'createdDate': {_time("min(sent_at)")},
                'modifiedDate': {_time("max(sent_at)")},
                'headers': {{'fromEmail': 'noreply@qemailserver.test', 'fromName': 'Nordlicht Outdoor'}},
                'recipients': {{'mailingListId': 'CG_9nordlicht8list7', 'contactId': null::json}},
                'message': {{'libraryId': '{_OWNER}', 'messageId': 'MS_1'}},
                'surveyLink': {{'surveyId': sid, 'expirationDate': null::json, 'linkType': 'Individual'}},
                'stats': {{
                    'sent': count(*), 'failed': 0, 'skipped': 0, 'complaints': 0, 'blocked': 0,
                    'bounced': count(*) filter (where outcome = 'HardBounce'),
                    'opened': count(seen_at), 'started': count(rid),
                    'finished': count(*) filter (where is_complete)
                }}
            }})::varchar as document
        from invited
        group by sid, did
        """,
    ),
    "distribution_history": _projection(
        "distribution_history",
        f"""
        select
            did || '|' || lookup_id as id, sent_at as created_at,
            greatest(sent_at, seen_at, answered_at) as updated_at, null::timestamptz as archived_at, did,
            to_json({{
                'contactId': case when not is_erased then contact_id end,
                'contactLookupId': lookup_id, 'distributionId': did, 'status': outcome,
                'surveyLink': 'https://nordlicht.qualtrics.test/jfe/form/' || sid
                    || '?Q_DL=' || link_id || '&Q_CHL=email',
                'responseId': rid, 'sentAt': {_time("sent_at")}, 'openedAt': {_time("seen_at")},
                'responseStartedAt': {_time("started_at")},
                'responseCompletedAt': case when is_complete then {_time("answered_at")} end
            }})::varchar as document
        from invited
        """,
    ),
    "contacts": _projection(
        "contacts",
        """
        select
            external_id as id, created_at, changed_at as updated_at, null::timestamptz as archived_at,
            to_json({
                'contactId': external_id, 'firstName': first_name, 'lastName': last_name,
                'email': email, 'phone': phone, 'extRef': reference, 'language': language,
                'unsubscribed': record_id in (
                    select record_id from invited where outcome = 'OptOut'
                ),
                'embeddedData': '{}'::json
            })::varchar as document
        from contacts
        where state = 'live'
        """,
    ),
}  # fmt: skip
PROJECTIONS["responses_in_lake"] = _in_lake("responses", "'_survey_id': sid")
PROJECTIONS["definitions_in_lake"] = _in_lake("definitions", "'_choices': choices")
LAKE_TABLES = {"responses": "responses_in_lake", "definitions": "definitions_in_lake"}

_METADATA = {
    "startDate", "endDate", "status", "ipAddress", "progress", "duration", "finished",
    "recordedDate", "_recordId", "recipientFirstName", "recipientLastName", "recipientEmail",
    "externalDataReference", "distributionChannel", "userLanguage",
}  # fmt: skip
_EXPORT_OPTIONS = {
    "format", "compress", "startDate", "endDate", "limit", "useLabels", "surveyMetadataIds",
    "questionIds", "embeddedDataIds", "allowContinuation", "continuationToken",
    "sortByLastModifiedDate", "includeDisplayOrder", "includeLabelColumns", "timeZone",
    "newlineReplacement",
}  # fmt: skip

_META = {"httpStatus": "200 - OK", "requestId": "5f1c0f3e-0000-4000-8000-000000000000"}
_REASONS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}


def _problem(
    status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> Response:
    reason = _REASONS.get(status, "Too Many Requests")
    error = {"errorMessage": message, "errorCode": code}
    meta = {**_META, "httpStatus": f"{status} - {reason}", "error": error}
    return JSONResponse({"meta": meta}, status, headers)


def _too_many(request: Request, options: dict[str, Any]) -> Response:
    """With Retry-After now and then [B]."""
    after = options.get("retry_after")
    headers = {} if after is None else {"Retry-After": str(after)}
    return _problem(429, "QVAL_8", "Too many requests.", headers)


def _bad_token(request: Request, options: dict[str, Any]) -> Response:
    return _problem(401, "AUTH_6.0", "Unrecognized X-API-TOKEN.")


def _no_survey(request: Request, options: dict[str, Any]) -> Response:
    return _problem(404, "QVAL_1", "The survey does not exist.")


FAULT_FORMS = {"throttle": _too_many, "unauthorized": _bad_token, "gone_survey": _no_survey}


def routes(api: Any) -> list[Route]:
    """The reading half of API v3, and the jobs that export responses."""

    def signed_in(handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def handle(request: Request) -> Response:
            scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
            key = request.headers.get("x-api-token")
            if scheme.lower() == "bearer":
                allowed = api.tokens.valid(bearer, "access")
            else:
                allowed = key == api.secret("api_token")
            if not allowed:
                return _bad_token(request, {})
            if api.limit("calls", api.settings["calls_per_minute"], 60) is not None:
                return _too_many(request, {})
            if request.path_params.get("survey") in api.settings["deleted_surveys"]:
                return _no_survey(request, {})
            return handler(request)

        return handle

    def token(request: Request) -> Response:
        scheme, _, pair = request.headers.get("authorization", "").partition(" ")
        given = base64.b64decode(pair).decode() if scheme.lower() == "basic" else ""
        if given != f"{api.secret('client_id')}:{api.secret('client_secret')}":
            return JSONResponse({"error": "invalid_client"}, 401)
        life = api.settings["token_seconds"]
        issued = api.tokens.issue("access", life)
        return JSONResponse({"access_token": issued, "token_type": "Bearer", "expires_in": life})

    def listing(
        request: Request, name: str, where: str = "true", values: tuple[Any, ...] = (),
        *, size: int | None = None, known: tuple[str, ...] = (), token_name: str = "skipToken",
    ) -> Response:  # fmt: skip
        asked = request.query_params
        if unknown := asked.keys() - {token_name, *known}:
            api.unsupported(request, f"parameters {', '.join(sorted(unknown))}")
            return _problem(400, "QVAL_1", f"Unexpected parameter {', '.join(sorted(unknown))}.")
        size = size or api.settings["page_size"]
        try:
            offset = int(asked.get(token_name, 0))
        except ValueError:
            return _problem(400, "QVAL_1", f"Invalid {token_name}.")
        rows = api.query(
            f"select document from {api.table(name)} where {where}"
            " order by created_at, id limit ? offset ?",
            (*values, size + 1, offset),
        )
        following = None
        if len(rows) > size:
            query = request.url.include_query_params(**{token_name: offset + size}).query
            following = api.url(request, f"{request.url.path}?{query}")
        documents = [row[0] for row in rows[:size]]
        return api.json(
            documents, key="result.elements", result={"nextPage": following}, meta=dict(_META)
        )

    def surveys(request: Request) -> Response:
        deleted = list(api.settings["deleted_surveys"])
        return listing(
            request, "surveys", "not list_contains(?::varchar[], id)", (deleted,),
            token_name="offset",
        )  # fmt: skip

    def definition(request: Request) -> Response:
        rows = api.query(
            f"select document from {api.table('definitions')} where id = ?",
            (request.path_params["survey"],),
        )
        if not rows:
            return _no_survey(request, {})
        text = f'{{"result":{api.document(rows[0][0])},"meta":{_text(_META)}}}'
        return Response(text, media_type="application/json")

    def distributions(request: Request) -> Response:
        survey = request.query_params.get("surveyId")
        if not survey:
            return _problem(400, "QVAL_1", "surveyId is required.")
        return listing(request, "distributions", "sid = ?", (survey,), known=("surveyId",))

    def history(request: Request) -> Response:
        distribution = request.path_params["distribution"]
        return listing(request, "distribution_history", "did = ?", (distribution,))

    def directories(request: Request) -> Response:
        pool = {"directoryId": POOL, "name": "Customers", "isDefault": True}
        return JSONResponse({"result": {"elements": [pool], "nextPage": None}, "meta": _META})

    def contacts(request: Request) -> Response:
        size = int(request.query_params.get("pageSize", api.settings["page_size"]))
        if request.path_params["pool"] != POOL:
            return _problem(404, "DIR_1", "The directory does not exist.")
        size = max(1, min(size, api.settings["contacts_max"]))
        return listing(request, "contacts", size=size, known=("pageSize", "includeEmbedded"))

    def whoami(request: Request) -> Response:
        me = {"brandId": "nordlicht", "userId": _OWNER, "userName": "research@nordlicht#nordlicht"}
        return JSONResponse({"result": me, "meta": _META})

    # -- export jobs

    def start(request: Request) -> Response:
        options = request.scope["sim.body"]
        if unknown := options.keys() - _EXPORT_OPTIONS:
            api.unsupported(request, f"export options {', '.join(sorted(unknown))}")
            return _problem(400, "QVAL_1", f"Unexpected json key {', '.join(sorted(unknown))}.")
        if options.get("format") not in ("json", "ndjson"):
            api.unsupported(request, f"export format {options.get('format')}")
            return _problem(400, "QVAL_1", "format: not supported.")
        dated = "startDate" in options or "endDate" in options
        if dated and (options.get("allowContinuation") or options.get("continuationToken")):
            return _problem(400, "QVAL_1", "A continuation takes no date filters.")
        if api.limit("exports", api.settings["exports_per_minute"], 60) is not None:
            return _too_many(request, {})
        survey = request.path_params["survey"]
        if not _named(survey):
            return _no_survey(request, {})
        job = api.jobs.create(
            "export", survey=survey, options=options, failed=bool(api.fault("export_failed")),
            without_file=bool(api.fault("no_file")),
        )  # fmt: skip
        if slow := api.fault("slow_start"):  # the job begins, the reply comes too late
            time.sleep(slow.get("seconds", 1))
        progress = None if api.fault("null_progress") else f"ES_{job}"
        return _result({"progressId": progress, "percentComplete": 0.0, "status": "inProgress"})

    def progress(request: Request) -> Response:
        job = api.jobs.get(request.path_params["job"].removeprefix("ES_"))
        if job is None or job["survey"] != request.path_params["survey"]:
            return _problem(404, "QVAL_1", "There is no such export.")
        percent = 100.0 * job["progress"]
        if job["state"] == "failed":  # at 100 %, too [A]
            return _result({"fileId": None, "percentComplete": percent, "status": "failed"})
        if job["state"] != "done":
            return _result({"percentComplete": percent, "status": "inProgress"})
        done: dict[str, Any] = {
            "fileId": None if job["without_file"] else f"{job['id']}-def",
            "percentComplete": percent, "status": "complete",
        }  # fmt: skip
        if job["options"].get("allowContinuation"):
            seen = api.company.clock.isoformat().encode()
            done["continuationToken"] = base64.urlsafe_b64encode(seen).decode()
        return _result(done)

    def file(request: Request) -> Response:
        job = api.jobs.get(request.path_params["file"].removesuffix("-def"))
        if job is None or job["state"] != "done":
            return _problem(404, "QVAL_1", "There is no such file.")
        options = job["options"]
        try:
            documents = api.documents(_exported(job["survey"], options))
        except ValueError:
            return _problem(400, "QVAL_1", "A date or token is not valid.")
        if options["format"] == "json":
            body = f'{{"responses":[{",".join(documents)}]}}'.encode()
        else:
            body = "".join(f"{text}\n" for text in documents).encode()
        if options.get("compress") is False:
            return Response(body, media_type="application/octet-stream")
        name = api.settings["file_name"].format(
            name=_named(job["survey"]), format=options["format"]
        )
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), body)
        return Response(packed.getvalue(), media_type="application/zip")

    def _named(survey: str) -> str:
        rows = api.query(f"select name from {api.table('surveys')} where id = ?", (survey,))
        return str(rows[0][0]) if rows else ""

    def _exported(survey: str, options: dict[str, Any]) -> list[str]:
        conditions = ["sid = ?"]
        values: list[Any] = [survey]
        end = "<=" if api.settings["end_is_inclusive"] else "<"
        for option, operator in (("startDate", ">="), ("endDate", end)):
            if text := options.get(option):
                conditions.append(f"recorded_at {operator} ?")
                values.append(_moment(text))
        if given := options.get("continuationToken"):
            conditions.append("updated_at > ?")
            values.append(_moment(base64.urlsafe_b64decode(given).decode()))
        order = "updated_at" if options.get("sortByLastModifiedDate") else "recorded_at"
        rows = api.query(
            f"select document from {api.table('responses')} where {' and '.join(conditions)}"
            f" order by {order}, id limit {int(options.get('limit', 2**31))}",
            values,
        )
        documents = [str(row[0]) for row in rows]
        if not options.keys() & {"surveyMetadataIds", "questionIds", "embeddedDataIds"}:
            return documents
        return [_chosen(text, options) for text in documents]

    def with_body(handler: Callable[[Request], Response]) -> Callable[..., Any]:
        """Bodies are read before the handlers, which do not wait."""

        async def handle(request: Request) -> Response:
            try:
                request.scope["sim.body"] = orjson.loads(await request.body() or b"{}")
            except orjson.JSONDecodeError:
                return _problem(400, "QVAL_1", "The body is no JSON.")
            return await run_in_threadpool(signed_in(handler), request)

        return handle

    paths: dict[str, Callable[[Request], Response]] = {
        "/API/v3/whoami": whoami,
        "/API/v3/surveys": surveys,
        "/API/v3/survey-definitions/{survey}": definition,
        "/API/v3/surveys/{survey}/export-responses/{job}": progress,
        "/API/v3/surveys/{survey}/export-responses/{file}/file": file,
        "/API/v3/distributions": distributions,
        "/API/v3/distributions/{distribution}/history": history,
        "/API/v3/directories": directories,
        "/API/v3/directories/{pool}/contacts": contacts,
    }
    export = "/API/v3/surveys/{survey}/export-responses"
    return [
        Route("/oauth2/token", token, methods=["POST"]),
        Route(export, with_body(start), methods=["POST"]),
        *(Route(path, signed_in(handler)) for path, handler in paths.items()),
    ]


def _result(result: dict[str, Any]) -> Response:
    return JSONResponse({"result": result, "meta": _META})


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _chosen(text: str, options: dict[str, Any]) -> str:
    """A response with those values that an export asks for."""

    def wanted(name: str) -> bool:
        if name in _METADATA:
            option, short = "surveyMetadataIds", name
        elif name.startswith("QID"):
            option, short = "questionIds", name.split("_")[0]
        else:
            option, short = "embeddedDataIds", name
        return option not in options or short in options[option]

    response = orjson.loads(text)
    response["values"] = {k: v for k, v in response["values"].items() if wanted(k)}
    response["labels"] = {k: v for k, v in response["labels"].items() if wanted(k)}
    return _text(response)
