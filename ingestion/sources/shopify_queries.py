"""What is asked of Shopify's Admin API: the fields of each object, as pages and in bulk."""

from dataclasses import dataclass

_BAG = "shopMoney { amount currencyCode } presentmentMoney { amount currencyCode }"
_CONSENT = "marketingState marketingOptInLevel consentUpdatedAt"
_ADDRESS = "address1 zip city countryCodeV2"
_TRANSACTION = f"""id kind status gateway test createdAt processedAt
    amountSet {{ {_BAG} }} parentTransaction {{ id }}"""

SHOP = """{ shop {
    id name email myshopifyDomain currencyCode enabledPresentmentCurrencies ianaTimezone
    taxesIncluded createdAt updatedAt
} }"""
PROBE = "{ shop { id } }"
SCOPES = "{ shop { name } currentAppInstallation { accessScopes { handle } } }"

_CUSTOMER = f"""id legacyResourceId firstName lastName displayName createdAt updatedAt state
    verifiedEmail numberOfOrders amountSpent {{ amount currencyCode }} email phone
    defaultEmailAddress {{ emailAddress }}
    emailMarketingConsent {{ {_CONSENT} }} smsMarketingConsent {{ {_CONSENT} }}
    tags locale dataSaleOptOut note lastOrder {{ id }}
    defaultAddress {{ {_ADDRESS} company }}"""

# Plain lists (transactions, fulfillments, refunds) come whole where no `first` is given.
_ORDER = f"""id legacyResourceId name email phone createdAt updatedAt processedAt cancelledAt
    cancelReason closedAt test sourceName currencyCode presentmentCurrencyCode taxesIncluded
    displayFinancialStatus displayFulfillmentStatus discountCode paymentGatewayNames tags
    customer {{ id }} shippingAddress {{ {_ADDRESS} }}
    totalPriceSet {{ {_BAG} }} currentTotalPriceSet {{ {_BAG} }} subtotalPriceSet {{ {_BAG} }}
    totalDiscountsSet {{ {_BAG} }} cartDiscountAmountSet {{ {_BAG} }} totalTaxSet {{ {_BAG} }}
    totalShippingPriceSet {{ {_BAG} }} totalRefundedSet {{ {_BAG} }}
    customerJourneySummary {{ lastVisit {{ utmParameters {{ source medium campaign }} }} }}
    transactions {{ {_TRANSACTION} }}
    fulfillments {{
        id status displayStatus createdAt updatedAt estimatedDeliveryAt deliveredAt
        trackingInfo {{ company number }}
    }}"""

_PRODUCT = """id legacyResourceId title handle status vendor productType tags createdAt updatedAt
    publishedAt"""

_CHECKOUT = f"""id name createdAt updatedAt completedAt abandonedCheckoutUrl customer {{ id }}
    discountCodes customAttributes {{ key value }} totalPriceSet {{ {_BAG} }}"""

_REFUND = f"""id legacyResourceId createdAt updatedAt note totalRefundedSet {{ {_BAG} }}"""

# The connections inside of a record, by its type: name and fields of what they hold.
NESTED: dict[str, dict[str, str]] = {
    "Order": {
        "lineItems": f"""id title sku quantity currentQuantity product {{ id }} variant {{ id }}
            originalUnitPriceSet {{ {_BAG} }} originalTotalSet {{ {_BAG} }}
            discountedTotalSet {{ {_BAG} }} taxLines {{ title priceSet {{ {_BAG} }} }}"""
    },
    "Refund": {
        "refundLineItems": f"""quantity restockType subtotalSet {{ {_BAG} }}
            lineItem {{ id }}""",
        "transactions": _TRANSACTION,
    },
    "Product": {
        "variants": """id title sku price inventoryItem {
            id unitCost { amount currencyCode } measurement { weight { unit value } }
        }"""
    },
    "AbandonedCheckout": {
        "lineItems": f"""id title sku quantity product {{ id }} variant {{ id }}
            originalUnitPriceSet {{ {_BAG} }}"""
    },
}


@dataclass(frozen=True)
class Listing:
    """A root connection. `sort` decides from where a very long listing is begun anew."""

    root: str
    type: str
    sort: str  # UPDATED_AT, or ID where the API cannot sort by change
    fields: str
    subject: str | None = None  # its name in the events that tell of deletions


LISTINGS = {
    "customers": Listing("customers", "Customer", "UPDATED_AT", _CUSTOMER, "CUSTOMER"),
    "orders": Listing("orders", "Order", "UPDATED_AT", _ORDER, "ORDER"),
    "products": Listing("products", "Product", "UPDATED_AT", _PRODUCT, "PRODUCT"),
    "abandoned_checkouts": Listing("abandonedCheckouts", "AbandonedCheckout", "ID", _CHECKOUT),
}
DELETIONS = Listing("events", "BasicEvent", "ID", "id action createdAt subjectId subjectType")
_PAGE_INFO = "pageInfo { hasNextPage endCursor }"


def _refunds(nested_page: int) -> str:
    return f"refunds {{ {_REFUND} {_nested('Refund', nested_page)} }}"


def _nested(type_name: str, nested_page: int) -> str:
    return " ".join(
        f"{name}(first: {nested_page}) {{ nodes {{ {fields} }} {_PAGE_INFO} }}"
        for name, fields in NESTED.get(type_name, {}).items()
    )


def page_query(listing: Listing, nested_page: int) -> str:
    """A page of records with the first few of what their connections hold."""
    fields = f"{listing.fields} {_nested(listing.type, nested_page)}"
    if listing.type == "Order":
        fields += " " + _refunds(nested_page)
    return paged(listing.root, listing.sort, fields)


def paged(root: str, sort: str, fields: str) -> str:
    return f"""query ($first: Int!, $after: String, $query: String) {{
    {root}(first: $first, after: $after, query: $query, sortKey: {sort}) {{
        nodes {{ {fields} }} {_PAGE_INFO}
    }} }}"""


def rest_query(type_name: str, name: str) -> str:
    """The rest of a connection inside of one record."""
    return f"""query ($id: ID!, $first: Int!, $after: String) {{
    node(id: $id) {{ ... on {type_name} {{
        {name}(first: $first, after: $after) {{
            nodes {{ {NESTED[type_name][name]} }} {_PAGE_INFO}
        }}
    }} }} }}"""


def bulk_query(listing: Listing, search: str) -> str:
    """Everything at once. A connection inside of a list is refused, so refunds are only named."""
    fields = listing.fields + (" refunds { id }" if listing.type == "Order" else "")
    for name, of in NESTED.get(listing.type, {}).items():
        fields += f" {name} {{ edges {{ node {{ {of} }} }} }}"
    return f'{{ {listing.root}(query: "{search}") {{ edges {{ node {{ {fields} }} }} }} }}'


def refunds_query(nested_page: int) -> str:
    """The refunds of the orders named, for those that came in bulk."""
    return f"""query ($ids: [ID!]!) {{
    nodes(ids: $ids) {{ ... on Order {{ id {_refunds(nested_page)} }} }} }}"""


RUN_BULK = """mutation ($query: String!) { bulkOperationRunQuery(query: $query) {
    bulkOperation { id status } userErrors { field message }
} }"""
BULK_STATE = """query ($id: ID!) { node(id: $id) { ... on BulkOperation {
    id status errorCode objectCount url
} } }"""
