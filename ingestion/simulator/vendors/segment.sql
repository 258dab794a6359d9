-- Every message that has reached Segment by the clock: what a browser, an app or the shop's server sent.
with events as (
    select
        e.*,
        d.kind as device_kind,
        d.user_agent,
        hash(e.event_id, 'drift') % 10000 < $drift_share * 10000 as drifts,
        hash(e.event_id, 'both') % 10000 < $both_sides_share * 10000 as both_sides,
        p.language,
        p.country,
        p.account_id
    from world.web_event as e
    join world.device as d using (device_id)
    left join world.person as p on e.person_id = p.person_id
    -- what is late says so itself: it was received long after it was sent
    where in_part(e.event_id) and e.received_at <= clock() and e.received_at >= timestamptz '$since'
),

calls as (  -- an event is one call or several
    select
        *,
        'm' as part,
        'client' as channel,
        case
            when kind not in ('page_view', 'help_viewed') then 'track'
            when device_kind = 'app' then 'screen'
            else 'page'
        end as type
    from events
    union all
    select *, 'i', 'client', 'identify' from events
    where kind in ('sign_up', 'sign_in') and record_id is not null
    union all
    select *, 'a', 'client', 'alias' from events
    where kind = 'sign_up' and device_kind = 'app' and record_id is not null
    union all
    select *, 'g', 'client', 'group' from events
    where kind = 'sign_in' and account_id is not null and record_id is not null
    union all
    select *, 's', 'server', 'track' from events where kind = 'order_completed' and both_sides
),

customers as (  -- every version of a customer of the shop
    select
        record_id, external_id, email, first_name, last_name, phone, changed_at,
        coalesce(lead(changed_at) over (partition by record_id order by version), 'infinity') as until
    from world.record
    where vendor = 'shopify' and happened(changed_at, record_id)
),

prices as (
    select product_id, arg_max(amount, valid_from) as price
    from world.price
    where currency = 'EUR' and valid_from <= clock()
    group by product_id
),

baskets as (
    select
        order_id,
        to_json(list(to_json({
            'product_id': (8100000000 + product_id)::varchar,
            'sku': sku,
            'quantity': quantity,
            'price': unit_price::double
        }) order by line_id)) as products
    from world.order_line
    join world.product using (product_id)
    where order_id in (select order_id from events)
    group by order_id
),

messages as (
    select
        c.*,
        case c.channel when 'server' then 'srv-' else 'ajs-next-' end || left(md5(c.event_id || c.part), 20) as message_id,
        u.external_id as user_id,
        u.email, u.first_name, u.last_name, u.phone,
        o.total, o.subtotal, o.currency, b.products,
        product.sku, product.name as product_name, product.category, prices.price,
        cart.amount as cart_amount, cart.currency as cart_currency,
        review.rating, review.title as review_title, review.body as review_body,
        referral.code,
        campaign.utm_source, campaign.utm_medium, campaign.utm_campaign,
        account.name as account_name, account.industry,
        'https://shop.nordlicht.test' || c.page_path as page_url
    from calls as c
    left join customers as u
        on c.record_id = u.record_id and c."at" >= u.changed_at and c."at" < u.until
    left join world.orders as o on c.order_id = o.order_id
    left join baskets as b on c.order_id = b.order_id
    left join world.product as product on c.product_id = product.product_id
    left join prices on c.product_id = prices.product_id
    left join world.cart as cart on c.cart_id = cart.cart_id
    left join world.review as review on c.review_id = review.review_id
    left join world.referral as referral on c.referral_id = referral.referral_id
    left join world.campaign as campaign on c.campaign_id = campaign.campaign_id
    left join world.account as account on c.account_id = account.account_id
)

select
    message_id as id,
    received_at as created_at,
    received_at as updated_at,
    null::timestamptz as archived_at,
    type,
    -- concat_ws leaves out what is null: an absent member stays away
    '{' || concat_ws(',',
        '"type":"' || type || '"',
        '"event":"' || case when type = 'track' then case kind
            when 'search' then 'Products Searched'
            when 'product_view' then 'Product Viewed'
            when 'add_to_cart' then 'Product Added'
            when 'checkout' then 'Checkout Started'
            when 'order_completed' then 'Order Completed'
            when 'product_reviewed' then 'Product Reviewed'
            when 'referral_sent' then 'Referral Sent'
            when 'sign_up' then 'Signed Up'
            when 'sign_in' then 'Signed In'
            else kind
        end end || '"',
        '"name":' || to_json(case when type in ('page', 'screen') then page_title end),
        '"messageId":"' || message_id || '"',
        '"anonymousId":"' || case when channel = 'client' then device_id end || '"',
        -- an old library writes what it does not know as an empty text
        '"userId":"' || coalesce(user_id, case when drifts and type = 'page' then '' end) || '"',
        '"previousId":"' || case when type = 'alias' then device_id end || '"',
        '"groupId":"' || case when type = 'group' then (500000 + account_id)::varchar end || '"',
        '"channel":"' || channel || '"',
        '"context":{' || concat_ws(',',
            case when utm_source is not null then '"campaign":{' || concat_ws(',',
                '"source":' || to_json(utm_source),
                '"medium":' || to_json(utm_medium),
                '"name":' || to_json(utm_campaign)
            ) || '}' end,
            '"device":{"type":"' || device_kind || '"}',
            '"library":' || to_json({
                'name': case when channel = 'server' then 'analytics-python' when device_kind = 'app'
                    then 'analytics-ios' else 'analytics.js' end,
                'version': case when drifts then '4.1.9' else 'next-1.70.0' end
            }),
            '"locale":"' || language || '-' || country || '"',
            case when page_path is not null and channel = 'client' then '"page":{' || concat_ws(',',
                '"path":' || to_json(page_path),
                '"referrer":' || to_json(referrer),
                '"title":' || to_json(page_title),
                '"url":' || to_json(page_url)
            ) || '}' end,
            '"sessionId":"' || session_id::varchar || '"',
            '"userAgent":' || to_json(user_agent)
        ) || '}',
        case when type = 'track' then '"properties":{' || concat_ws(',',
            '"query":' || to_json(search_text),
            '"product_id":"' || (8100000000 + product_id)::varchar || '"',
            '"sku":"' || sku || '"',
            '"name":' || to_json(product_name),
            '"category":' || to_json(category),
            '"price":' || case when drifts then to_json(price::varchar) else to_json(price::double) end,
            '"currency":"' || coalesce(currency, cart_currency, case when product_id is not null then 'EUR' end) || '"',
            '"cart_id":"' || (6200000000 + cart_id)::varchar || '"',
            '"value":' || to_json(cart_amount::double),
            '"order_id":"' || (4500000000 + order_id)::varchar || '"',
            '"total":' || to_json(total::double),
            '"revenue":' || to_json(subtotal::double),
            '"products":' || products,
            '"review_id":"' || review_id::varchar || '"',
            '"rating":' || to_json(rating),
            '"review_title":' || to_json(review_title),
            '"review_body":' || to_json(review_body),
            '"referral_id":"' || referral_id::varchar || '"',
            '"referral_code":' || to_json(code)
        ) || '}' end,
        case when type in ('page', 'screen') then '"properties":{' || concat_ws(',',
            '"path":' || to_json(page_path),
            '"title":' || to_json(page_title),
            '"referrer":' || to_json(case when type = 'page' then referrer end),
            '"url":' || to_json(case when type = 'page' then page_url end)
        ) || '}' end,
        case when type = 'identify' then '"traits":{' || concat_ws(',',
            '"email":' || to_json(email),
            '"firstName":' || to_json(first_name),
            '"lastName":' || to_json(last_name),
            '"phone":' || to_json(phone)
        ) || '}' end,
        case when type = 'group' then '"traits":{' || concat_ws(',',
            '"name":' || to_json(account_name),
            '"industry":' || to_json(industry)
        ) || '}' end,
        '"originalTimestamp":"' || strftime(("at")::timestamp, '%Y-%m-%dT%H:%M:%S.%gZ') || '"',
        '"sentAt":"' || strftime((received_at - interval 410 milliseconds)::timestamp, '%Y-%m-%dT%H:%M:%S.%gZ') || '"',
        '"receivedAt":"' || strftime(received_at::timestamp, '%Y-%m-%dT%H:%M:%S.%gZ') || '"',
        -- received - (sent - original): the clock of the client does not matter
        '"timestamp":"' || strftime(("at" + interval 410 milliseconds)::timestamp, '%Y-%m-%dT%H:%M:%S.%gZ') || '"',
        '"version":2'
    ) || '}' as document
from messages
union all by name
select  -- an erased person asks for the messages to be forgotten
    'del-' || left(md5(r.external_id), 20) as id,
    e.erased_at as created_at,
    e.erased_at as updated_at,
    e.erased_at as archived_at,  -- the request to forget is a deletion
    'delete' as type,
    to_json({
        'type': 'delete',
        'messageId': 'del-' || left(md5(r.external_id), 20),
        'userId': r.external_id,
        'sentAt': strftime((e.erased_at)::timestamp, '%Y-%m-%dT%H:%M:%S.%gZ'),
        'receivedAt': strftime((e.erased_at)::timestamp, '%Y-%m-%dT%H:%M:%S.%gZ'),
        'timestamp': strftime((e.erased_at)::timestamp, '%Y-%m-%dT%H:%M:%S.%gZ')
    })::varchar as document
from world.erasure as e
join (select distinct person_id, external_id from world.record where vendor = 'shopify') as r using (person_id)
where in_part(e.person_id) and e.erased_at <= clock() and e.erased_at >= timestamptz '$since'
