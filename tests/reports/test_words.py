import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.reports import words

N = words.NBSP


@pytest.mark.parametrize(
    "value, unit, text",
    [
        (0.8090, "share", f"80.9{N}%"),
        (0.00596, "share", f"0.60{N}%"),
        (0.0, "share", f"0.0{N}%"),
        (848860.1, "currency", f"848,860.10{N}BRL"),
        (6512.0, "count", "6,512"),
        (-12.34, "points", "−12.3"),
        (-0.001, "points", "0.0"),
        (5.25, "hours", f"5.2{N}h"),
    ],
)
def test_figures_are_exact_and_carry_their_unit(value, unit, text):
    assert words.figure(value, unit, "BRL") == text


@pytest.mark.parametrize(
    "value, text",
    [(13_591_643, f"13.6{N}M"), (848_860, f"849{N}k"), (999, "999"), (0, "0"), (2e9, f"2{N}bn")],
)
def test_large_amounts_are_shortened_for_charts(value, text):
    assert words.compact(value) == text


def test_close_shares_get_the_decimals_that_tell_them_apart():
    assert words.share_decimals(0.8, 0.9) == 1
    assert words.share_decimals(0.8000, 0.8004) == 2
    assert words.share_decimals(0.006, 0.0097) == 2


def test_up_and_down_are_said_in_words():
    assert words.up_or_down(1.035) == f"up 3.5{N}%"
    assert words.up_or_down(0.5) == f"down 50.0{N}%"
    assert words.up_or_down(1.0001) == "unchanged"


@pytest.mark.parametrize(
    "written, shown",
    [
        ("call +55 (11) 98765-4321 now", "call [number] now"),
        ("CPF 123.456.789-00", "CPF [number]"),
        ("order 8675309", "order [number]"),
        ("2 of 3 came in 2018, R$ 1.200,50", "2 of 3 came in 2018, R$ 1.200,50"),
        ("write ana.b+x@mail.example.com!", "write [e-mail]!"),
        ("a11111@example.com", "[e-mail]"),
        ("line\n  break", "line break"),
    ],
)
def test_what_names_a_person_is_masked(written, shown):
    assert words.comment_text(written) == shown


def test_a_long_comment_is_cut_at_a_word():
    cut = words.comment_text("slow " * 100)
    assert cut == "slow " * 38 + "slow…"
    assert len(words.comment_text("x" * 500)) == 200


@given(st.text(alphabet="ab 0123456789.-()@", max_size=400))
def test_no_comment_is_long_or_shows_five_digits_in_a_row(comment):
    shown = words.comment_text(comment)
    assert len(shown) <= 200
    assert not re.search(r"\d{5}", shown)
