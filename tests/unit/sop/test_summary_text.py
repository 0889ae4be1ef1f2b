import unicodedata
from dataclasses import replace

from record_examples import IDS, ORIGIN, PROFILE, make_comparison, make_finding, make_step

from sopilot.sop.comparison import Comparison, EventType
from sopilot.sop.result import build_result
from sopilot.sop.summary_text import MAX_DEVIATIONS, describe


def text_of(comparison: Comparison) -> str:
    return describe(
        build_result(comparison, PROFILE, ids=IDS, origin=ORIGIN, interval=(50.0, 62.5))
    )


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def test_verdict_finding_and_both_times_are_told() -> None:
    missing = make_finding(EventType.MISSING_STEP, 1, gold=(10, 20), trainee=(10, 10))
    text = text_of(make_comparison(make_finding(EventType.OVER_TIME, 3), missing))
    lines = text.splitlines()
    assert lines[0] == "Score 44.0 of 100   FAIL"
    assert "between 44.0 and 62.5" in lines[1]
    first = next(i for i, line in enumerate(lines) if "Critical:" in line)
    assert "Step 2 (Cleaning) was not performed" in lines[first]
    assert "gold 0:10.0-0:20.0   trainee 0:10.0" in lines[first + 1]
    assert text.index("Critical:") < text.index("Efficiency:")


def test_a_clean_run_says_so() -> None:
    assert "No deviation: all 4 steps were done as in the gold." in text_of(make_comparison())


def test_no_line_is_wider_than_ninety_columns() -> None:
    long = "Tighten the four bolts crosswise " * 5
    latin = [replace(make_step(i), name_en=long) for i in range(3)]
    wide = replace(make_step(3), name_en=None, name_ja="部品を取り付けて確認する" * 8)
    steps = (*latin, wide)
    found = [
        make_finding(EventType.ORDER_SWAP, i % 4, other_step_index=(i + 1) % 4)
        for i in range(MAX_DEVIATIONS + 3)
    ]
    text = text_of(make_comparison(*found, steps=steps))
    assert max(columns(line) for line in text.splitlines()) <= 90
    assert "... and 3 more in the report." in text
