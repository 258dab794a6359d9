"""Sources in, documents out: every record lands in the lake exactly as it was received.

Knows no warehouse and no scheduler; `orchestration` calls it.
"""
