"""What the systems are like that keep records of people: how careful, how quick, how strict.

Rates are shares from 0 to 1, a column a system in the order of SYSTEMS.
"""

import numpy as np

SYSTEMS = (
    ("hubspot", "contact"), ("salesforce", "contact"), ("salesforce", "lead"),
    ("shopify", "customer"), ("zendesk", "user"), ("surveymonkey", "contact"),
    ("qualtrics", "contact"), ("mailchimp", "member"),
)  # fmt: skip
HUBSPOT, CONTACT, LEAD, SHOPIFY, ZENDESK, SURVEYMONKEY, QUALTRICS, MAILCHIMP = range(8)
# Ways to a record: share of new records that agree to e-mail, and how easily a known person is
# made a new record of (1: as DUPLICATES say; 0: the system finds the record that it has).
_WAYS = {
    "newsletter": (1.0, 1.0), "checkout": (0.45, 1.0), "order": (0.45, 1.0), "sign_up": (0.5, 1.0),
    "sign_in": (0.5, 0.0), "cart": (0.45, 0.0), "support": (0.1, 1.0), "ticket": (0.1, 1.0),
    "lead_form": (0.7, 1.0), "selling": (0.6, 0.3), "survey": (0.3, 0.6), "import": (0.5, 3.0),
    "send": (1.0, 0.0), "unsubscribe": (0.0, 0.0),
}  # fmt: skip
VIAS = tuple(_WAYS)
CONSENTS = np.array([agrees for agrees, _ in _WAYS.values()])
MAKES_NEW = np.array([new for _, new in _WAYS.values()])

# Share of contacts of a known person that make a new record of it all the same.
DUPLICATES = (0.05, 0.08, 0.15, 0.05, 0.08, 0.01, 0.01, 0.02)
# Some people give another address time and again: their share, how much more often they do so than
# DUPLICATES say, and how often all others do.
CARELESS, MORE_OFTEN, LESS_OFTEN = 0.08, 6.0, 0.6
MERGED_LATER = (0.60, 0.55, 0.15, 0.30, 0.55, 0.0, 0.0, 0.0)  # of the duplicates, some weeks later
ARCHIVED_LATER = (0.012, 0.01, 0.03, 0.004, 0.006, 0.0, 0.0, 0.03)  # of all records, in the end
LEARNS = {  # of the changes in a person's life, how many a system hears of
    "email": (0.6, 0.6, 0.2, 0.8, 0.6, 0.3, 0.4, 0.6),
    "phone": (0.4, 0.6, 0.2, 0.6, 0.4, 0.0, 0.0, 0.1),
    "last_name": (0.5, 0.6, 0.2, 0.7, 0.4, 0.3, 0.3, 0.4),
    "address": (0.3, 0.4, 0.1, 0.9, 0.1, 0.0, 0.0, 0.2),
}
LEARN_DAYS = (40.0, 30.0, 90.0, 20.0, 45.0, 120.0, 90.0, 35.0)  # until then, on average
STALE = 0.07  # of new records of a changed person say what was true before
# Systems that have no two live records with one e-mail address.
UNIQUE_MAIL = np.array([True, False, False, True, True, False, False, True])
KEEPS_MAILS = np.array([True, False, False, False, True, False, False, False])

HAS = {  # systems that have the field at all, and how often it is filled
    "birth_date": (0.15, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25),
    "address": (0.35, 0.85, 0.3, 0.9, 0.0, 0.0, 0.0, 0.3),
    "language": (0.8, 0.0, 0.0, 1.0, 0.9, 0.0, 0.9, 0.9),
    "company": (0.95, 1.0, 1.0, 0.3, 0.5, 0.0, 0.0, 0.0),
}
SOURCES = {  # how a record came to be, in the words of the system
    "hubspot": {
        "paid_search": "PAID_SEARCH", "paid_social": "PAID_SOCIAL", "display": "OTHER_CAMPAIGNS",
        "affiliate": "REFERRALS", "event": "OFFLINE", "word_of_mouth": "DIRECT_TRAFFIC",
        "organic": "ORGANIC_SEARCH",
    },
    "salesforce": {
        "paid_search": "Advertisement", "paid_social": "Social", "display": "Advertisement",
        "affiliate": "Partner", "event": "Trade Show", "word_of_mouth": "Word of mouth",
        "organic": "Web",
    },
}  # fmt: skip

# Share of new records that a kind of noise is put into, by system. What sellers type by hand has
# more typing errors, what people type of themselves in a shop has fewer, imports have gaps.
RATES = {
    #                  hubs   sf-c   sf-l   shop   zend   surv   qual   mail
    "email_case":     (0.03,  0.06,  0.06,  0.03,  0.04,  0.02,  0.02,  0.04),
    "email_plus":     (0.02,  0.00,  0.01,  0.03,  0.01,  0.00,  0.00,  0.03),
    "email_typo":     (0.01,  0.03,  0.04,  0.005, 0.01,  0.00,  0.00,  0.01),
    "shared_email":   (0.40,  0.00,  0.00,  0.50,  0.50,  0.40,  0.40,  0.50),
    "role_email":     (0.15,  0.10,  0.20,  0.05,  0.25,  0.00,  0.00,  0.05),
    "name_typo":      (0.02,  0.05,  0.06,  0.01,  0.03,  0.01,  0.00,  0.01),
    "nickname":       (0.12,  0.10,  0.10,  0.05,  0.15,  0.05,  0.03,  0.15),
    "transliterated": (0.25,  0.30,  0.30,  0.25,  0.35,  0.20,  0.15,  0.25),
    "swapped_names":  (0.01,  0.02,  0.02,  0.01,  0.01,  0.01,  0.00,  0.01),
    "phone_national": (0.25,  0.35,  0.35,  0.20,  0.30,  0.00,  0.00,  0.20),
    "phone_spaces":   (0.15,  0.30,  0.30,  0.10,  0.15,  0.00,  0.00,  0.10),
    "phone_wrong":    (0.01,  0.03,  0.04,  0.01,  0.02,  0.00,  0.00,  0.01),
    "missing_email":  (0.00,  0.05,  0.06,  0.02,  0.08,  0.00,  0.00,  0.00),
    "missing_phone":  (0.45,  0.15,  0.25,  0.35,  0.55,  1.00,  0.90,  0.80),
    "missing_name":   (0.18,  0.00,  0.02,  0.01,  0.06,  0.25,  0.10,  0.30),
}  # fmt: skip
# Kinds that come of how a record was made or whose it is, not of a rate.
MADE = (
    "email_changed", "moved", "married_name", "guest", "duplicate", "two_accounts", "test_record",
    "employee_record",
)  # fmt: skip
KINDS = (*RATES, *MADE)
BIT = {kind: np.int64(1 << i) for i, kind in enumerate(KINDS)}
SECOND_MAILBOX = -1  # version number of an e-mail address beside the first one
