"""What a reader must know about the ground of a result is told, and nothing when all is well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from record_examples import IDS, ORIGIN, PROFILE, make_comparison

from sopilot.sop.calibrate import Calibration
from sopilot.sop.notes import notes_of
from sopilot.sop.result import build_result

WELL = replace(make_comparison(), calibration=Calibration(3))


def test_nothing_is_noted_where_all_is_well() -> None:
    assert notes_of(WELL) == []


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"is_comparable": False}, ["not_comparable"]),
        ({"similar_steps": ((0, 2),)}, ["similar_steps"]),
        ({"similar_steps": ((0, 2), (1, 3))}, ["similar_steps"] * 2),
        ({"steps_source": "proposed"}, ["steps_proposed"]),
        ({"calibration": Calibration(1)}, ["golds_missing"]),
        (
            {
                "calibration": Calibration(2),
                "steps_source": "proposed",
                "similar_steps": ((1, 2),),
                "is_comparable": False,
            },
            ["not_comparable", "similar_steps", "steps_proposed", "golds_missing"],
        ),
    ],
)
def test_each_weakness_of_the_ground_has_its_note(
    changes: dict[str, Any], codes: list[str]
) -> None:
    assert [code for code, _ in notes_of(replace(WELL, **changes))] == codes


def test_steps_that_look_alike_are_named() -> None:
    ((_, (ja, en)),) = notes_of(replace(WELL, similar_steps=((0, 2),)))
    assert ja.startswith("基準の手順1（準備）と手順3（締結）は")
    assert en.startswith("Step 1 (Preparation) and step 3 (Fastening) of the gold look alike")


@pytest.mark.parametrize(
    ("count", "ja", "en"),
    [(1, "あと2本", "2 more gold videos"), (2, "あと1本", "1 more gold video ")],
)
def test_missing_golds_are_counted(count: int, ja: str, en: str) -> None:
    ((_, (text_ja, text_en)),) = notes_of(replace(WELL, calibration=Calibration(count)))
    assert ja in text_ja
    assert text_en.startswith(en)


def test_the_record_carries_the_notes_in_both_languages() -> None:
    comparison = replace(WELL, steps_source="proposed", is_comparable=False)
    notes = build_result(comparison, PROFILE, ids=IDS, origin=ORIGIN).notes
    assert [(note.code, (note.text_ja, note.text_en)) for note in notes] == notes_of(comparison)
