"""Names, addresses and mailboxes in the one form that makes them comparable, as DuckDB macros."""

from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv as pc_csv

# Passport transliteration, with the letters of Ukrainian and Kazakh; then Latin letters that are
# no letter with a mark. One letter becomes one letter in `_SINGLE`, several in `_MULTIPLE`.
_SINGLE = (
    "абвгґдеёзийіїклмнопрстуфыэәғқңөұүһıłđðø",
    "abvggdeeziiiiklmnoprstufyeagknouuhilddo",
)
_MULTIPLE = {
    "ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ю": "iu", "я": "ia",
    "є": "ie", "ъ": "", "ь": "", "ß": "ss", "æ": "ae", "œ": "oe", "þ": "th",
}  # fmt: skip

# How one name is spelled in different transliterations and with or without its umlauts, in order.
_SPELLINGS = (
    (r"tsch", "ch"), (r"sch", "sh"), (r"kh", "h"), (r"ph", "f"), (r"th", "t"), (r"tz", "ts"),
    (r"x", "ks"), (r"w", "v"), (r"yo|(?:\Bjo)", "e"), (r"[yj]e", "e"),  # Fyodor, Yevgeny
    (r"ae", "a"), (r"oe", "o"), (r"(^|[^aeioq])ue", r"\1u"),  # Mueller
    (r"[yj]", "i"), (r"^ie", "e"), (r"iei$", "ei"),
)  # fmt: skip

_TITLES = r"^((dr|prof|mr|mrs|ms|miss|herr|frau|sr|sra|dona|dom|ing|dipl|mag|sir)[. ]+)+"
_LEGAL_FORMS = (
    "gmbh ag kg kgaa ug mbh ohg gbr ev se co cokg ltd limited plc llp llc inc incorporated corp "
    "corporation company sa sas sarl srl spa ltda lda eireli epp bv nv oy ab as aps sp zoo "
    "ooo oao zao pao ao too ip"
)
_STREET_WORDS = {
    "strasse": "str", "street": "st", "avenue": "av", "ave": "av", "avenida": "av", "road": "rd",
    "lane": "ln", "drive": "dr", "boulevard": "blvd", "close": "cl", "court": "ct", "place": "pl",
    "square": "sq", "rua": "r", "travessa": "tv", "largo": "lg", "praca": "pc", "platz": "pl",
    "ulitsa": "ul", "prospekt": "pr",
}  # fmt: skip
_NO_NAMES = (
    "test tester testing dummy demo example unknown unbekannt none null na nn xxx xx asdf qa guest "
    "gast customer kunde cliente anonymous anonym anonimo user admin"
)


def install(connection: duckdb.DuckDBPyConnection) -> None:
    """Define the macros below and the table `nicknames` (key, forms) in a connection.

    folded(text): lower-case Latin letters and digits, words kept apart by one blank.
    spelling(text): the folded text without blanks, one for all transliterations of a name.
    """
    letters = "lower(nfc_normalize(trim(x)))"
    for letter, latin in _MULTIPLE.items():
        letters = f"replace({letters}, '{letter}', '{latin}')"
    letters = f"strip_accents(translate({letters}, '{_SINGLE[0]}', '{_SINGLE[1]}'))"
    folded = rf"replace(replace(replace({letters}, '''', ''), '’', ''), '`', '')"
    folded = rf"nullif(trim(regexp_replace({folded}, '[^a-z0-9]+', ' ', 'g')), '')"
    connection.execute(f"create or replace temp macro folded(x) as {folded}")
    spelled = "replace(x, ' ', '')"
    for pattern, form in _SPELLINGS:
        spelled = f"regexp_replace({spelled}, '{pattern}', '{form}', 'g')"
    for letter in "abcdefghiklmnoprstuvz":  # written once or twice, who remembers
        spelled = f"regexp_replace({spelled}, '{letter}{{2,}}', '{letter}', 'g')"
    connection.execute(f"create or replace temp macro spelling(x) as {spelled}")
    connection.register("nickname_table", _nicknames())
    connection.execute("""
        create or replace temp table nicknames as
        with pairs as (
            select spelling(folded(short)) as key, spelling(folded(name)) as form
            from nickname_table
        )
        select key, list(distinct form order by form) as forms
        from (
            from pairs union all select form, form from pairs union all select key, key from pairs
        )
        group by key
    """)
    connection.unregister("nickname_table")


def normalise(connection: duckdb.DuckDBPyConnection, records: str, result: str) -> None:
    """Make the table `result` of comparable columns from the table or view `records`."""
    street = "folded(street)"
    for word, short in _STREET_WORDS.items():
        # at the end of a word in German (Hauptstrasse), a word of its own elsewhere
        begin = "" if word in ("strasse", "platz") else r"\b"
        street = f"regexp_replace({street}, '{begin}{word}\\b', '{short}', 'g')"
    legal = "|".join(_LEGAL_FORMS.split())
    no_names = ", ".join(f"'{name}'" for name in _NO_NAMES.split())
    connection.execute(rf"""
    create or replace temp table split_names as
    select
        record_key,
        case
            when first_name is not null or last_name is not null then first_name
            when full_name like '%,%' then trim(split_part(full_name, ',', 2))
            when not is_lone or is_first then split_part(plain, ' ', 1)
        end as first_name,
        case
            when first_name is not null or last_name is not null then last_name
            when full_name like '%,%' then trim(split_part(full_name, ',', 1))
            when is_lone and not is_first then plain
            else nullif(trim(substr(plain, length(split_part(plain, ' ', 1)) + 1)), '')
        end as last_name
    from (
        select
            *,
            case when not contains(full_name, '@') then
                regexp_replace(trim(full_name), '{_TITLES}', '', 'i')
            end as plain,
            -- a single word is a family name, unless it is known as a first name
            not contains(plain, ' ') as is_lone,
            spelling(folded(plain)) in (select key from nicknames) as is_first
        from {records}
    );

    -- each name is worked on once, however many records carry it: from a table of its own, or the
    -- condition on its folded form would be asked of every record
    create or replace temp table given_first_names as
    select distinct first_name from split_names where first_name is not null;

    create or replace temp table given_last_names as
    select distinct last_name from split_names where last_name is not null;

    create or replace temp table given_mailboxes as
    select distinct email, mailbox_kind from {records} where email is not null;

    create or replace temp table first_names as
    select
        names.first_name, names.first_written, names.first_key, names.first_whole,
        left(names.first_key, 1) as initial,
        regexp_replace(names.first_key, '(ina|ine|ane|eta|ete|[aeio])$', '') as first_stem,
        coalesce(nicknames.forms, [names.first_key]) as first_forms,
        nicknames.key is not null as first_listed
    from (
        select
            first_name, folded as first_written, spelling(folded) as first_whole,
            spelling(split_part(folded, ' ', 1)) as first_key
        from (
            select
                first_name,
                folded(regexp_replace(trim(first_name), '{_TITLES}', '', 'i')) as folded
            from given_first_names
            where folded not in ({no_names})
        )
    ) as names
    left join nicknames on names.first_key = nicknames.key;

    create or replace temp table last_names as
    select
        last_name, folded as last_written, spelling(folded) as last_key,
        regexp_replace(last_key, '[aeio]$', '') as last_stem,
        list_filter(
            list_transform(string_split(folded, ' '), lambda x: spelling(x)),
            lambda x: length(x) > 3
        ) as last_parts,
        -- a Russian family's women and men: Belova and Belov, Kuzmina and Kuzmin, Tolstaya, Tolstoi
        regexp_replace(
            regexp_replace(spelling(folded), '(ov|ev|in)a$', '\1'), '(aia|oi|i)$', 'i'
        ) as family_key
    from (
        select last_name, folded(last_name) as folded
        from given_last_names
        where folded not in ({no_names})
    );

    create or replace temp table streets as
    select
        street,
        nullif(spelling(replace(case
            when number_first then regexp_replace(short, '^\d+ ?[a-z]?\b', '')
            else regexp_replace(short, '\b\d+ ?[a-z]?$', '')
        end, ' ', '')), '')
            as street_key,
        nullif(replace(case
            when number_first then regexp_extract(short, '^\d+ ?[a-z]?\b')
            else regexp_extract(short, '\b\d+ ?[a-z]?$')
        end, ' ', ''), '') as street_number
    from (
        select
            street, {street} as short, regexp_matches(short, '^\d') as number_first
        from (select distinct street from {records} where street is not null)
    );

    create or replace temp table cities as
    select city, spelling(folded(city)) as city_key
    from (select distinct city from {records} where city is not null);

    create or replace temp table companies as
    select
        company_name,
        nullif(spelling(replace(
            regexp_replace(folded(company_name), '\b({legal})\b', '', 'g'), ' ', ''
        )), '') as company_key
    from (select distinct company_name from {records} where company_name is not null);

    create or replace temp table mailboxes as
    select
        email, mailbox_kind, domain, mailbox_kind = 'family' as is_family_mailbox,
        mailbox_kind is not null as is_group,
        case when not is_group then local_part || '@' || domain end as mailbox,
        case when is_group then local_part || '@' || domain end as group_mailbox,
        case when not is_group then nullif(regexp_replace(local_part, '[^a-z0-9]', '', 'g'), '') end
            as local_key,
        case when not is_group then nullif(regexp_replace(local_part, '[^a-z]', '', 'g'), '') end
            as local_letters,
        case when not is_group then regexp_replace(local_part, '\D', '', 'g') end as local_digits,
        left(local_letters, 4) as local_start,
        case when length(local_digits) > 1 then local_digits end as long_digits
    from (
        select
            email,
            mailbox_kind,
            case when domain = 'googlemail.com' then 'gmail.com' else domain end as domain,
            case
                when domain in ('gmail.com', 'googlemail.com') then replace(local_part, '.', '')
                else local_part
            end as local_part
        from (
            select
                email,
                mailbox_kind,
                split_part(lower(trim(email)), '@', 2) as domain,
                split_part(split_part(lower(trim(email)), '@', 1), '+', 1) as local_part
            from given_mailboxes
            where regexp_full_match(trim(email), '[^@\s]+@[^@\s]+\.[^@\s.]+')
        )
    );

    create or replace temp table {result} as
    select
        records.record_key, records.source,
        first_names.first_written, first_names.first_key, first_names.first_whole,
        first_names.first_forms, first_names.first_listed, first_names.first_stem,
        first_names.initial,
        last_names.last_written, last_names.last_key, last_names.last_parts, last_names.last_stem,
        last_names.family_key,
        least(first_names.first_whole, last_names.last_key)
            || ' ' || (greatest(first_names.first_whole, last_names.last_key)) as name_key,
        mailboxes.mailbox, mailboxes.group_mailbox, mailboxes.is_family_mailbox,
        mailboxes.local_key, mailboxes.local_letters, mailboxes.local_digits,
        mailboxes.local_start, mailboxes.long_digits, mailboxes.domain,
        case when length(digits) >= 7 then right(digits, 8) end as phone_tail,
        strftime(records.birth_date, '%Y%m%d') as born,
        streets.street_key, streets.street_number, cities.city_key,
        case when lower(records.country) = 'us' then left(compact, 5) else compact end
            as postal_key,
        streets.street_key || ' ' || streets.street_number || ' '
            || coalesce(cities.city_key, compact) as address_key,
        coalesce(address_key, postal_key, cities.city_key) as place,
        companies.company_key
    from (
        select
            *,
            nullif(regexp_replace(phone, '\D', '', 'g'), '') as digits,
            nullif(regexp_replace(upper(postal_code), '[^A-Z0-9]', '', 'g'), '') as compact
        from {records}
    ) as records
    left join split_names on records.record_key = split_names.record_key
    left join first_names on split_names.first_name = first_names.first_name
    left join last_names on split_names.last_name = last_names.last_name
    left join mailboxes
        on
            records.email = mailboxes.email
            and records.mailbox_kind is not distinct from mailboxes.mailbox_kind
    left join streets on records.street = streets.street
    left join cities on records.city = cities.city
    left join companies on records.company_name = companies.company_name
    """)


@cache
def _nicknames() -> pa.Table:
    return pc_csv.read_csv(Path(__file__).with_name("nicknames.csv"))
