"""The objects of the simulated Salesforce: their fields, and what of the world stands in them.

Ids: prefix of the object, `Hs`, the world's number with leading zeros, check letters (Account
1 = 001Hs0000000001IAA); contacts and leads have those of `world.record`. Times are whole seconds.
A deleted or merged record stays for 15 days (recycle bin), then it is gone. Where a contact was
merged or erased, what refers to it points to the winner or nowhere, and counts as changed.
"""

from dataclasses import dataclass

from ingestion.simulator.projection import Projection
from ingestion.simulator.vendors.soql import Field, full_id

RECYCLE_BIN = "interval 15 days"  # not confirmed by the vendor's documents
ARCHIVED_AFTER = "interval 365 days"  # activities, then seen by queryAll only; not confirmed
SHOP_ORDER = 4_500_000_000  # the shop's number of order 0

STAGES = {
    "new": "Prospecting",
    "qualified": "Qualification",
    "proposal": "Proposal/Price Quote",
    "negotiation": "Negotiation/Review",
    "won": "Closed Won",
    "lost": "Closed Lost",
}
LEAD_STATES = {
    "new": "Open - Not Contacted",
    "qualified": "Working - Contacted",
    "proposal": "Nurturing - Offer",
    "negotiation": "Nurturing - Terms",
    "won": "Closed - Converted",
    "lost": "Closed - Not Converted",
}
DUPLICATE = "Duplicate"  # a second record of somebody whom a seller courts by another one
CASE_STATES = {
    "new": "New",
    "open": "Working",
    "pending": "Waiting on Customer",
    "hold": "On Hold",
    "solved": "Solved",
    "closed": "Closed",
}
PRIORITIES = {"low": "Low", "normal": "Medium", "high": "High", "urgent": "Urgent"}
CHANNELS = {
    "email": "Email",
    "paid_search": "Paid Search",
    "paid_social": "Paid Social",
    "display": "Display",
    "affiliate": "Affiliate",
    "event": "Event",
}
COUNTRIES = {
    "DE": "Germany",
    "AT": "Austria",
    "GB": "United Kingdom",
    "US": "United States",
    "BR": "Brazil",
    "PT": "Portugal",
    "KZ": "Kazakhstan",
}


@dataclass(frozen=True)
class Entity:
    """An object: its fields by name, and the projection that holds it."""

    name: str
    prefix: str
    fields: dict[str, Field]
    projection: Projection


def sql_id(prefix: str, number: str) -> str:
    """SQL of an object's id for a number of the world."""
    suffix = full_id(f"{prefix}Hs{'0' * 10}")[15:]
    return f"('{prefix}Hs' || lpad(cast({number} as varchar), 10, '0') || '{suffix}')"


def json_value(field: Field) -> str:
    """SQL of a field as the REST API shows it."""
    return _time(field.sql, "+0000") if field.kind == "datetime" else field.sql


def csv_value(field: Field) -> str:
    """SQL of a field as a Bulk result shows it: text, null where empty."""
    return _time(field.sql, "Z") if field.kind == "datetime" else f"cast({field.sql} as varchar)"


def _time(sql: str, zone: str) -> str:
    return f"strftime(timezone('UTC', {sql}), '%Y-%m-%dT%H:%M:%S.%g{zone}')"


def _words(column: str, words: dict[str, str]) -> str:
    cases = " ".join(f"when '{k}' then '{v}'" for k, v in words.items())
    return f"case {column} {cases} else {column} end"


def _user(number: str) -> str:
    """The user of an employee; what nobody did was done by the automated process."""
    return sql_id("005", f"coalesce({number}, 0)")


# A person record as of now, and `referred`: whom a reference to it leads to, since when.
_PEOPLE = """
    states as (
        select * from world.record
        where vendor = 'salesforce' and happened(changed_at, record_id)
        qualify row_number() over (partition by record_id order by version desc) = 1
    ),
    chains as (
        select record_id, record_id as head_id,
            case when state = 'merged' then merged_into end as next_id,
            case when state in ('merged', 'erased') then changed_at end as moved_at
        from states
        union all
        select chains.record_id, states.record_id,
            case when states.state = 'merged' then states.merged_into end,
            case
                when states.state in ('merged', 'erased')
                    then greatest(chains.moved_at, states.changed_at)
                else chains.moved_at
            end
        from chains inner join states on chains.next_id = states.record_id
    ),
    referred as (
        select chains.record_id, states.object, chains.moved_at,
            case when states.state <> 'erased' then states.external_id end as external_id
        from chains inner join states on chains.head_id = states.record_id
        where chains.next_id is null
    ),
    companies as (select account_id from world.account where segment = 'enterprise')"""

# Fields: name, kind, expression; `!` after a kind: cannot be filtered; `<X`: part of the address X
_STANDARD = """
    Id id id
    IsDeleted boolean is_deleted
    CreatedDate datetime created
    LastModifiedDate datetime stamp
    SystemModstamp datetime stamp
"""
_LACKING = {  # what some objects do not have
    "User": {"IsDeleted"},
    "CaseHistory": {"LastModifiedDate", "SystemModstamp"},
    "LeadHistory": {"LastModifiedDate", "SystemModstamp"},
    "OpportunityHistory": {"LastModifiedDate"},
}
_ADDRESS = """
    {0}Street textarea!<{0}Address street
    {0}City string<{0}Address city
    {0}PostalCode string<{0}Address postal_code
    {0}Country string<{0}Address {1}
    {0}CountryCode picklist<{0}Address country
    {0}Address address! struct_pack(city := city, country := {1}, countryCode := country, postalCode := postal_code, street := street)
"""
_COUNTRY = _words("country", COUNTRIES)


def _entity(name: str, prefix: str, fields: str, source: str, *, people: bool = True) -> Entity:
    """`source` gives a row a record: id, created, stamp, is_deleted and what the fields say."""
    declared = _STANDARD + fields
    lacking = _LACKING.get(name, set())
    known: dict[str, Field] = {}
    columns, shown = [], []
    for line in filter(None, (line.strip() for line in declared.splitlines())):
        field_name, kind, sql = line.split(" ", 2)
        kind, _, compound = kind.partition("<")
        column = "id" if field_name == "Id" else f'"{field_name}"'
        field = Field(
            field_name,
            kind.rstrip("!"),
            column,
            filterable=not kind.endswith("!"),
            nillable=field_name not in ("Id", "IsDeleted", "CreatedDate", "SystemModstamp"),
            compound=compound or None,
        )
        if field.kind == "datetime":
            sql = f"date_trunc('second', {sql})"
        elif field.kind in ("currency", "percent", "double"):
            sql = f"cast({sql} as double)"
        columns.append(f"{sql} as {column}")
        if field_name in lacking:
            continue
        known[field_name] = field
        if field.kind != "address":
            shown.append(f'"{field_name}" := {json_value(field)}')
    projection = Projection(
        name=f"salesforce_{name.lower()}",
        sql=f"""with recursive {_PEOPLE if people else "nobody as (select 1)"},
            rows as ({source}),
            records as (select {", ".join(columns)} from rows)
        select
            * exclude (id), id, "CreatedDate" as created_at, "SystemModstamp" as updated_at,
            case when "IsDeleted" then "SystemModstamp" end as archived_at,
            to_json(struct_pack({", ".join(shown)})) as document
        from records""",
    )
    return Entity(name, prefix, known, projection)


def _person_rows(kind: str) -> str:
    """The newest versions of contacts or leads that are not erased nor out of the recycle bin."""
    return f"""
        select
            states.* replace (companies.account_id as account_id), states.external_id as id,
            states.created_at as created, states.changed_at as stamp,
            states.state in ('archived', 'merged') as is_deleted, winners.external_id as winner
        from states
        left join companies on states.account_id = companies.account_id
        left join states as winners
            on states.state = 'merged' and states.merged_into = winners.record_id
        where states.object = '{kind}' and states.state <> 'erased' and (
            states.state = 'live' or states.changed_at + {RECYCLE_BIN} > clock()
        )"""


_PERSON = """
    MasterRecordId reference winner
    FirstName string first_name
    LastName string coalesce(last_name, '[not provided]')
    Name string concat_ws(' ', first_name, coalesce(last_name, '[not provided]'))
    Title string job_title
    Email email email
    Phone phone phone
    HasOptedOutOfEmail boolean coalesce(not email_consent, false)
    LeadSource picklist source_channel
    Language__c picklist language
"""

ACCOUNT = _entity(
    "Account", "001",
    f"""
    MasterRecordId reference cast(null as varchar)
    OwnerId reference {_user("null")}
    CurrencyIsoCode picklist 'EUR'
    Name string name
    ParentId reference parent_id
    Type picklist 'Customer'
    Industry picklist industry
    Phone phone cast(null as varchar)
    Website url 'https://www.' || domain
    AnnualRevenue currency annual_revenue
    NumberOfEmployees int employees
    Segment__c picklist segment
    {_ADDRESS.format("Billing", _COUNTRY)}""",
    f"""
        select account.*, {sql_id("001", "account.account_id")} as id, created_at as created,
            created_at as stamp, false as is_deleted,
            case when companies.account_id is not null
                then {sql_id("001", "companies.account_id")} end as parent_id
        from world.account
        left join companies on account.parent_account_id = companies.account_id
        where segment = 'enterprise' and happened(created_at, account.account_id)""",
)  # fmt: skip

CONTACT = _entity(
    "Contact", "003",
    f"""
    {_PERSON}
    OwnerId reference {_user("null")}
    AccountId reference case when account_id is not null then {sql_id("001", "account_id")} end
    MobilePhone phone cast(null as varchar)
    Birthdate date birth_date
    IsEmailBounced boolean false
    IndividualId reference cast(null as varchar)
    {_ADDRESS.format("Mailing", _COUNTRY)}""",
    _person_rows("contact"),
)  # fmt: skip

LEAD = _entity(
    "Lead", "00Q",
    f"""
    {_PERSON}
    OwnerId reference {_user("employee_id")}
    Company string coalesce(company_name, '[not provided]')
    Status picklist status
    Rating picklist cast(null as varchar)
    IsConverted boolean converted_at is not null
    ConvertedDate date cast(timezone('UTC', converted_at) as date)
    ConvertedAccountId reference converted_account_id
    ConvertedContactId reference converted_contact_id
    ConvertedOpportunityId reference converted_opportunity_id
    CampaignId__c reference campaign
    {_ADDRESS.format("", _COUNTRY)}""",
    f"""
        select
            people.* replace (
                greatest(people.stamp, pursuits.staged_at, deals.created_at, contacts.moved_at) as stamp
            ),
            case
                when deals.opportunity_id is not null then '{LEAD_STATES["won"]}'
                when people.record_id not in (
                    select record_id from world.opportunity where record_id is not null
                ) then '{DUPLICATE}'
                else coalesce({_words("pursuits.stage", LEAD_STATES)}, '{LEAD_STATES["new"]}')
            end as status,
            deals.created_at as converted_at,
            case when deal_companies.account_id is not null
                then {sql_id("001", "deal_companies.account_id")} end as converted_account_id,
            contacts.external_id as converted_contact_id,
            case when deals.opportunity_id is not null
                then {sql_id("006", "deals.opportunity_id")} end as converted_opportunity_id,
            case when pursuits.campaign_id is not null
                then {sql_id("701", "pursuits.campaign_id")} end as campaign,
            pursuits.employee_id
        from ({_person_rows("lead")}) as people
        left join (
            select leads.record_id, max(leads.opportunity_id) as opportunity_id,
                arg_max(leads.campaign_id, leads.opportunity_id) as campaign_id,
                arg_max(leads.employee_id, leads.opportunity_id) as employee_id,
                arg_max(stages.stage, (leads.opportunity_id, stages.at, stages.stage_event_id)) as stage,
                max(stages.at) as staged_at
            from world.opportunity as leads
            left join world.opportunity_stage as stages
                on leads.opportunity_id = stages.opportunity_id
                and happened(stages.at, stages.stage_event_id)
            where leads.vendor = 'salesforce' and leads.kind = 'lead'
                and happened(leads.created_at, leads.opportunity_id)
            group by leads.record_id
        ) as pursuits on people.record_id = pursuits.record_id
        left join world.opportunity as deals
            on pursuits.opportunity_id = deals.from_opportunity_id and deals.vendor = 'salesforce'
            and deals.kind = 'opportunity' and happened(deals.created_at, deals.opportunity_id)
        left join companies as deal_companies on deals.account_id = deal_companies.account_id
        left join referred as contacts
            on deals.record_id = contacts.record_id and contacts.object = 'contact'""",
)  # fmt: skip

_DEALS = """
    select * from world.opportunity
    where vendor = 'salesforce' and kind = '{0}' and happened(created_at, opportunity_id)"""

OPPORTUNITY = _entity(
    "Opportunity", "006",
    f"""
    OwnerId reference {_user("employee_id")}
    CurrencyIsoCode picklist currency
    AccountId reference case when company_id is not null then {sql_id("001", "company_id")} end
    ContactId reference contact_id
    CampaignId reference case when campaign_id is not null then {sql_id("701", "campaign_id")} end
    Name string name
    StageName picklist {_words("stage", STAGES)}
    Amount currency amount
    Probability percent probability * 100
    CloseDate date coalesce(closed_on, expected_close, cast(timezone('UTC', created_at) as date) + 90)
    IsClosed boolean stage in ('won', 'lost')
    IsWon boolean stage = 'won'
    Type picklist 'New Business'
    ForecastCategory picklist case stage when 'won' then 'Closed' when 'lost' then 'Omitted' else 'Pipeline' end
    Loss_Reason__c picklist case when stage = 'lost' then lost_reason end
    """,
    f"""
        select
            deals.*, {sql_id("006", "deals.opportunity_id")} as id, deals.created_at as created,
            greatest(deals.created_at, entered.staged_at, contacts.moved_at) as stamp,
            false as is_deleted, companies.account_id as company_id,
            contacts.external_id as contact_id, coalesce(entered.stage, 'new') as stage,
            entered.amount, entered.probability, entered.closed_on
        from ({_DEALS.format("opportunity")}) as deals
        left join (
            select opportunity_id, max(stages.at) as staged_at,
                arg_max(stage, (stages.at, stage_event_id)) as stage,
                arg_max(amount, (stages.at, stage_event_id)) as amount,
                arg_max(probability, (stages.at, stage_event_id)) as probability,
                cast(timezone('UTC', max(stages.at) filter (where stage in ('won', 'lost'))) as date)
                    as closed_on
            from world.opportunity_stage as stages
            where happened(stages.at, stage_event_id)
            group by opportunity_id
        ) as entered on deals.opportunity_id = entered.opportunity_id
        left join companies on deals.account_id = companies.account_id
        left join referred as contacts
            on deals.record_id = contacts.record_id and contacts.object = 'contact'""",
)  # fmt: skip


def _stages(kind: str) -> str:
    """Stages entered, each with the one before it, of leads or of opportunities."""
    return f"""
        select stages.*, deals.employee_id, deals.currency, deals.expected_close, deals.record_id,
            stages.at as created, stages.at as stamp, false as is_deleted,
            lag(stages.stage) over (
                partition by stages.opportunity_id order by stages.at, stages.stage_event_id
            ) as previous
        from ({_DEALS.format(kind)}) as deals
        inner join world.opportunity_stage as stages on deals.opportunity_id = stages.opportunity_id
        qualify happened(stages.at, stages.stage_event_id)"""


OPPORTUNITY_HISTORY = _entity(
    "OpportunityHistory", "008",
    f"""
    OpportunityId reference {sql_id("006", "opportunity_id")}
    CreatedById reference {_user("employee_id")}
    CurrencyIsoCode picklist currency
    StageName picklist {_words("stage", STAGES)}
    Amount currency amount
    Probability percent probability * 100
    CloseDate date expected_close
    ForecastCategory picklist case stage when 'won' then 'Closed' when 'lost' then 'Omitted' else 'Pipeline' end
    """,
    f"select *, {sql_id('008', 'stage_event_id')} as id from ({_stages('opportunity')})",
)  # fmt: skip

LEAD_HISTORY = _entity(
    "LeadHistory", "017",
    f"""
    LeadId reference lead_id
    CreatedById reference {_user("employee_id")}
    Field picklist case when previous is null then 'created' else 'Status' end
    DataType picklist 'Text'
    OldValue anyType! {_words("previous", LEAD_STATES)}
    NewValue anyType! case when previous is not null then {_words("stage", LEAD_STATES)} end
    """,
    f"""
        select stages.*, {sql_id("017", "stage_event_id")} as id, leads.external_id as lead_id
        from ({_stages("lead")}) as stages
        inner join states as leads on stages.record_id = leads.record_id""",
)  # fmt: skip

# Cases that can be seen. Of two merged ones the org keeps the loser, closed, with the winner's id;
# its mails move to the winner.
_CASES = f"""
    select tickets.*, merges.merged_at,
        coalesce(happened(tickets.deleted_at, tickets.ticket_id), false) as is_deleted,
        coalesce(happened(merges.merged_at, merges.event_id), false) as is_merged
    from world.ticket as tickets
    left join (
        select events.ticket_id, max(events.at) as merged_at,
            arg_max(events.ticket_event_id, events.at) as event_id
        from world.ticket_event as events
        where events.ticket_id in (select ticket_id from world.ticket where merged_into is not null)
        group by events.ticket_id
    ) as merges on tickets.ticket_id = merges.ticket_id
    where tickets.vendor = 'salesforce' and happened(tickets.created_at, tickets.ticket_id)
        and (tickets.deleted_at is null or tickets.deleted_at + {RECYCLE_BIN} > clock())"""

CASE = _entity(
    "Case", "500",
    f"""
    MasterRecordId reference case when is_merged then {sql_id("500", "merged_into")} end
    OwnerId reference owner_id
    CaseNumber string lpad(cast(ticket_id + 1000 as varchar), 8, '0')
    AccountId reference case when company_id is not null then {sql_id("001", "company_id")} end
    ContactId reference contact_id
    Status picklist {_words("status", CASE_STATES)}
    Priority picklist {_words("priority", PRIORITIES)}
    Origin picklist upper(channel[1]) || channel[2:]
    Reason picklist topic
    Subject string subject
    Support_Group__c picklist support_group
    Satisfaction__c picklist satisfaction
    Shop_Order__c string cast({SHOP_ORDER} + order_id as varchar)
    IsClosed boolean status in ('solved', 'closed')
    ClosedDate datetime case when status in ('solved', 'closed') then closed_at end
    IsEscalated boolean priority = 'urgent'
    ParentId reference cast(null as varchar)
    """,
    f"""
        select
            cases.* replace (
                coalesce(events.priority, cases.priority) as priority,
                coalesce(events.support_group, cases.support_group) as support_group
            ),
            {sql_id("500", "cases.ticket_id")} as id, cases.created_at as created,
            greatest(
                cases.created_at, events.changed_at, contacts.moved_at,
                case when cases.is_deleted then cases.deleted_at end
            ) as stamp,
            companies.account_id as company_id, contacts.external_id as contact_id,
            coalesce(events.status, 'new') as status, events.satisfaction, events.closed_at,
            case
                when events.assignee is not null then {_user("events.assignee")}
                else {sql_id("00G", "1")}
            end as owner_id
        from ({_CASES}) as cases
        left join (
            select ticket_id, max(events.at) as changed_at,
                arg_max(to_value, (events.at, ticket_event_id)) filter (where field = 'status') as status,
                arg_max(to_value, (events.at, ticket_event_id)) filter (where field = 'priority') as priority,
                arg_max(to_value, (events.at, ticket_event_id)) filter (where field = 'support_group')
                    as support_group,
                arg_max(to_value, (events.at, ticket_event_id)) filter (where field = 'satisfaction')
                    as satisfaction,
                arg_max(coalesce(try_cast(to_value as bigint), employee_id), (events.at, ticket_event_id))
                    filter (where field = 'assignee') as assignee,
                max(events.at) filter (
                    where field = 'status' and to_value in ('solved', 'closed')
                        and coalesce(from_value, '') not in ('solved', 'closed')
                ) as closed_at
            from world.ticket_event as events
            where happened(events.at, ticket_event_id)
            group by ticket_id
        ) as events on cases.ticket_id = events.ticket_id
        left join companies on cases.account_id = companies.account_id
        left join referred as contacts on cases.record_id = contacts.record_id""",
)  # fmt: skip


def _case_value(column: str) -> str:
    """A value of a case's history in Salesforce's words."""
    return (
        f"case field when 'status' then {_words(column, CASE_STATES)}"
        f" when 'priority' then {_words(column, PRIORITIES)}"
        f" when 'assignee' then {_user(f'try_cast({column} as bigint)')} else {column} end"
    )


# A history has no SystemModstamp: it is never changed.
CASE_HISTORY = _entity(
    "CaseHistory", "017",
    f"""
    CaseId reference {sql_id("500", "ticket_id")}
    CreatedById reference {_user("employee_id")}
    Field picklist case field when 'status' then 'Status' when 'priority' then 'Priority' when 'assignee' then 'Owner' when 'support_group' then 'Support_Group__c' when 'satisfaction' then 'Satisfaction__c' else field end
    DataType picklist 'Text'
    OldValue anyType! case when from_value is not null then {_case_value("from_value")} end
    NewValue anyType! case when to_value is not null then {_case_value("to_value")} end
    """,
    f"""
        select events.*, {sql_id("017", "ticket_event_id")} as id, events.at as created, events.at as stamp,
            false as is_deleted
        from world.ticket_event as events
        inner join world.ticket as cases on events.ticket_id = cases.ticket_id
        where cases.vendor = 'salesforce' and happened(events.at, events.ticket_event_id)
            and happened(cases.created_at, cases.ticket_id)""",
    people=False,
)  # fmt: skip

_MESSAGES = f"""
    select
        messages.*, messages.at as created, cases.is_deleted, cases.subject, cases.record_id,
        greatest(
            messages.at, case when cases.is_merged then cases.merged_at end,
            case when cases.is_deleted then cases.deleted_at end
        ) as stamp,
        case when cases.is_merged then cases.merged_into else cases.ticket_id end as case_id
    from world.message as messages
    inner join ({_CASES}) as cases on messages.ticket_id = cases.ticket_id
    where happened(messages.at, messages.message_id)"""

# What customer and agents write to each other; colleagues' notes are case comments.
EMAIL_MESSAGE = _entity(
    "EmailMessage", "02s",
    f"""
    ParentId reference {sql_id("500", "case_id")}
    CreatedById reference {_user("employee_id")}
    MessageDate datetime created
    Incoming boolean author = 'customer'
    Status picklist case when author = 'customer' then '1' else '3' end
    Subject string 'Re: ' || subject
    FromName string case when author = 'customer' then customer_name when author = 'agent' then first_name || ' ' || last_name else 'Nordlicht Assistant' end
    FromAddress email case when author = 'customer' then customer_email when author = 'agent' then email else 'no-reply@nordlicht.example' end
    ToAddress string case when author <> 'customer' then customer_email else 'support@nordlicht.example' end
    TextBody textarea! body
    """,
    f"""
        select
            messages.* replace (greatest(messages.stamp, customers.moved_at) as stamp),
            {sql_id("02s", "message_id")} as id, customers.email as customer_email,
            customers.name as customer_name, employee.* exclude (employee_id)
        from ({_MESSAGES}) as messages
        left join world.employee on messages.employee_id = employee.employee_id
        left join (
            select referred.record_id, referred.moved_at,
                case when referred.external_id is not null then writers.email end as email,
                case when referred.external_id is not null
                    then concat_ws(' ', writers.first_name, writers.last_name) end as name
            from referred
            inner join world.record as writers
                on referred.record_id = writers.record_id and writers.version = (
                    select min(version) from world.record as first
                    where first.record_id = writers.record_id
                )
        ) as customers on messages.record_id = customers.record_id
        where messages.is_public""",
)  # fmt: skip

CASE_COMMENT = _entity(
    "CaseComment", "00a",
    f"""
    ParentId reference {sql_id("500", "case_id")}
    CreatedById reference {_user("employee_id")}
    IsPublished boolean false
    CommentBody textarea! body
    """,
    f"""
        select *, {sql_id("00a", "message_id")} as id from ({_MESSAGES})
        where not coalesce(is_public, false)""",
    people=False,
)  # fmt: skip

# An activity shows when it is over. It is archived after a year, and no stamp tells of that.
_ACTIVITIES = f"""
    select
        activity.*, activity.at as created,
        greatest(activity.at + to_seconds(coalesce(duration_seconds, 0)), people.moved_at) as stamp,
        activity.at + to_seconds(coalesce(duration_seconds, 0)) as ended_at, false as is_deleted,
        people.external_id as who, companies.account_id as company_id,
        activity.at + {ARCHIVED_AFTER} <= clock() as is_archived,
        -- what a lead does belongs to no opportunity
        case when people.object = 'contact' and deals.kind = 'opportunity'
            then {sql_id("006", "deals.opportunity_id")} end as what
    from world.activity
    left join referred as people on activity.record_id = people.record_id
    left join world.opportunity as deals on activity.opportunity_id = deals.opportunity_id
    left join companies on deals.account_id = companies.account_id
    where activity.vendor = 'salesforce'
        and happened(activity.at + to_seconds(coalesce(duration_seconds, 0)), activity_id)"""

_ACTIVITY = f"""
    OwnerId reference {_user("employee_id")}
    WhoId reference who
    WhatId reference what
    AccountId reference case when company_id is not null then {sql_id("001", "company_id")} end
    Subject string subject
    ActivityDate date cast(timezone('UTC', created) as date)
    IsArchived boolean is_archived
"""

TASK = _entity(
    "Task", "00T",
    f"""
    {_ACTIVITY}
    Status picklist 'Completed'
    Priority picklist 'Normal'
    IsClosed boolean true
    TaskSubtype picklist case kind when 'call' then 'Call' when 'email' then 'Email' else 'Task' end
    CompletedDateTime datetime ended_at
    CallDurationInSeconds int case when kind = 'call' then duration_seconds end
    CallType picklist case when kind = 'call' then upper(direction[1]) || direction[2:] end
    CallDisposition string case when kind = 'call' then outcome end
    """,
    f"select *, {sql_id('00T', 'activity_id')} as id from ({_ACTIVITIES}) where kind <> 'meeting'",
)  # fmt: skip

EVENT = _entity(
    "Event", "00U",
    f"""
    {_ACTIVITY}
    StartDateTime datetime created
    EndDateTime datetime ended_at
    DurationInMinutes int cast(coalesce(duration_seconds, 0) // 60 as integer)
    EventSubtype picklist 'Event'
    """,
    f"select *, {sql_id('00U', 'activity_id')} as id from ({_ACTIVITIES}) where kind = 'meeting'",
)  # fmt: skip

CAMPAIGN = _entity(
    "Campaign", "701",
    f"""
    OwnerId reference {_user("null")}
    CurrencyIsoCode picklist currency
    Name string name
    Type picklist {_words("channel", CHANNELS)}
    Status picklist case when is_over then 'Completed' else 'In Progress' end
    IsActive boolean not is_over
    StartDate date cast(timezone('UTC', started_at) as date)
    EndDate date cast(timezone('UTC', ended_at) as date)
    BudgetedCost currency budget
    ActualCost currency case when is_over then actual_cost end
    UTM_Campaign__c string utm_campaign
    """,
    f"""
        select *, {sql_id("701", "campaign_id")} as id, started_at as created, false as is_deleted,
            case when is_over then ended_at else started_at end as stamp
        from (
            select *, coalesce(happened(ended_at, campaign_id), false) as is_over
            from world.campaign where happened(started_at, campaign_id)
        )""",
    people=False,
)  # fmt: skip

# Whoever asked for an offer because of a campaign has responded to it.
CAMPAIGN_MEMBER = _entity(
    "CampaignMember", "00v",
    f"""
    CampaignId reference {sql_id("701", "campaign_id")}
    LeadId reference case when object = 'lead' then who end
    ContactId reference case when object = 'contact' then who end
    Status picklist 'Responded'
    HasResponded boolean true
    FirstRespondedDate date cast(timezone('UTC', created) as date)
    """,
    f"""
        select {sql_id("00v", "deals.opportunity_id")} as id, deals.campaign_id, people.object,
            people.external_id as who, deals.created_at as created,
            greatest(deals.created_at, people.moved_at) as stamp, false as is_deleted
        from (
            select * from world.opportunity
            where vendor = 'salesforce' and campaign_id is not null
            qualify row_number() over (
                partition by campaign_id, record_id order by opportunity_id
            ) = 1
        ) as deals
        inner join referred as people on deals.record_id = people.record_id
        where happened(deals.created_at, deals.opportunity_id)""",
)  # fmt: skip

# Employees, and the automated process, to which belongs what no person did.
USER = _entity(
    "User", "005",
    """
    Username string email
    Name string concat_ws(' ', first_name, last_name)
    FirstName string first_name
    LastName string last_name
    Email email email
    IsActive boolean is_active
    UserType picklist user_type
    Department string team
    Title string role
    """,
    f"""
        select *, {sql_id("005", "employee_id")} as id, hired_at as created, false as is_deleted,
            case when is_active then hired_at else left_at end as stamp, 'Standard' as user_type
        from (
            select *, not coalesce(happened(left_at, employee_id), false) as is_active
            from world.employee where happened(hired_at, employee_id)
        )
        union all by name
        select 0 as employee_id, {sql_id("005", "0")} as id, 'Automated Process' as last_name,
            'autoproc@nordlicht.example' as email, true as is_active, 'AutomatedProcess' as user_type,
            timestamptz '2015-01-01' as created, timestamptz '2015-01-01' as stamp,
            false as is_deleted""",
    people=False,
)  # fmt: skip

ENTITIES = {
    entity.name: entity
    for entity in (
        ACCOUNT, CONTACT, LEAD, LEAD_HISTORY, OPPORTUNITY, OPPORTUNITY_HISTORY, CASE, CASE_HISTORY,
        EMAIL_MESSAGE, CASE_COMMENT, TASK, EVENT, CAMPAIGN, CAMPAIGN_MEMBER, USER,
    )
}  # fmt: skip
