"""The verdicts benchmark: its protocols, its floors, its record."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.verdicts import ablation, generated, handwash, product, record, report
from benchmarks.verdicts.compose import Clip, Library
from benchmarks.verdicts.films import Footage, Refused, load, prepare
from benchmarks.verdicts.floors import FLOORS, Floor
from benchmarks.verdicts.judging import Case, Trial, judge
from benchmarks.verdicts.report import Report, Row, Table, floor_row
from sopilot.core.rates import Share, rate
from sopilot.core.records import Producer, Role
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import Blocks, VideoFeatures
from sopilot.evaluation.figures import Outcome, summarise
from sopilot.evaluation.truth import Found


def outcome(name: str, defect: str | None, score: float, unit: str = "one") -> Outcome:
    found = () if defect is None else (Found("missing_step", 1, None, None, certainty="review"),)
    decision = "pass" if score >= 60 else "retrain"
    return Outcome(name, unit, "task", defect, score, decision, "score", found, ())


def test_a_task_has_the_counts_of_the_protocol() -> None:
    takes = list(generated.trainees(101, 14, 3))
    counts = Counter(take.defect for take in takes)
    wrong = sum(counts.pop(defect) for defect in generated.WRONG)
    assert (counts.pop(None), counts.pop(generated.Defect.FREEZE_ONLY), wrong) == (14, 1, 3)
    assert set(counts) == set(generated.REPEATED)
    assert set(counts.values()) == {3}


def test_every_film_of_a_task_has_a_file_of_its_own(tmp_path: Path) -> None:
    takes = [
        *generated.golds(101),
        *generated.trainees(101, 14, 3),
        *generated.extras(101, 3),
        *generated.other_task(101, 3),
        *generated.again(101),
        replace(generated.golds(101)[0], is_short=True),
    ]
    paths = [take.path(tmp_path) for take in takes]
    assert len(set(paths)) == len(paths)


def test_extras_stay_out_of_the_figures() -> None:
    films = [outcome("101/good-00", None, 90.0), outcome("101/extra-idle-0", "idle", 80.0)]
    assert [o.name for o in generated.in_protocol(films)] == ["101/good-00"]


def test_tasks_that_were_looked_at_are_told_apart() -> None:
    assert generated.splits((101, 202, 102)) == {"dev": [101, 102], "unseen": [202]}
    assert generated.splits((7,)) == {"unseen": [7]}


@pytest.fixture(scope="module")
def wash(tmp_path_factory: pytest.TempPathFactory) -> handwash.Wash:
    """Four executions of eight steps; all but 002 share footage with each other in steps 3-8."""
    library: Library = {
        (execution, step): Clip(execution, step, Path("none"), 40)
        for execution in handwash.EXECUTIONS
        for step in range(1, 9)
    }
    folder = tmp_path_factory.mktemp("wash")
    shared = [
        {"execution": one, "step": step, "also_in": other, "share": 0.5}
        for one, other in (("003", "004"), ("003", "005"), ("004", "005"))
        for step in range(3, 9)
    ]
    shared.append({"execution": "002", "step": 8, "also_in": "005", "share": 0.5})
    (folder / "duplicates.json").write_text(json.dumps(shared))
    return handwash.Wash(library, folder, folder / "work", seed=0, sample=6)


def test_pairs_are_those_with_six_clean_steps(wash: handwash.Wash) -> None:
    names = {pair.name: len(pair.golds[0].scenes) for pair in wash.pairs()}
    assert names == {
        "002<003": 8, "002<004": 8, "002<005": 7, "003<002": 8, "004<002": 8, "005<002": 7,
    }  # fmt: skip


def test_fused_golds_and_their_subsets_judge_the_same_films(wash: handwash.Wash) -> None:
    groups = wash.fused()
    assert [group.name for group in groups][-1] == "003+004+005<002"
    assert len(groups) == 7
    assert {group.cuts for group in groups} == {groups[0].cuts}
    assert {len(gold.scenes) for group in groups for gold in group.golds} == {7}


def test_a_retake_of_a_cut_is_another_file(wash: handwash.Wash) -> None:
    cut = wash.pairs()[0].cuts[0]
    other = replace(handwash.AS_FILMED, name="again-0", gamma=1.1)
    assert wash.path(cut) != wash.path(cut, other)


@pytest.mark.parametrize(
    ("measured", "floor", "verdict"),
    [
        (0.97, Floor("", 0.97), "ok"),
        (0.969, Floor("", 0.97), "MISS"),
        (Share(0, 28), Floor("", 0.0, at_least=False), "ok"),
        (Share(1, 28), Floor("", 0.0, at_least=False), "MISS"),
        (rate([("a", True), ("a", False)]), Floor("", 0.5), "ok"),
        (Share(0, 0), Floor("", 0.5), "not run"),
        (None, Floor("", 0.5), "not run"),
        (0.5, None, "info"),
    ],
)
def test_a_row_is_held_against_its_floor(
    measured: report.Measured, floor: Floor | None, verdict: str
) -> None:
    assert Row("row", measured, floor).verdict == verdict


@pytest.mark.parametrize("key", FLOORS)
def test_every_floor_is_measured_by_its_suite(key: str) -> None:
    values = {
        "generated": generated.measured([]),
        "handwash": handwash.measured([]),
        "slice": {**generated.measured([]), **handwash.measured([])},
    }
    suite, _, rest = key.partition(".")
    if suite in values:
        assert rest.rpartition(".")[2] in values[suite]
    assert floor_row(key, 0.5).verdict in {"ok", "MISS"}


def test_a_suite_that_cannot_run_says_so_for_every_floor() -> None:
    left_out = report.not_run("handwash", "no footage")
    assert {row.verdict for row in left_out.rows} == {"not run"}
    assert len(left_out.rows) == sum(key.startswith("handwash.") for key in FLOORS)
    assert "not run: no footage" in str(report.rows_table("handwash", left_out.rows))


def test_tables_tell_films_and_executions() -> None:
    films = [outcome("a", None, 90.0, "x"), outcome("b", None, 40.0, "x"),
             outcome("c", None, 95.0, "y"), outcome("d", "missing", 50.0, "y")]  # fmt: skip
    text = str(report.summary_table("films", {"ours": summarise(films)}))
    assert "1/3" in text.splitlines()[2]
    row = Row("not passed", summarise(films).not_passed)
    assert "executions 1/2 (0.01-0.99), mean 0.25" in report.detail(row.measured)


def some_report(suite: str, score: float) -> Report:
    films = [outcome("good", None, score), outcome("bad", "missing", 40.0)]
    rows = (floor_row("maintenance.marked", Share(6, 6)),)
    return Report(suite, rows, (), {"seed": 0}, {"ours": summarise(films)}, {"ours": films})


def test_the_record_keeps_counts_with_bounds_and_a_line_per_film(tmp_path: Path) -> None:
    target = tmp_path / "verdicts.json"
    record.write(target, [some_report("one", 90.0)])
    kept = json.loads(target.read_text())["suites"]["one"]
    assert kept["rows"][0]["count"] == [6, 6, pytest.approx(0.5407), 1.0]
    assert kept["films"]["ours"][1] == [
        "bad", "missing", 40.0, "retrain", "score", "missing_step:1?", "", None,
    ]  # fmt: skip
    assert kept["figures"]["ours"]["auc"] == 1.0
    assert any(line.strip().startswith('["bad"') for line in target.read_text().splitlines())


def test_a_partial_run_renews_its_own_suites_only(tmp_path: Path) -> None:
    target = tmp_path / "verdicts.json"
    record.write(target, [some_report("one", 90.0), some_report("two", 90.0)])
    record.write(target, [some_report("two", 80.0)])
    suites = json.loads(target.read_text())["suites"]
    assert [suites[name]["films"]["ours"][0][2] for name in ("one", "two")] == [90.0, 80.0]


def test_ablations_take_away_blocks_and_switches() -> None:
    known = {"smooths": True, "is_new": False, "price_nats": 36.0}
    found = list(ablation.ablations(["crop", "layout"], known))
    assert [item.name for item in found[:4]] == [
        "as shipped", "without crop", "without layout", "smooths off",
    ]  # fmt: skip
    assert found[3].changes == {"smooths": False}
    assert ablation.Ablation("other", {"parts": 1}).unknown(known) == ["parts"]


def test_a_hidden_block_takes_its_re_recordings_along() -> None:
    rows = np.ones((3, 2), np.float32)
    features = VideoFeatures(
        producer=Producer("test", "1"),
        clip_spans=np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]),
        blocks=Blocks({"crop": rows, "crop@1": rows, "layout": rows}),
        energy=np.ones(3, np.float32),
        freezes=(),
        duration_sec=3.0,
    )
    assert list(product._hide(features, ("crop",)).blocks) == ["layout"]
    assert product._hide(features, ()) is features


def test_a_film_that_the_product_refuses_does_not_pass(tmp_path: Path) -> None:
    # Not a video: no features can be made of it, as gold or as trainee.
    path = tmp_path / "film.mp4"
    listed = [Footage(path, role, lambda part: part.write_bytes(b"")) for role in Role]
    prepare(listed, None)
    with pytest.raises(Refused):
        load(path, Role.GOLD)
    case = Case("task", (path,), None, (TimeSpan(0, 1),), (Trial("film", "film", None, path),))
    (found,) = judge(case)
    assert (found.decision, found.score, found.is_passed) == ("refused", 0.0, False)
    assert found.basis.startswith("gold: ")


def test_table_columns_line_up() -> None:
    text = str(Table("title", (("", "value"), ("long name", "1"), ("x", "22.5"))))
    assert text.splitlines()[1:] == [
        "             value",
        "  long name      1",
        "  x           22.5",
    ]
