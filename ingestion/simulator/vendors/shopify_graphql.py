"""The cut-down schema of the Admin API, and how one query of it is planned, priced and answered.

graphql-core parses and validates; a query then becomes a tree of `Selection`s, which is what is
priced (objects 1, scalars 0, connections by `first`) and laid over the parsed documents. A page of
a root connection is one SQL query.
"""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    parse,
    validate,
)
from graphql.execution.collect_fields import collect_fields
from graphql.execution.values import get_argument_values, get_variable_values
from graphql.language import FragmentDefinitionNode, SelectionSetNode


def _connection(node: str) -> str:
    return f"""
type {node}Connection {{ edges: [{node}Edge!]! nodes: [{node}!]! pageInfo: PageInfo! }}
type {node}Edge {{ cursor: String! node: {node}! }}
"""


_LIST = "first: Int, after: String, query: String, reverse: Boolean = false, sortKey:"
SDL = f"""
scalar DateTime
scalar Decimal
scalar UnsignedInt64
scalar URL
scalar CurrencyCode
scalar Money

interface Node {{ id: ID! }}
type PageInfo {{
  hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String
}}
type MoneyV2 {{ amount: Decimal! currencyCode: CurrencyCode! }}
type MoneyBag {{ shopMoney: MoneyV2! presentmentMoney: MoneyV2! }}
type MailingAddress {{
  address1: String zip: String city: String countryCodeV2: String company: String
}}
type Attribute {{ key: String! value: String }}

type Shop implements Node {{
  id: ID! name: String! email: String! myshopifyDomain: String! currencyCode: CurrencyCode!
  enabledPresentmentCurrencies: [CurrencyCode!]! ianaTimezone: String! taxesIncluded: Boolean!
  createdAt: DateTime! updatedAt: DateTime!
}}
type AccessScope {{ handle: String! description: String! }}
type AppInstallation {{ accessScopes: [AccessScope!]! }}

type MarketingConsent {{
  marketingState: String! marketingOptInLevel: String consentUpdatedAt: DateTime
}}
type CustomerEmailAddress {{ emailAddress: String! }}
type Customer implements Node {{
  id: ID! legacyResourceId: UnsignedInt64! firstName: String lastName: String displayName: String!
  createdAt: DateTime! updatedAt: DateTime! state: String! verifiedEmail: Boolean!
  numberOfOrders: UnsignedInt64! amountSpent: MoneyV2! email: String phone: String
  defaultEmailAddress: CustomerEmailAddress
  emailMarketingConsent: MarketingConsent smsMarketingConsent: MarketingConsent
  tags: [String!]! locale: String! dataSaleOptOut: Boolean! note: String lastOrder: Order
  defaultAddress: MailingAddress
}}

type TaxLine {{ title: String! priceSet: MoneyBag! }}
type LineItem implements Node {{
  id: ID! title: String! sku: String quantity: Int! currentQuantity: Int! product: Product
  variant: ProductVariant originalUnitPriceSet: MoneyBag! originalTotalSet: MoneyBag!
  discountedTotalSet: MoneyBag! taxLines: [TaxLine!]!
}}
type OrderTransaction implements Node {{
  id: ID! kind: String! status: String! gateway: String test: Boolean! createdAt: DateTime!
  processedAt: DateTime amountSet: MoneyBag! parentTransaction: OrderTransaction
}}
type FulfillmentTrackingInfo {{ company: String number: String }}
type Fulfillment implements Node {{
  id: ID! status: String! displayStatus: String createdAt: DateTime! updatedAt: DateTime!
  estimatedDeliveryAt: DateTime deliveredAt: DateTime trackingInfo: [FulfillmentTrackingInfo!]!
}}
type RefundLineItem {{
  quantity: Int! restockType: String! subtotalSet: MoneyBag! lineItem: LineItem!
}}
type Refund implements Node {{
  id: ID! legacyResourceId: UnsignedInt64! createdAt: DateTime updatedAt: DateTime! note: String
  totalRefundedSet: MoneyBag!
  refundLineItems(first: Int, after: String): RefundLineItemConnection!
  transactions(first: Int, after: String): OrderTransactionConnection!
}}
type UtmParameters {{ source: String medium: String campaign: String }}
type CustomerVisit {{ utmParameters: UtmParameters }}
type CustomerJourneySummary {{ lastVisit: CustomerVisit }}
type Order implements Node {{
  id: ID! legacyResourceId: UnsignedInt64! name: String! email: String phone: String
  createdAt: DateTime! updatedAt: DateTime! processedAt: DateTime! cancelledAt: DateTime
  cancelReason: String closedAt: DateTime test: Boolean! sourceName: String
  currencyCode: CurrencyCode! presentmentCurrencyCode: CurrencyCode! taxesIncluded: Boolean!
  displayFinancialStatus: String displayFulfillmentStatus: String! discountCode: String
  paymentGatewayNames: [String!]! tags: [String!]! customer: Customer
  shippingAddress: MailingAddress
  totalPriceSet: MoneyBag! currentTotalPriceSet: MoneyBag! subtotalPriceSet: MoneyBag
  totalDiscountsSet: MoneyBag cartDiscountAmountSet: MoneyBag totalTaxSet: MoneyBag
  totalShippingPriceSet: MoneyBag! totalRefundedSet: MoneyBag!
  customerJourneySummary: CustomerJourneySummary
  lineItems(first: Int, after: String): LineItemConnection!
  transactions(first: Int): [OrderTransaction!]!
  fulfillments(first: Int): [Fulfillment!]!
  refunds(first: Int): [Refund!]!
}}

type Weight {{ unit: String! value: Float! }}
type InventoryItemMeasurement {{ weight: Weight }}
type InventoryItem implements Node {{
  id: ID! unitCost: MoneyV2 measurement: InventoryItemMeasurement!
}}
type ProductVariant implements Node {{
  id: ID! title: String! sku: String price: Money! inventoryItem: InventoryItem!
}}
type Product implements Node {{
  id: ID! legacyResourceId: UnsignedInt64! title: String! handle: String! status: String!
  vendor: String! productType: String! tags: [String!]! createdAt: DateTime! updatedAt: DateTime!
  publishedAt: DateTime variants(first: Int, after: String): ProductVariantConnection!
}}

type AbandonedCheckoutLineItem implements Node {{
  id: ID! title: String sku: String quantity: Int! product: Product variant: ProductVariant
  originalUnitPriceSet: MoneyBag!
}}
type AbandonedCheckout implements Node {{
  id: ID! name: String! createdAt: DateTime! updatedAt: DateTime! completedAt: DateTime
  abandonedCheckoutUrl: URL! customer: Customer discountCodes: [String!]!
  customAttributes: [Attribute!]! totalPriceSet: MoneyBag!
  lineItems(first: Int, after: String): AbandonedCheckoutLineItemConnection!
}}

type BasicEvent implements Node {{
  id: ID! action: String! createdAt: DateTime! message: String! subjectId: ID! subjectType: String!
}}

type BulkOperation implements Node {{
  id: ID! status: String! errorCode: String objectCount: UnsignedInt64!
  rootObjectCount: UnsignedInt64! url: URL partialDataUrl: URL createdAt: DateTime!
  completedAt: DateTime query: String!
}}
type UserError {{ field: [String!] message: String! }}
type BulkOperationRunQueryPayload {{ bulkOperation: BulkOperation userErrors: [UserError!]! }}

enum CustomerSortKeys {{ CREATED_AT ID UPDATED_AT }}
enum OrderSortKeys {{ CREATED_AT ID UPDATED_AT }}
enum ProductSortKeys {{ CREATED_AT ID UPDATED_AT }}
enum AbandonedCheckoutSortKeys {{ CREATED_AT ID }}
enum EventSortKeys {{ CREATED_AT ID }}

type QueryRoot {{
  shop: Shop!
  currentAppInstallation: AppInstallation!
  customers({_LIST} CustomerSortKeys = ID): CustomerConnection!
  orders({_LIST} OrderSortKeys = CREATED_AT): OrderConnection!
  products({_LIST} ProductSortKeys = ID): ProductConnection!
  abandonedCheckouts({_LIST} AbandonedCheckoutSortKeys = ID): AbandonedCheckoutConnection!
  events({_LIST} EventSortKeys = ID): BasicEventConnection!
  customer(id: ID!): Customer
  order(id: ID!): Order
  product(id: ID!): Product
  node(id: ID!): Node
  nodes(ids: [ID!]!): [Node]!
  currentBulkOperation: BulkOperation
}}
type Mutation {{
  bulkOperationRunQuery(query: String!, groupObjects: Boolean = true): BulkOperationRunQueryPayload
}}
schema {{ query: QueryRoot mutation: Mutation }}
{
    "".join(
        _connection(node)
        for node in (
            "Customer", "Order", "Product", "AbandonedCheckout", "BasicEvent", "LineItem",
            "AbandonedCheckoutLineItem", "ProductVariant", "RefundLineItem", "OrderTransaction",
        )
    )
}
"""  # fmt: skip


class QueryError(Exception):
    """What the API says instead of data: a message, and the code in its `extensions`."""

    def __init__(self, message: str, code: str | None = None, **extensions: Any) -> None:
        super().__init__(message)
        self.code, self.extensions = code, extensions


@dataclass(frozen=True)
class Selection:
    """A field that was asked for. `kind` is leaf, object, list or connection."""

    key: str  # in the reply
    name: str
    kind: str
    type_name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    children: tuple["Selection", ...] = ()
    plan_for: Callable[[str], tuple["Selection", ...]] | None = None  # of an interface's types

    def child(self, *path: str) -> "Selection | None":
        found: Selection | None = self
        for name in path:
            found = next((c for c in found.children if c.name == name), None) if found else None
        return found

    @property
    def node(self) -> tuple["Selection", ...]:
        """What is asked of each record of a connection, by `nodes` or by `edges`."""
        asked = self.child("nodes") or self.child("edges", "node")
        return asked.children if asked else ()


@dataclass(frozen=True)
class Query:
    operation: str  # query, mutation
    roots: tuple[Selection, ...]


SCHEMA: GraphQLSchema = build_schema(SDL)


@lru_cache(maxsize=200)
def _validated(text: str) -> DocumentNode:
    document = parse(text)
    problems = validate(SCHEMA, document)
    if problems:
        raise problems[0]
    return document


def plan(text: str, variables: Mapping[str, Any]) -> Query:
    """The tree of what a query asks for; raises GraphQLError in the words of the reference."""
    document = _validated(text)
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    if len(operations) != 1:
        raise GraphQLError("An operation name is required")
    operation = operations[0]
    values = get_variable_values(SCHEMA, operation.variable_definitions or (), dict(variables))
    if isinstance(values, list):
        raise values[0]
    fragments = {
        d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
    }
    root = SCHEMA.get_root_type(operation.operation)
    assert root is not None
    planner = _Planner(fragments, values)
    return Query(operation.operation.value, planner.of(root, operation.selection_set))


@dataclass(frozen=True)
class _Planner:
    fragments: dict[str, FragmentDefinitionNode]
    variables: dict[str, Any]

    def of(self, parent: GraphQLObjectType, selected: SelectionSetNode) -> tuple[Selection, ...]:
        fields = collect_fields(SCHEMA, self.fragments, self.variables, parent, selected)
        return tuple(self._selection(parent, key, nodes) for key, nodes in fields.items())

    def _selection(self, parent: GraphQLObjectType, key: str, nodes: list[Any]) -> Selection:
        name = nodes[0].name.value
        if name == "__typename":
            return Selection(key, name, "leaf", parent.name)
        if name.startswith("__"):
            raise QueryError("introspection is not part of the simulated schema")
        definition = parent.fields[name]
        arguments = get_argument_values(definition, nodes[0], self.variables)
        kind_of = get_nullable_type(definition.type)
        named: GraphQLNamedType = get_named_type(definition.type)
        if is_leaf_type(named):
            return Selection(key, name, "leaf", named.name)
        selected = SelectionSetNode(
            selections=tuple(s for n in nodes for s in n.selection_set.selections)
        )
        kind = "list" if is_list_type(kind_of) else "object"
        if not isinstance(named, GraphQLObjectType):

            def plan_for(type_name: str) -> tuple[Selection, ...]:
                concrete = SCHEMA.type_map[type_name]
                assert isinstance(concrete, GraphQLObjectType)
                return self.of(concrete, selected)

            return Selection(key, name, kind, named.name, arguments, (), plan_for)
        if named.name.endswith("Connection"):
            kind = "connection"
        return Selection(key, name, kind, named.name, arguments, self.of(named, selected))


def type_of(gid: str) -> str:
    """`Order` of gid://shopify/Order/4501."""
    match = re.fullmatch(r"gid://shopify/(\w+)/(\d+)", gid)
    if not match or match[1] not in SCHEMA.type_map:
        raise QueryError(f"Invalid global id '{gid}'")
    return match[1]


def requested_cost(selections: tuple[Selection, ...]) -> int:
    """Points of a plan before it is run: a connection counts as if every page were full."""
    total = 0
    for s in selections:
        if s.kind == "connection":
            total += _first(s) * (1 + requested_cost(s.node))
        elif s.plan_for:
            ids = s.arguments.get("ids") or [s.arguments.get("id", "")]
            for type_name, count in Counter(map(type_of, ids)).items():
                total += count * (1 + requested_cost(s.plan_for(type_name)))
        elif s.kind in ("object", "list"):
            total += (s.arguments.get("first") or 1) * (1 + requested_cost(s.children))
    return total


def check_pages(selections: tuple[Selection, ...], cap: int) -> None:
    """Every connection names how much it wants, and never more than a page may hold."""
    for s in selections:
        if s.kind == "connection":
            first = s.arguments.get("first")
            if first is None:
                raise QueryError(
                    f"you must provide one of first or last on {s.name}", "argumentMissing"
                )
            if not 0 <= first <= cap:
                raise QueryError(f"first must be between 0 and {cap} on {s.name}", "BAD_REQUEST")
            check_pages(s.node, cap)
        else:
            check_pages(s.children, cap)


def _first(selection: Selection) -> int:
    return int(selection.arguments.get("first") or 0)


# ---- laying a plan over documents --------------------------------------------------------------


class Projector:
    """Cuts documents to what was asked; `objects` counts them, for the cost that was real.

    `load(type, id)` gives the whole document of a record that another one only names.
    """

    def __init__(self, load: Callable[[str, str], dict[str, Any] | None]) -> None:
        self.load, self.objects = load, 0

    def cut(self, value: Any, selections: tuple[Selection, ...]) -> Any:
        if value is None:
            return None
        self.objects += 1
        reply: dict[str, Any] = {}
        for s in selections:
            if s.kind == "leaf":
                reply[s.key] = s.type_name if s.name == "__typename" else value.get(s.name)
            elif s.kind == "object":
                reply[s.key] = self.cut(self._whole(value[s.name], s), s.children)
            elif s.kind == "list":
                of = value[s.name][: s.arguments.get("first")]
                reply[s.key] = [self.cut(v, s.children) for v in of]
            else:
                reply[s.key] = self._nested(value[s.name]["nodes"], s)
        return reply

    def _whole(self, value: Any, s: Selection) -> Any:
        """A reference holds the id alone; anything more is looked up."""
        if value is None or s.type_name not in ("Customer", "Order", "Product"):
            return value
        if all(c.name in ("id", "__typename") for c in s.children):
            return value
        return self.load(s.type_name, value["id"])

    def _nested(self, nodes: list[Any], s: Selection) -> dict[str, Any]:
        after = s.arguments.get("after")
        start = decode_cursor(after, s.name)[0] + 1 if after else 0
        page = nodes[start : start + _first(s)]
        cursors = [encode_cursor([start + i], s.name) for i in range(len(page))]
        return self.connection(s, page, cursors, more=start + len(page) < len(nodes))

    def connection(
        self, s: Selection, page: list[Any], cursors: list[str], *, more: bool
    ) -> dict[str, Any]:
        """`page` as edges, nodes and pageInfo, whichever were asked for."""
        cut = [self.cut(node, s.node) for node in page] if s.node else []
        reply: dict[str, Any] = {}
        for c in s.children:
            if c.name == "nodes":
                reply[c.key] = cut
            elif c.name == "edges":
                reply[c.key] = [
                    {part.key: cursor if part.name == "cursor" else node for part in c.children}
                    for cursor, node in zip(cursors, cut or page, strict=False)
                ]
            elif c.name == "pageInfo":
                info = {
                    "hasNextPage": more,
                    "hasPreviousPage": bool(s.arguments.get("after")),
                    "startCursor": cursors[0] if cursors else None,
                    "endCursor": cursors[-1] if cursors else None,
                }
                reply[c.key] = {part.key: info[part.name] for part in c.children}
        return reply


def encode_cursor(position: list[Any], bound_to: str) -> str:
    seal = sha256(bound_to.encode()).hexdigest()[:8]
    return base64.b64encode(orjson.dumps({"last": position, "of": seal})).decode()


def decode_cursor(cursor: str, bound_to: str) -> list[Any]:
    """The position in a cursor; one of another query or sort is refused, as the API does."""
    try:
        content = orjson.loads(base64.b64decode(cursor, validate=True))
        if content["of"] == sha256(bound_to.encode()).hexdigest()[:8]:
            last: list[Any] = content["last"]
            return last
    except (binascii.Error, ValueError, KeyError, TypeError):
        pass
    raise QueryError("Invalid cursor for current pagination sort.", "BAD_REQUEST")


# ---- search ------------------------------------------------------------------------------------

_TERM = re.compile(r"\s*(\w+):(>=|<=|>|<)?('[^']*'|\"[^\"]*\"|[^\s]+)\s*(AND|OR|$|(?=\w+:))")
_SEARCHED = {
    "id": "number",
    "created_at": "created_at",
    "updated_at": "updated_at",
    "action": "action",
    "subject_type": "subject_type",
}


def search(text: str | None) -> tuple[str, list[Any]]:
    """A search string, such as "updated_at:>='2026-10-01T00:00:00Z' AND id:>7", as SQL."""
    text = (text or "").strip()
    if not text:
        return "true", []
    sql, values, position = "", [], 0
    while position < len(text):
        match = _TERM.match(text, position)
        if not match or match[1] not in _SEARCHED:
            raise QueryError(f"the search {text[position:]!r} is not part of the simulated schema")
        name, operator, value, joint = match[1], match[2] or "=", match[3].strip("'\""), match[4]
        sql += f"{_SEARCHED[name]} {operator} ?"
        values.append(_value(name, value))
        position = match.end()
        sql += f" {joint or 'AND'} " if position < len(text) else ""
    return f"({sql})", values


def _value(name: str, value: str) -> Any:
    if name == "id":
        return int(value)
    if not name.endswith("_at"):
        return value.upper() if name == "subject_type" else value
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise QueryError(f"the time {value!r} names no zone; the simulated shop wants one")
    return at


# ---- bulk --------------------------------------------------------------------------------------


def bulk_complaint(query: Query) -> str | None:
    """Why a query cannot run in bulk, in the API's words, or None."""
    if query.operation != "query" or [s.kind for s in query.roots] != ["connection"]:
        return "Bulk queries must contain at least one connection."
    if _connection_in_list(query.roots[0].node, inside=False):
        return "Queries that contain a connection field within a list field are not supported."
    return None


def _connection_in_list(selections: tuple[Selection, ...], *, inside: bool) -> bool:
    return any(
        (s.kind == "connection" and inside)
        or _connection_in_list(s.children, inside=inside or s.kind == "list")
        for s in selections
    )


def bulk_lines(
    documents: list[dict[str, Any]], root: Selection, projector: Projector
) -> Iterator[bytes]:
    """Records of a page as JSON lines: first themselves, then what their connections hold."""
    flat = tuple(s for s in root.node if s.kind != "connection")
    nested = [s for s in root.node if s.kind == "connection"]
    for document in documents:
        yield orjson.dumps(projector.cut(document, flat)) + b"\n"
    for document in documents:
        for s in nested:
            for child in document[s.name]["nodes"]:
                line = projector.cut(child, s.node)
                yield orjson.dumps(line | {"__parentId": document["id"]}) + b"\n"
