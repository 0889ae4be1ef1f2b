"""The price of edits by comparability, and which constants hold for how many golds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.sop.method import CHUNK_PRICES, DEFAULT, STEP_PRICES, Method


@pytest.mark.parametrize(
    ("comparability", "scale"),
    [(-1.0, 1.0), (0.0, 1.0), (0.5, 1.0), (0.6, 0.8), (0.75, 0.5), (0.9, 0.2), (1.4, 0.2)],
)
def test_prices_fall_between_the_ends_of_the_range(comparability: float, scale: float) -> None:
    method = Method(sure_range=(0.5, 0.9), sure_price=0.2)
    assert method.price_scale(comparability) == pytest.approx(scale)


def test_default_prices_are_whole_below_the_range_and_sure_above() -> None:
    low, high = DEFAULT.sure_range
    assert DEFAULT.price_scale(low) == 1.0
    assert DEFAULT.price_scale(high) == pytest.approx(DEFAULT.sure_price)


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_more_comparable_is_never_dearer(one: float, other: float) -> None:
    low, high = sorted([one, other])
    assert DEFAULT.price_scale(high) <= DEFAULT.price_scale(low)
    assert 0.0 < DEFAULT.price_scale(high) <= 1.0


@pytest.mark.parametrize(
    ("chunks", "marked", "chunked"),
    [(True, False, True), (True, True, False), (False, False, False), (False, True, False)],
)
def test_only_unmarked_steps_are_searched_in_chunks(
    chunks: bool, marked: bool, chunked: bool
) -> None:
    method = Method(chunks=chunks)
    assert method.chunked(marked) is chunked
    assert method.prices_for(marked) is (CHUNK_PRICES if chunked else STEP_PRICES)


def test_with_a_second_gold_a_step_deviates_earlier() -> None:
    one, two, ten = (DEFAULT.unlike_from(count) for count in (1, 2, 10))
    assert two == ten
    assert two[0] < one[0] < two[1] < one[1]
