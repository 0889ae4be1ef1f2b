"""The benchmark harness: what it calls a miss, how it pairs samples, what it prints."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from benchmarks.harness import (
    Row,
    absolute,
    as_record,
    cpu_sec,
    interleave,
    measure,
    not_run,
    paired,
    process_cpu_sec,
    table,
)
from benchmarks.latency import FLOOR_SEC, LIMIT_SEC

ROW = Row("decode", "ours", "theirs", target=1.5)


def spin(seconds: float) -> None:
    """Use this much CPU, however busy the machine is."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("g", "n", "p", value=1.5, target=1.5), "ok"),
        (Row("g", "n", "p", value=1.51, target=1.5), "MISS"),
        (Row("g", "n", "p", value=9.0), "info"),
        (not_run(ROW, "tslearn is not installed"), "not run"),
    ],
)
def test_verdict(row: Row, verdict: str) -> None:
    assert row.verdict == verdict


def test_ratio_is_the_median_of_pairs_not_the_ratio_of_medians() -> None:
    # A slow phase of the machine hits both sides of the second pair.
    row = paired(ROW, [1.0, 10.0, 1.2], [1.0, 9.0, 1.0])
    assert row.value == pytest.approx(10 / 9)
    assert (row.low, row.high) == (1.0, 1.2)
    assert (row.ours, row.against, row.rounds) == (1.2, 1.0, 3)


def test_works_take_turns_in_a_rotating_order_after_one_warm_up() -> None:
    calls: list[str] = []
    works = [lambda name=name: calls.append(name) for name in "abc"]
    samples = interleave(works, rounds=3)
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab"
    assert [len(each) for each in samples] == [3, 3, 3]


def test_repeat_gives_the_cost_of_one_call() -> None:
    (samples,) = interleave([lambda: spin(0.02)], rounds=1, repeat=5)
    assert 0.015 < samples[0].cpu_sec < 0.08


def test_cpu_time_counts_children_that_were_waited_for() -> None:
    before = cpu_sec()
    child = os.fork()
    if child == 0:
        spin(0.1)
        os._exit(0)
    os.waitpid(child, 0)
    assert cpu_sec() - before >= 0.09


def test_sleeping_costs_wall_time_only() -> None:
    sample = measure(lambda: time.sleep(0.1))
    assert sample.wall_sec >= 0.1
    assert sample.cpu_sec < 0.09


def test_cpu_time_of_another_process_is_read_by_its_number() -> None:
    before = process_cpu_sec(os.getpid())
    spin(0.05)
    assert 0.05 <= process_cpu_sec(os.getpid()) - before < 5.0


def test_table_marks_the_miss_and_says_why_a_row_did_not_run() -> None:
    text = table([paired(ROW, [2.0], [1.0]), not_run(ROW, "tslearn is not installed")])
    missed, left_out = text.splitlines()[2:]
    assert missed.startswith("MISS")
    assert "2.00 x" in missed
    assert "<= 1.5" in missed
    assert "not run: tslearn is not installed" in left_out


def test_record_is_json_with_machine_and_verdicts() -> None:
    record = json.loads(json.dumps(as_record([absolute(ROW, [3.0, 1.0, 2.0], "MB")])))
    assert record["machine"]["core_count"] >= 1
    assert record["rows"][0]["value"] == 2.0
    assert record["rows"][0]["verdict"] == "MISS"


def test_the_kept_latency_is_what_the_contract_allows() -> None:
    path = Path(__file__).resolve().parents[2] / "benchmarks/results/latency.json"
    kept = {row["name"]: row for row in json.loads(path.read_text(encoding="utf-8"))["rows"]}
    found = kept["trainee to verdict"]
    assert found["target"] == round(LIMIT_SEC / FLOOR_SEC, 2)
    assert 1 < found["value"] <= found["target"]
