"""Salesforce as the company's key-account team uses it: REST queries, Bulk API 2.0, describe.

What the objects hold is in `salesforce_objects`, the query language in `soql`. A query's result is
taken when the query is asked, as the vendor's server-side cursors do; `query` leaves out deleted
records and archived activities, `queryAll` does not.
"""

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import anyio.from_thread
import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingestion.simulator.server.engine import VendorApi
from ingestion.simulator.vendors.salesforce_objects import ENTITIES, csv_value, json_value
from ingestion.simulator.vendors.soql import Field, Query, SoqlError, full_id, translate

VENDOR = "salesforce"

SETTINGS: dict[str, Any] = {
    "session_seconds": 7200,  # the org's session timeout, 15 minutes to 24 hours [C]
    "page_rows": 2000,  # [B]
    "locator_seconds": 2 * 86_400,  # life of a query's cursor [C]
    "daily_calls": 100_000,  # of any 24 hours; licences add to it [C]
    "job_seconds": 10,  # until a query job is done [C]
    "failing_jobs": 0,  # how many of the first query jobs end as Failed
    "bulk_rows": 50_000,  # in one part of a job's result [C]
    "bulk_empty_has_header": True,  # a result without rows [B: both seen]
    "url_bytes": 16_384,  # [B]
    "oldest_version": 31,  # older ones are retired [A]
    "newest_version": 68,  # [A]
    "custom_fields": {},  # {object: {name: type}}, fields that somebody added to the org
    "hidden_fields": {},  # {object: [name]}, field-level security of the integration user
    "hidden_objects": [],  # objects that the integration user may not read
}

PROJECTIONS = {name: entity.projection for name, entity in ENTITIES.items()}
# of the connector's tables
LAKE_TABLES = {
    "accounts": "Account", "contacts": "Contact", "leads": "Lead", "lead_history": "LeadHistory",
    "opportunities": "Opportunity", "opportunity_history": "OpportunityHistory", "cases": "Case",
    "case_history": "CaseHistory", "email_messages": "EmailMessage",
    "case_comments": "CaseComment", "tasks": "Task", "events": "Event", "campaigns": "Campaign",
    "campaign_members": "CampaignMember", "users": "User",
}  # fmt: skip

# what Salesforce's edge answers now and then, and a query that takes too long
FAULT_FORMS = {
    "edge_406": lambda request, options: Response(status_code=406),
    "edge_420": lambda request, options: Response("<html>Setting things up</html>", 420),
    "query_timeout": lambda request, options: _error(
        400, "QUERY_TIMEOUT", "Your query took too long"
    ),
}

_DELIMITERS = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "TAB": "\t", "CARET": "^"}
_DAY = 86_400
_STATES = {
    "queued": "UploadComplete",
    "running": "InProgress",
    "done": "JobComplete",
    "failed": "Failed",
    "aborted": "Aborted",
}


class _ApiError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.response = _error(status, code, message)


def routes(api: VendorApi) -> list[Route]:
    """The paths of the API, as the vendor's."""
    org = _Org(api)
    data = "/services/data/v{version}"
    return [
        Route("/services/oauth2/token", org.token, methods=["POST"]),
        Route("/services/data", org.versions),
        Route("/services/data/", org.versions),
        Route(f"{data}/limits", org.guarded(org.limits)),
        Route(f"{data}/limits/", org.guarded(org.limits)),
        Route(f"{data}/sobjects", org.guarded(org.objects)),
        Route(f"{data}/sobjects/", org.guarded(org.objects)),
        Route(f"{data}/sobjects/{{object}}/describe", org.guarded(org.describe)),
        Route(f"{data}/sobjects/{{object}}/describe/", org.guarded(org.describe)),
        *(
            Route(f"{data}/{name}{end}", org.guarded(handler))
            for name in ("query", "queryAll")
            for end, handler in (("", org.query), ("/", org.query), ("/{locator}", org.more))
        ),
        Route(f"{data}/jobs/query", org.guarded(org.create_job), methods=["POST"]),
        Route(f"{data}/jobs/query/{{job}}", org.guarded(org.job)),
        Route(f"{data}/jobs/query/{{job}}", org.guarded(org.abort_job), methods=["PATCH"]),
        Route(f"{data}/jobs/query/{{job}}", org.guarded(org.delete_job), methods=["DELETE"]),
        Route(f"{data}/jobs/query/{{job}}/results", org.guarded(org.results)),
        Route(
            f"{data}/{{rest:path}}",
            org.guarded(org.unknown),
            methods=["GET", "POST", "PATCH", "PUT", "DELETE"],
        ),
    ]


class _Org:
    """The account, as its integration user sees it."""

    def __init__(self, api: VendorApi) -> None:
        self.api = api

    # ---- every request -------------------------------------------------------------------------

    def guarded(self, handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
        """A handler behind version, session and call limit, with errors as the vendor's."""

        def answer(request: Request) -> Response:
            try:
                self.admit(request)
                response = handler(request)
            except _ApiError as error:
                response = error.response
            except SoqlError as error:
                if error.unsupported:
                    self.api.unsupported(request, f"SOQL: {error}")
                response = _ApiError(400, error.code, str(error)).response
            used, most = self.api.limits.used("calls", _DAY), self.api.settings["daily_calls"]
            response.headers["Sforce-Limit-Info"] = f"api-usage={used}/{most}"
            return response

        return answer

    def admit(self, request: Request) -> None:
        settings = self.api.settings
        try:
            version = float(request.path_params["version"])
        except ValueError:
            version = settings["newest_version"] + 1
        if version < settings["oldest_version"]:
            raise _ApiError(410, "UNSUPPORTED_API_VERSION", "The requested API version is retired.")
        if version > settings["newest_version"]:
            raise _ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme not in ("Bearer", "OAuth") or not self.api.tokens.valid(token):
            raise _ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if self.api.limit("calls", settings["daily_calls"], _DAY) is not None:
            raise _ApiError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        if len(str(request.url).encode()) > settings["url_bytes"]:
            raise _ApiError(414, "URI_TOO_LONG", "URI Too Long")

    def fields(self, name: str) -> dict[str, Field]:
        """The fields of an object that the integration user sees."""
        hidden = self.api.settings["hidden_fields"].get(name, ())
        custom = self.api.settings["custom_fields"].get(name, {})
        return {n: f for n, f in ENTITIES[name].fields.items() if n not in hidden} | {
            n: Field(n, kind, _custom_value(n, kind)) for n, kind in custom.items()
        }

    def entities(self) -> dict[str, dict[str, Field]]:
        hidden = self.api.settings["hidden_objects"]
        return {name: self.fields(name) for name in ENTITIES if name not in hidden}

    def rows(self, query: Query, shown: str, *, deleted: bool) -> list[str]:
        """One text a record, by an SQL expression over the object's table."""
        fields = ENTITIES[query.entity].fields
        visible = "true" if deleted else 'not "IsDeleted"'
        if not deleted and "IsArchived" in fields:
            visible += ' and not "IsArchived"'
        rest = query.rest
        if " order by " not in rest:  # no order is promised, so none is given
            where, limit, count = rest.partition(" limit ")
            rest = f"{where} order by hash(id){limit}{count}"
        table = self.api.table(query.entity)
        found = self.api.query(
            f"select {shown} from (select * from {table} where {visible}){rest}", query.parameters
        )
        return [row[0] for row in found]

    # ---- session and what the org has ----------------------------------------------------------

    def token(self, request: Request) -> Response:
        form = dict(parse_qsl(_body(request).decode()))
        client, secret = form.get("client_id"), form.get("client_secret")
        scheme, _, basic = request.headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            client, _, secret = base64.b64decode(basic).decode().partition(":")
        if form.get("grant_type") != "client_credentials":
            self.api.unsupported(request, f"grant {form.get('grant_type')}")
            return _refused("unsupported_grant_type", "grant type not supported")
        if client != self.api.secret("client_id"):
            return _refused("invalid_client_id", "client identifier invalid")
        if secret != self.api.secret("client_secret"):
            return _refused("invalid_client", "invalid client credentials")
        instance = self.api.url(request, "").rstrip("/")
        return JSONResponse(
            {
                "access_token": self.api.tokens.issue(
                    "session", self.api.settings["session_seconds"]
                ),
                "signature": "c2lnbmF0dXJl",
                "scope": "api",
                "instance_url": instance,
                "id": f"{instance}/id/00DHs0000000001MAA/{full_id('005Hs0000000000')}",
                "token_type": "Bearer",
                "issued_at": str(int(self.api.now().timestamp() * 1000)),
            }
        )

    def versions(self, request: Request) -> Response:
        newest = self.api.settings["newest_version"]
        return JSONResponse(
            [
                {"label": f"v{v}", "url": f"/services/data/v{v}.0", "version": f"{v}.0"}
                for v in range(self.api.settings["oldest_version"], newest + 1)
            ]
        )

    def limits(self, request: Request) -> Response:
        most = self.api.settings["daily_calls"]
        return JSONResponse(
            {
                "DailyApiRequests": {
                    "Max": most,
                    "Remaining": most - self.api.limits.used("calls", _DAY),
                },
                "DailyBulkV2QueryJobs": {
                    "Max": 10_000,
                    "Remaining": 10_000 - len(self.api.jobs.list("query")),
                },
            }
        )

    def objects(self, request: Request) -> Response:
        return JSONResponse(
            {
                "encoding": "UTF-8",
                "maxBatchSize": 200,
                "sobjects": [
                    {"name": name, "keyPrefix": ENTITIES[name].prefix, "queryable": True}
                    for name in self.entities()
                ],
            }
        )

    def describe(self, request: Request) -> Response:
        name = request.path_params["object"]
        if name not in self.entities():
            raise _ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        return JSONResponse(
            {
                "name": name,
                "label": name,
                "keyPrefix": ENTITIES[name].prefix,
                "custom": False,
                "queryable": True,
                "fields": [
                    {
                        "name": field.name,
                        "label": field.name,
                        "type": field.kind,
                        "filterable": field.filterable,
                        "sortable": field.filterable,
                        "nillable": field.nillable,
                        "calculated": False,
                        "custom": field.name.endswith("__c"),
                        "compoundFieldName": field.compound,
                    }
                    for field in self.fields(name).values()
                ],
            }
        )

    # ---- REST queries --------------------------------------------------------------------------

    def query(self, request: Request) -> Response:
        if "q" not in request.query_params:
            raise _ApiError(400, "MALFORMED_QUERY", "SOQL statements cannot be empty or null")
        query = translate(request.query_params["q"], self.entities())
        version = request.path_params["version"]
        link = f"/services/data/v{version}/sobjects/{query.entity}/"
        parts = [f"attributes := struct_pack(type := '{query.entity}', url := '{link}' || id)"]
        parts += [f'"{f.name}" := {json_value(f)}' for f in query.fields]
        everything = request.url.path.rstrip("/").endswith("queryAll")
        rows = self.rows(query, f"to_json(struct_pack({', '.join(parts)}))", deleted=everything)
        size = self.api.settings["page_rows"]
        asked = request.headers.get("sforce-query-options", "").partition("batchSize=")[2]
        if asked.isdigit():
            size = min(size, max(int(asked), 200))
        cursor = self.api.jobs.create("cursor", rows=rows, size=size) if len(rows) > size else ""
        return self.page(request, cursor, 0, size, rows)

    def more(self, request: Request) -> Response:
        cursor, _, start = request.path_params["locator"].removeprefix("01g").rpartition("-")
        opened = self.api.jobs.get(cursor)
        life = timedelta(seconds=self.api.settings["locator_seconds"])
        if opened is None or opened["created_at"] + life <= self.api.now() or not start.isdigit():
            raise _ApiError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self.page(request, cursor, int(start), opened["size"], opened["rows"])

    def page(
        self, request: Request, cursor: str, start: int, size: int, rows: list[str]
    ) -> Response:
        end = start + size
        envelope: dict[str, Any] = {"totalSize": len(rows), "done": end >= len(rows)}
        if not envelope["done"]:
            version = request.path_params["version"]
            envelope["nextRecordsUrl"] = f"/services/data/v{version}/query/01g{cursor}-{end}"
        return self.api.json(rows[start:end], "records", **envelope)

    # ---- Bulk API 2.0 --------------------------------------------------------------------------

    def create_job(self, request: Request) -> Response:
        asked = orjson.loads(_body(request))
        unknown = asked.keys() - {
            "operation", "query", "contentType", "columnDelimiter", "lineEnding"
        }  # fmt: skip
        if unknown or asked.get("operation") not in ("query", "queryAll"):
            self.api.unsupported(request, f"job {sorted(unknown)} {asked.get('operation')}")
            raise _ApiError(400, "API_ERROR", "Unsupported query job")
        query = translate(asked["query"], self.entities())
        if any(field.kind in ("address", "location") for field in query.fields):
            message = "Selecting compound data not supported in Bulk Query"
            raise _ApiError(400, "FEATURENOTENABLED", message)
        delimiter = asked.get("columnDelimiter", "COMMA")
        sign = _DELIMITERS[delimiter]
        cells = (
            f"""'"' || replace(coalesce({csv_value(f)}, ''), '"', '""') || '"'"""
            for f in query.fields
        )
        rows = self.rows(
            query, f"concat_ws('{sign}', {', '.join(cells)})", deleted=asked["operation"] != "query"
        )
        cursor = self.api.jobs.create(
            "query",
            seconds=self.api.settings["job_seconds"],
            failed=len(self.api.jobs.list("query")) < self.api.settings["failing_jobs"],
            version=request.path_params["version"],
            header=sign.join(f'"{f.name}"' for f in query.fields),
            rows=rows,
            info={
                "operation": asked["operation"],
                "object": query.entity,
                "createdById": full_id("005Hs0000000000"),
                "createdDate": _shown(self.api.now()),
                "systemModstamp": _shown(self.api.now()),
                "concurrencyMode": "Parallel",
                "contentType": "CSV",
                "apiVersion": float(request.path_params["version"]),
                "lineEnding": asked.get("lineEnding", "LF"),
                "columnDelimiter": delimiter,
            },
        )
        return self.job_info(self.api.jobs.get(cursor) or {})

    def job_of(self, request: Request) -> dict[str, Any]:
        job = self.api.jobs.get(request.path_params["job"].removeprefix("750"))
        if job is None or job["kind"] != "query" or job["state"] == "deleted":
            raise _ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        if job["version"] != request.path_params["version"]:
            made = job["version"]
            raise _ApiError(409, "INVALIDVERSION", f"The job was created with version {made}")
        return job

    def job_info(self, job: dict[str, Any]) -> Response:
        info = {"id": f"750{job['id']}", **job["info"], "state": _STATES[job["state"]]}
        if job["state"] == "done":
            done = len(job["rows"])
            info |= {"numberRecordsProcessed": done, "retries": 0, "totalProcessingTime": 1}
        if job["state"] == "failed":
            info["errorMessage"] = "InternalServerError: the query could not be processed"
        return JSONResponse(info)

    def job(self, request: Request) -> Response:
        return self.job_info(self.job_of(request))

    def abort_job(self, request: Request) -> Response:
        job = self.job_of(request)
        if orjson.loads(_body(request)) != {"state": "Aborted"}:
            raise _ApiError(400, "API_ERROR", "A query job can only be aborted")
        if job["state"] in ("queued", "running"):
            self.api.jobs.update(job["id"], state="aborted")
        return self.job(request)

    def delete_job(self, request: Request) -> Response:
        job = self.job_of(request)
        self.api.jobs.update(job["id"], rows=[])
        self.api.jobs.delete(job["id"])
        return Response(status_code=204)

    def results(self, request: Request) -> Response:
        job = self.job_of(request)
        if job["state"] != "done":
            raise _ApiError(400, "INVALIDJOBSTATE", "The job is not complete")
        cap = self.api.settings["bulk_rows"]
        size = min(int(request.query_params.get("maxRecords", cap)), cap)
        locator = request.query_params.get("locator", "")
        try:
            start = int(base64.b64decode(locator)) if locator else 0
        except ValueError:
            raise _ApiError(400, "INVALID_LOCATOR", f"invalid locator {locator!r}") from None
        rows = job["rows"][start : start + size]
        line = "\n" if job["info"]["lineEnding"] == "LF" else "\r\n"
        has_header = rows or self.api.settings["bulk_empty_has_header"]
        text = "".join(row + line for row in ([job["header"]] if has_header else []) + rows)
        end = start + len(rows)
        rest = base64.b64encode(str(end).encode()).decode()
        return Response(
            text,
            media_type="text/csv",
            headers={
                "Sforce-Locator": rest if end < len(job["rows"]) else "null",
                "Sforce-NumberOfRecords": str(len(rows)),
            },
        )

    def unknown(self, request: Request) -> Response:
        self.api.unsupported(request, request.path_params["rest"])
        raise _ApiError(404, "NOT_FOUND", "The requested resource does not exist")


def _body(request: Request) -> bytes:
    """The body of a request, from within a handler that runs in a thread."""
    return anyio.from_thread.run(request.body)


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse([{"message": message, "errorCode": code}], status)


def _refused(error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, 400)


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000+0000"


def _custom_value(name: str, kind: str) -> str:
    """SQL of a field that the world knows nothing of: something of the record's own."""
    if kind in ("double", "currency", "percent"):
        return f"cast(hash(id || '{name}') % 1000 as double) / 10"
    return "hash(id) % 2 = 0" if kind == "boolean" else f"left(md5(id || '{name}'), 8)"
