"""What the simulated shop holds: its records at the company's clock, in the shapes of its API.

Numbers of the world become ids by adding a constant (`NUMBERS`); a customer's number is the
record's external id. An order's currency is its presentment currency, and the shop's is EUR: shop
money is the same amount at the rate of the day the order was placed, so that presentment money
adds up to the cent and shop money only nearly, as in a real shop.
"""

from ingestion.simulator.projection import Projection

SHOP_CURRENCY = "EUR"
NUMBERS = {
    "Order": 4_500_000_000,
    "LineItem": 13_000_000_000,
    "OrderTransaction": 6_000_000_000,
    "Refund": 900_000_000,
    "Fulfillment": 5_200_000_000,  # of the order: it is shipped at once
    "Product": 8_100_000_000,
    "ProductVariant": 44_000_000_000,  # of the product: each has one
    "InventoryItem": 45_000_000_000,
    "AbandonedCheckout": 6_200_000_000,
    "AbandonedCheckoutLineItem": 50_000_000_000_000,
    "BasicEvent": 170_000_000_000,
}
TEST_ORDER_DAYS = 30  # somebody tidies up: test orders are deleted so long after they were placed


def _number(kind: str, number: str) -> str:
    return f"({NUMBERS[kind]} + {number})"


def _gid(kind: str, number: str) -> str:
    return f"('gid://shopify/{kind}/' || {_number(kind, number)})"


def _time(at: str) -> str:
    return f"strftime(timezone('UTC', {at}), '%Y-%m-%dT%H:%M:%SZ')"


def _amount(value: str) -> str:
    """A decimal as the API writes it: 129.90 as '129.9', 20.00 as '20.0'."""
    return f"regexp_replace(cast(cast({value} as decimal(18, 2)) as varchar), '0$', '')"


# Lists below hold JSON, not structs: sorting nested structs costs DuckDB five times as much.
def _money(value: str, currency: str, to_shop: str) -> str:
    return (
        f"{{shopMoney: {{amount: {_amount(f'{value} * {to_shop}')}, "
        f"currencyCode: '{SHOP_CURRENCY}'}}, "
        f"presentmentMoney: {{amount: {_amount(value)}, currencyCode: {currency}}}}}"
    )


def _order_money(value: str) -> str:
    return _money(value, "o.currency", "o.to_shop")


def _line_money(value: str) -> str:
    return _money(value, "l.currency", "l.to_shop")


# A late commit has a time long past when it is first seen, so "so far" is asked of every change.
def _so_far(at: str, key: str) -> str:
    return f"case when coalesce(happened({at}, {key}), false) then date_trunc('second', {at}) end"


_RECORDS = """
record as (  -- the newest version of every customer
    select * replace (
        date_trunc('second', created_at) as created_at,
        date_trunc('second', changed_at) as changed_at
    )
    from world.record
    where vendor = 'shopify' and object = 'customer' and happened(changed_at, record_id)
    qualify row_number() over (partition by record_id order by version desc) = 1
),
chain as (  -- a merge moves the orders to the customer that is kept, and that one may be merged too
    select record_id, merged_into as kept_id, changed_at as moved_at, 1 as steps
    from record
    where state = 'merged'
    union all
    select chain.record_id, record.merged_into, greatest(chain.moved_at, record.changed_at),
        steps + 1
    from chain inner join record on chain.kept_id = record.record_id
    where record.state = 'merged' and chain.steps < 20
),
moved as (
    select * from chain
    qualify row_number() over (partition by record_id order by steps desc) = 1
),
kept as (
    select own.record_id, moved.moved_at, coalesce(moved.kept_id, own.record_id) as kept_id,
        case when record.state = 'live' then record.external_id end as external_id,
        case when record.state <> 'live' then record.changed_at end as gone_at,
        record.state = 'erased' as is_erased
    from record as own
    left join moved on own.record_id = moved.record_id
    left join record on coalesce(moved.kept_id, own.record_id) = record.record_id
)"""

_RATES = """
rate as (
    select day, currency, to_eur from world.exchange_rate where currency <> 'EUR'
)"""

_PLACED = f"""
placed as (
    select o.* replace (
            date_trunc('second', o.placed_at) as placed_at,
            {_so_far("o.canceled_at", "o.order_id")} as canceled_at,
            {_so_far("o.shipped_at", "o.order_id")} as shipped_at,
            {_so_far("o.delivered_at", "o.order_id")} as delivered_at,
            date_trunc('second', o.promised_at) as promised_at
        ),
        coalesce(rate.to_eur, 1) as to_shop
    from world.orders as o
    asof left join rate
        on o.currency = rate.currency and cast(timezone('UTC', o.placed_at) as date) >= rate.day
    where in_part(o.order_id) and happened(o.placed_at, o.order_id) and not (
        coalesce(o.is_test, false)
        and happened(o.placed_at + interval {TEST_ORDER_DAYS} day, o.order_id)
    )
)"""

_CUSTOMERS = f"""
with recursive {_RECORDS}, {_RATES}, {_PLACED},
spent as (
    select kept.kept_id as record_id, count(*) as orders,
        sum(case when p.canceled_at is null then cast(p.total * p.to_shop as decimal(18, 2)) end)
            as amount,
        arg_max(p.order_id, (p.placed_at, p.order_id)) as last_order_id,
        max(greatest(p.placed_at, coalesce(p.canceled_at, p.placed_at))) as changed_at
    from placed as p inner join kept on p.record_id = kept.record_id
    group by kept.kept_id
),
merged as (
    select kept_id as record_id, max(moved_at) as changed_at from kept
    where moved_at is not null group by kept_id
),
deleted_tests as (  -- their going changes what the customer has ordered
    select kept.kept_id as record_id,
        max(date_trunc('second', o.placed_at + interval {TEST_ORDER_DAYS} day)) as changed_at
    from world.orders as o inner join kept on o.record_id = kept.record_id
    where o.is_test and happened(o.placed_at + interval {TEST_ORDER_DAYS} day, o.order_id)
    group by kept.kept_id
),
customer as (
    select r.*, coalesce(s.orders, 0) as orders, coalesce(s.amount, 0) as amount,
        s.last_order_id,
        list_max([r.changed_at, s.changed_at, m.changed_at, d.changed_at]) as updated_at,
        case
            when r.email_consent then 'SUBSCRIBED'
            when r.consent_changed_at is not null then 'UNSUBSCRIBED'
            else 'NOT_SUBSCRIBED'
        end as marketing_state
    from record as r
    left join spent as s on r.record_id = s.record_id
    left join merged as m on r.record_id = m.record_id
    left join deleted_tests as d on r.record_id = d.record_id
    where r.state = 'live'
)
select
    'gid://shopify/Customer/' || c.external_id as id,
    cast(c.external_id as bigint) as number,
    c.created_at, c.updated_at, cast(null as timestamptz) as archived_at,
    c.email,
    to_json({{
        id: 'gid://shopify/Customer/' || c.external_id,
        legacyResourceId: c.external_id,
        firstName: c.first_name,
        lastName: c.last_name,
        displayName: coalesce(
            nullif(trim(concat_ws(' ', c.first_name, c.last_name)), ''), c.email, c.phone, ''
        ),
        createdAt: {_time("c.created_at")},
        updatedAt: {_time("c.updated_at")},
        state: case when c.orders > 1 then 'ENABLED' else 'DISABLED' end,
        verifiedEmail: c.email is not null,
        numberOfOrders: cast(c.orders as varchar),
        amountSpent: {{amount: {_amount("c.amount")}, currencyCode: '{SHOP_CURRENCY}'}},
        email: c.email,
        phone: c.phone,
        defaultEmailAddress: case when c.email is not null then {{emailAddress: c.email}} end,
        emailMarketingConsent: case when c.email is not null then {{
            marketingState: c.marketing_state,
            marketingOptInLevel: case when c.email_consent then 'SINGLE_OPT_IN' end,
            consentUpdatedAt: {_time("date_trunc('second', c.consent_changed_at)")}
        }} end,
        smsMarketingConsent: case when c.phone is not null then {{
            marketingState: 'NOT_SUBSCRIBED', marketingOptInLevel: 'SINGLE_OPT_IN',
            consentUpdatedAt: cast(null as varchar)
        }} end,
        tags: list_sort(coalesce(c.tags, cast([] as varchar[]))),
        locale: c.language,
        dataSaleOptOut: false,
        note: cast(null as varchar),
        lastOrder: case when c.last_order_id is not null
            then {{id: {_gid("Order", "c.last_order_id")}}} end,
        defaultAddress: case when coalesce(c.street, c.postal_code, c.city, c.country) is not null
            then {{
                address1: c.street, zip: c.postal_code, city: c.city, countryCodeV2: c.country,
                company: c.company_name
            }} end
    }}) as document
from customer as c
"""

_REFUNDED = """
refunded as (
    select r.* replace (date_trunc('second', r.at) as "at") from world.refund as r
    where happened(r.at, r.refund_id)
)"""

_PAID = """
paid as (
    select p.* replace (date_trunc('second', p.at) as "at") from world.payment as p
    where happened(p.at, p.payment_id)
)"""

_TRANSACTION = f"""{{
    id: {_gid("OrderTransaction", "p.payment_id")},
    kind: upper(p.kind),
    status: upper(p.status),
    gateway: p.gateway,
    test: coalesce(o.is_test, false),
    createdAt: {_time("p.at")},
    processedAt: {_time("p.at")},
    amountSet: {_order_money("p.amount")},
    parentTransaction: case when p.parent_payment_id is not null
        then {{id: {_gid("OrderTransaction", "p.parent_payment_id")}}} end
}}"""

_REFUND_DOCUMENTS = f"""
refund_document as (
    select r.refund_id, r.order_id, r.at, r.amount, to_json({{
        id: {_gid("Refund", "r.refund_id")},
        legacyResourceId: cast({_number("Refund", "r.refund_id")} as varchar),
        createdAt: {_time("r.at")},
        updatedAt: {_time("r.at")},
        note: r.reason,
        totalRefundedSet: {_order_money("r.amount")},
        refundLineItems: {{nodes: coalesce(l.nodes, [])}},
        transactions: {{nodes: coalesce(t.nodes, [])}}
    }}) as document
    from refunded as r
    inner join placed as o on r.order_id = o.order_id
    left join (
        select l.refund_id, list(to_json({{
            quantity: l.quantity,
            restockType: 'RETURN',
            subtotalSet: {_order_money("l.subtotal")},
            lineItem: {{id: {_gid("LineItem", "l.line_id")}}}
        }}) order by l.line_id) as nodes
        from world.refund_line as l
        inner join refunded as r on l.refund_id = r.refund_id
        inner join placed as o on r.order_id = o.order_id
        group by l.refund_id
    ) as l on r.refund_id = l.refund_id
    left join (
        select r.refund_id, list(to_json({_TRANSACTION}) order by p.payment_id) as nodes
        from paid as p
        inner join refunded as r on p.payment_id = r.payment_id
        inner join placed as o on r.order_id = o.order_id
        where p.kind = 'refund'
        group by r.refund_id
    ) as t on r.refund_id = t.refund_id
)"""

_REFUNDS = f"""
with {_RATES}, {_PLACED}, {_REFUNDED}, {_PAID}, {_REFUND_DOCUMENTS}
select
    {_gid("Refund", "refund_id")} as id, {_number("Refund", "refund_id")} as number,
    "at" as created_at, "at" as updated_at, cast(null as timestamptz) as archived_at,
    document
from refund_document
"""

_ORDERS = f"""
with recursive {_RECORDS}, {_RATES}, {_PLACED}, {_REFUNDED}, {_PAID}, {_REFUND_DOCUMENTS},
-- where prices hold tax, the one before a discount holds that of the price before the discount
shown as (
    select l.*, o.currency, o.to_shop,
        case when o.tax_in_prices then coalesce(l.tax, 0) else 0 end as shown_tax,
        l.quantity * l.unit_price - coalesce(l.discount, 0) as net,
        l.unit_price + cast(
            coalesce(l.unit_price * shown_tax / nullif(net, 0), 0) as decimal(18, 2)
        ) as shown_price
    from world.order_line as l inner join placed as o on l.order_id = o.order_id
),
line as (
    select l.order_id, sum(l.discount) as discount,
        sum(l.quantity * l.shown_price - l.net - l.shown_tax) as shown_discount, list(to_json({{
        id: {_gid("LineItem", "l.line_id")},
        title: product.name,
        sku: product.sku,
        quantity: l.quantity,
        currentQuantity: l.quantity - coalesce(back.quantity, 0),
        product: {{id: {_gid("Product", "l.product_id")}}},
        variant: {{id: {_gid("ProductVariant", "l.product_id")}}},
        originalUnitPriceSet: {_line_money("l.shown_price")},
        originalTotalSet: {_line_money("(l.quantity * l.shown_price)")},
        discountedTotalSet: {_line_money("(l.net + l.shown_tax)")},
        taxLines: case when coalesce(l.tax, 0) = 0 then [] else [
            {{title: 'VAT', priceSet: {_line_money("l.tax")}}}
        ] end
    }}) order by l.line_id) as nodes
    from shown as l
    left join world.product as product on l.product_id = product.product_id
    left join (
        select l.line_id, sum(l.quantity) as quantity
        from world.refund_line as l inner join refunded as r on l.refund_id = r.refund_id
        group by l.line_id
    ) as back on l.line_id = back.line_id
    group by l.order_id
),
money as (
    select o.order_id, max(p.at) as changed_at,
        list(to_json({_TRANSACTION}) order by p.payment_id) as transactions,
        list_distinct(list(p.gateway)) as gateways,
        coalesce(sum(case when p.status = 'success' and p.kind in ('sale', 'capture')
            then p.amount end), 0) as captured,
        bool_or(p.status = 'success' and p.kind = 'authorization') as authorized,
        bool_or(p.status = 'success' and p.kind = 'void') as voided
    from paid as p inner join placed as o on p.order_id = o.order_id
    group by o.order_id
),
back as (
    select order_id, max("at") as changed_at, sum(amount) as amount,
        list(document order by refund_id) as refunds
    from refund_document group by order_id
),
shop_order as (
    select o.*, line.nodes as lines, coalesce(line.discount, 0) as line_discount,
        coalesce(line.shown_discount, 0) as shown_discount,
        case when o.tax_in_prices then coalesce(o.tax, 0) else 0 end as shown_tax,
        money.transactions, money.gateways, back.refunds, coalesce(back.amount, 0) as refunded,
        kept.external_id, coalesce(kept.is_erased, false) as is_erased,
        campaign.utm_source, campaign.utm_medium, campaign.utm_campaign,
        list_max([
            o.placed_at, o.shipped_at, o.delivered_at, o.canceled_at, money.changed_at,
            back.changed_at, kept.moved_at, kept.gone_at
        ]) as updated_at,
        case
            when back.amount >= money.captured and money.captured > 0 then 'REFUNDED'
            when back.amount > 0 then 'PARTIALLY_REFUNDED'
            when money.captured >= o.total then 'PAID'
            when money.captured > 0 then 'PARTIALLY_PAID'
            when money.voided then 'VOIDED'
            when money.authorized then 'AUTHORIZED'
            else 'PENDING'
        end as financial_status
    from placed as o
    left join line on o.order_id = line.order_id
    left join money on o.order_id = money.order_id
    left join back on o.order_id = back.order_id
    left join kept on o.record_id = kept.record_id
    left join world.campaign as campaign on o.campaign_id = campaign.campaign_id
)
select
    {_gid("Order", "o.order_id")} as id,
    {_number("Order", "o.order_id")} as number,
    o.placed_at as created_at, o.updated_at, cast(null as timestamptz) as archived_at,
    o.is_test, o.external_id as customer_number,
    to_json({{
        id: {_gid("Order", "o.order_id")},
        legacyResourceId: cast({_number("Order", "o.order_id")} as varchar),
        name: '#' || (1000 + o.order_id),
        email: case when not o.is_erased then o.email end,
        phone: case when not o.is_erased then o.phone end,
        createdAt: {_time("o.placed_at")},
        updatedAt: {_time("o.updated_at")},
        processedAt: {_time("o.placed_at")},
        cancelledAt: {_time("o.canceled_at")},
        cancelReason: case when o.canceled_at is null then null
            when upper(o.cancel_reason) in ('CUSTOMER', 'DECLINED', 'FRAUD', 'INVENTORY', 'STAFF')
                then upper(o.cancel_reason)
            else 'OTHER' end,
        closedAt: {_time("coalesce(o.canceled_at, o.delivered_at)")},
        test: coalesce(o.is_test, false),
        sourceName: case o.channel when 'app' then 'mobile_app' else o.channel end,
        currencyCode: '{SHOP_CURRENCY}',
        presentmentCurrencyCode: o.currency,
        taxesIncluded: coalesce(o.tax_in_prices, false),
        displayFinancialStatus: o.financial_status,
        displayFulfillmentStatus: case when o.shipped_at is null
            then 'UNFULFILLED' else 'FULFILLED' end,
        discountCode: o.discount_code,
        paymentGatewayNames: list_sort(coalesce(o.gateways, cast([] as varchar[]))),
        tags: cast([] as varchar[]),
        customer: case when o.external_id is not null
            then {{id: 'gid://shopify/Customer/' || o.external_id}} end,
        shippingAddress: case when not o.is_erased and coalesce(o.street, o.city, o.country)
            is not null then {{
                address1: o.street, zip: o.postal_code, city: o.city, countryCodeV2: o.country
            }} end,
        totalPriceSet: {_order_money("o.total")},
        currentTotalPriceSet: {_order_money("greatest(o.total - o.refunded, 0)")},
        subtotalPriceSet: {_order_money("(o.subtotal - coalesce(o.discount, 0) + o.shown_tax)")},
        totalDiscountsSet: {_order_money("(coalesce(o.discount, 0) - o.line_discount + o.shown_discount)")},
        cartDiscountAmountSet: {_order_money("(coalesce(o.discount, 0) - o.line_discount)")},
        totalTaxSet: {_order_money("coalesce(o.tax, 0)")},
        totalShippingPriceSet: {_order_money("coalesce(o.shipping, 0)")},
        totalRefundedSet: {_order_money("o.refunded")},
        customerJourneySummary: {{lastVisit: case when o.utm_campaign is not null then {{
            utmParameters: {{
                source: o.utm_source, medium: o.utm_medium, campaign: o.utm_campaign
            }}
        }} end}},
        lineItems: {{nodes: coalesce(o.lines, [])}},
        transactions: coalesce(o.transactions, []),
        fulfillments: case when o.shipped_at is null then [] else [{{
            id: {_gid("Fulfillment", "o.order_id")},
            status: 'SUCCESS',
            displayStatus: case when o.delivered_at is null then 'IN_TRANSIT' else 'DELIVERED' end,
            createdAt: {_time("o.shipped_at")},
            updatedAt: {_time("coalesce(o.delivered_at, o.shipped_at)")},
            estimatedDeliveryAt: {_time("o.promised_at")},
            deliveredAt: {_time("o.delivered_at")},
            trackingInfo: case when o.carrier is null then [] else [{{
                company: o.carrier, number: cast({_number("Fulfillment", "o.order_id")} as varchar)
            }}] end
        }}] end,
        refunds: coalesce(o.refunds, [])
    }}) as document
from shop_order as o
"""

_PRODUCTS = f"""
with price as (
    select product_id, amount, valid_from from world.price
    where currency = '{SHOP_CURRENCY}' and valid_from <= clock()
    qualify row_number() over (partition by product_id order by valid_from desc) = 1
),
product as (
    select p.* replace (
            {_so_far("p.withdrawn_at", "p.product_id")} as withdrawn_at,
            date_trunc('second', p.launched_at) as launched_at
        ),
        price.amount,
        date_trunc('second', price.valid_from) as priced_at
    from world.product as p
    left join price on p.product_id = price.product_id
    where happened(p.launched_at, p.product_id)
),
changed as (
    select *, list_max([launched_at, withdrawn_at, priced_at]) as updated_at from product
)
select
    {_gid("Product", "p.product_id")} as id,
    {_number("Product", "p.product_id")} as number,
    p.launched_at as created_at, p.updated_at, cast(null as timestamptz) as archived_at,
    to_json({{
        id: {_gid("Product", "p.product_id")},
        legacyResourceId: cast({_number("Product", "p.product_id")} as varchar),
        title: p.name,
        handle: trim(regexp_replace(lower(p.name), '[^a-z0-9]+', '-', 'g'), '-')
            || '-' || p.product_id,
        status: case when p.withdrawn_at is null then 'ACTIVE' else 'ARCHIVED' end,
        vendor: p.brand,
        productType: p.category,
        tags: cast([] as varchar[]),
        createdAt: {_time("p.launched_at")},
        updatedAt: {_time("p.updated_at")},
        publishedAt: case when p.withdrawn_at is null then {_time("p.launched_at")} end,
        variants: {{nodes: [{{
            id: {_gid("ProductVariant", "p.product_id")},
            title: 'Default Title',
            sku: p.sku,
            price: {_amount("coalesce(p.amount, 0)")},
            inventoryItem: {{
                id: {_gid("InventoryItem", "p.product_id")},
                unitCost: case when p.unit_cost is not null then {{
                    amount: {_amount("p.unit_cost")}, currencyCode: '{SHOP_CURRENCY}'
                }} end,
                measurement: {{weight: case when p.weight_grams is not null then {{
                    unit: 'GRAMS', value: cast(p.weight_grams as double)
                }} end}}
            }}
        }}]}}
    }}) as document
from changed as p
"""

_CHECKOUTS = f"""
with recursive {_RECORDS}, {_RATES},
cart as (
    select c.* replace (
            date_trunc('second', c.created_at) as created_at,
            {_so_far("c.updated_at", "c.cart_id")} as updated_at,
            {_so_far("c.completed_at", "c.cart_id")} as completed_at
        ),
        coalesce(rate.to_eur, 1) as to_shop
    from world.cart as c
    asof left join rate
        on c.currency = rate.currency and cast(timezone('UTC', c.created_at) as date) >= rate.day
    where in_part(c.cart_id) and happened(c.created_at, c.cart_id)
),
priced as (
    select l.cart_id, l.product_id, l.quantity, c.currency, c.to_shop, p.amount,
        row_number() over (partition by l.cart_id order by l.product_id) as position
    from world.cart_line as l
    inner join cart as c on l.cart_id = c.cart_id
    asof left join world.price as p
        on l.product_id = p.product_id and c.currency = p.currency and c.created_at >= p.valid_from
),
line as (
    select l.cart_id, list(to_json({{
        id: {_gid("AbandonedCheckoutLineItem", "l.cart_id * 100 + l.position")},
        title: product.name,
        sku: product.sku,
        quantity: l.quantity,
        product: {{id: {_gid("Product", "l.product_id")}}},
        variant: {{id: {_gid("ProductVariant", "l.product_id")}}},
        originalUnitPriceSet: {_line_money("coalesce(l.amount, 0)")}
    }}) order by l.position) as nodes
    from priced as l left join world.product as product on l.product_id = product.product_id
    group by l.cart_id
),
checkout as (
    select c.*, line.nodes, kept.external_id,
        list_max([
            c.created_at, c.updated_at, c.completed_at, kept.moved_at, kept.gone_at
        ]) as changed_at
    from cart as c
    left join line on c.cart_id = line.cart_id
    left join kept on c.record_id = kept.record_id
)
select
    {_gid("AbandonedCheckout", "c.cart_id")} as id,
    {_number("AbandonedCheckout", "c.cart_id")} as number,
    c.created_at, c.changed_at as updated_at, cast(null as timestamptz) as archived_at,
    to_json({{
        id: {_gid("AbandonedCheckout", "c.cart_id")},
        name: '#' || {_number("AbandonedCheckout", "c.cart_id")},
        createdAt: {_time("c.created_at")},
        updatedAt: {_time("c.changed_at")},
        completedAt: {_time("c.completed_at")},
        abandonedCheckoutUrl: 'https://nordlicht.example/checkouts/'
            || md5(cast(c.cart_id as varchar)) || '/recover',
        customer: case when c.external_id is not null
            then {{id: 'gid://shopify/Customer/' || c.external_id}} end,
        discountCodes: cast([] as varchar[]),
        customAttributes: case when c.device_id is null then []
            else [{{key: 'device_id', value: c.device_id}}] end,
        totalPriceSet: {_money("c.amount", "c.currency", "c.to_shop")},
        lineItems: {{nodes: coalesce(c.nodes, [])}}
    }}) as document
from checkout as c
"""

# Nothing but these tells that an order was deleted; of customers not even that.
_EVENTS = f"""
with event as (
    select 2 * order_id as number, order_id, 'placed' as action,
        date_trunc('second', placed_at) as happened_at
    from world.orders where happened(placed_at, order_id)
    union all
    select 2 * order_id + 1, order_id, 'destroy',
        date_trunc('second', placed_at + interval {TEST_ORDER_DAYS} day)
    from world.orders
    where is_test and happened(placed_at + interval {TEST_ORDER_DAYS} day, order_id)
)
select
    {_gid("BasicEvent", "number")} as id,
    {_number("BasicEvent", "number")} as number,
    happened_at as created_at, happened_at as updated_at, cast(null as timestamptz) as archived_at,
    action, 'ORDER' as subject_type,
    to_json({{
        id: {_gid("BasicEvent", "number")},
        action: action,
        createdAt: {_time("happened_at")},
        message: 'Order #' || (1000 + order_id) || case action
            when 'destroy' then ' was deleted.' else ' was placed.' end,
        subjectId: {_gid("Order", "order_id")},
        subjectType: 'ORDER'
    }}) as document
from event
"""

_SHOP = f"""
select
    'gid://shopify/Shop/71000001' as id, 71000001 as number,
    timestamptz '2019-03-01 08:00:00+00' as created_at,
    timestamptz '2019-03-01 08:00:00+00' as updated_at, cast(null as timestamptz) as archived_at,
    to_json({{
        id: 'gid://shopify/Shop/71000001',
        name: 'Nordlicht Outdoor',
        email: 'shop@nordlicht.example',
        myshopifyDomain: 'nordlicht-outdoor.myshopify.com',
        currencyCode: '{SHOP_CURRENCY}',
        enabledPresentmentCurrencies: ['BRL', 'EUR', 'GBP', 'USD'],
        ianaTimezone: 'Europe/Berlin',
        taxesIncluded: false,
        createdAt: '2019-03-01T08:00:00Z',
        updatedAt: '2019-03-01T08:00:00Z'
    }}) as document
"""

# lists of a record's parts are made in memory: for so many at a time as it holds
_NUMBERED = {"orders": ("orders", "order_id"), "abandoned_checkouts": ("cart", "cart_id")}
PROJECTIONS = {
    name: Projection(f"shopify_{name}", sql, _NUMBERED.get(name))
    for name, sql in {
        "shop": _SHOP,
        "customers": _CUSTOMERS,
        "orders": _ORDERS,
        "refunds": _REFUNDS,
        "products": _PRODUCTS,
        "abandoned_checkouts": _CHECKOUTS,
        "events": _EVENTS,
    }.items()
}
