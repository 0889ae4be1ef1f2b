"""The gate of the first release, on real footage and through the whole product."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import variants
from footage import DATA, MAINTENANCE, need_footage

from sopilot.cli.local import bring_in, opened, score_now
from sopilot.core.config import load_settings
from sopilot.core.records import Role, Step
from sopilot.core.timespan import TimeSpan
from sopilot.runtime import Runtime

GOLD = MAINTENANCE / "gold.mp4"
MARKED = tuple(Step(k, span=TimeSpan(6.0 * k, 6.0 * (k + 1))) for k in range(4))


class Judge:
    """Scores files against the maintenance gold in one data folder."""

    def __init__(self, runtime: Runtime, steps: tuple[Step, ...] | None) -> None:
        self.runtime, self.steps = runtime, steps
        self.gold = bring_in(runtime, GOLD, "gate", Role.GOLD)

    def __call__(self, path: Path) -> dict[str, Any]:
        trainee = bring_in(self.runtime, path, "gate", Role.TRAINEE)
        row = score_now(self.runtime, [self.gold], trainee, self.steps)
        assert row.result is not None
        return dict(row.result)


@pytest.fixture(scope="module", params=["steps marked", "steps proposed"])
def judge(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Judge]:
    need_footage(GOLD)
    settings = load_settings(data_dir=tmp_path_factory.mktemp("gate"))
    with opened(settings) as runtime:
        yield Judge(runtime, MARKED if request.param == "steps marked" else None)


def _found(result: dict[str, Any]) -> set[tuple[str, int | None]]:
    return {(item["type"], item["step_index"]) for item in result["deviations"]}


def test_gold_against_itself(judge: Judge) -> None:
    result = judge(GOLD)
    assert result["score"] >= 99.5
    assert result["summary"]["decision"] == "pass"
    assert result["deviations"] == []
    assert result["confidence"]["ci_high"] - result["confidence"]["ci_low"] <= 10
    assert len(result["timeline"]) == 4


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("missing", {("missing_step", 1)}),
        ("swap", {("order_swap", 1)}),
        ("deviation", {("step_deviation", 2)}),
        ("mixed", {("order_swap", 1)}),
    ],
)
def test_a_defect_is_named_and_does_not_pass(
    judge: Judge, name: str, wanted: set[tuple[str, int | None]]
) -> None:
    result = judge(MAINTENANCE / f"{name}.mp4")
    assert wanted <= _found(result)
    assert result["score"] < result["summary"]["pass_score"]
    assert result["summary"]["decision"] != "pass"


def test_a_slow_step_is_named_and_costs_points(judge: Judge) -> None:
    result = judge(MAINTENANCE / "time_over.mp4")
    assert ("over_time", 1) in _found(result)
    assert result["score"] <= 95.0


def test_harmless_copies_stay_near_a_hundred(judge: Judge, tmp_path: Path) -> None:
    wrong = {}
    for name, path, points in variants.harmless(GOLD, tmp_path):
        result = judge(path)
        if result["score"] < 100 - points or result["summary"]["severity_counts"]["critical"]:
            wrong[name] = (result["score"], _found(result))
    assert wrong == {}


def test_hopeless_recordings_fall_below_retrain(judge: Judge, tmp_path: Path) -> None:
    wrong = {}
    other = DATA / "footage" / "bottle-detection.mp4"
    for name, path in variants.hopeless(GOLD, other, tmp_path):
        result = judge(path)
        if result["score"] >= 50 or result["summary"]["decision"] == "pass":
            wrong[name] = (result["score"], _found(result))
    assert wrong == {}
