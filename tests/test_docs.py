"""What is written out of the code is written again when the code changes."""

from docs.make_sources import TARGET, document


def test_the_page_of_sources_says_what_the_connectors_declare() -> None:
    assert TARGET.read_text(encoding="utf-8") == document(), "run `python docs/make_sources.py`"
