"""The scripts of older installations against a started service, on films of a filter swap."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from footage import MAINTENANCE, need_footage
from service_process import KEY, Server

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("delivery"), SOPILOT_AUDIT_SIGNING_KEY="sign")
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def films() -> Path:
    need_footage()
    return MAINTENANCE


def run(script: str, *arguments: str | Path) -> tuple[int, str]:
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout or done.stderr


def test_the_flow_leaves_every_record(server: Server, films: Path, tmp_path: Path) -> None:
    arguments: list[str | Path] = ["--base-url", str(server.client.base_url), "--token", KEY]
    arguments += ["--gold", films / "gold.mp4", "--trainee", films / "missing.mp4"]
    arguments += ["--out-dir", tmp_path / "out"]
    code, said = run("run_demo_flow", *arguments)
    assert code == 0, said
    summary: dict[str, Any] = json.loads(said)
    kept = {name: tmp_path / "out" / path for name, path in summary["artifacts"].items()}
    assert set(kept) == {"score", "pdf", "audit_trail", "queue", "audit_export"}
    score = json.loads(kept["score"].read_text(encoding="utf-8"))
    assert score["result"]["score"] == summary["score"]
    assert summary["decision"] in {"retrain", "fail"}
    assert kept["pdf"].read_bytes().startswith(b"%PDF")
    assert json.loads(kept["queue"].read_text(encoding="utf-8"))["jobs"]
    code, said = run("verify_audit_export", "--file", kept["audit_export"], "--key", "sign")
    assert (code, json.loads(said)["verified"]) == (0, True)


def test_the_gate_passes_with_default_marks_and_fails_with_impossible_ones(
    server: Server, films: Path, tmp_path: Path
) -> None:
    arguments: list[str | Path] = ["--base-url", str(server.client.base_url), "--token", KEY]
    arguments += ["--gold", films / "gold.mp4", "--out-json", tmp_path / "gate.json"]
    code, said = run("run_release_gate", *arguments)
    report = json.loads((tmp_path / "gate.json").read_text(encoding="utf-8"))
    assert json.loads(said) == report
    assert (code, report["passed"]) == (0, True), report
    assert set(report["gate_results"]) == {
        "baseline_min_score",
        "all_failures_below_max",
        "strict_failure_count_ok",
        "baseline_gap_ok",
    }
    names = [item["variant"] for item in report["outcomes"]]
    assert names == ["gold", "missing", "swap", "deviation", "time_over", "mixed"]
    strict = [*arguments, "--variants", "missing", "--min-failures-below-strict", "2"]
    code, said = run("run_release_gate", *strict)
    assert (code, json.loads(said)["gate_results"]["strict_failure_count_ok"]) == (2, False)


def test_the_gate_tells_the_drawn_films_apart(server: Server, tmp_path: Path) -> None:
    made = tmp_path / "films"
    code, said = run("generate_equipment_maintenance_demo", "--out-dir", made)
    assert code == 0, said
    names = ("gold", "missing", "swap", "deviation", "time_over", "mixed")
    assert said.split() == [str(made / f"{name}.mp4") for name in names]
    assert sorted(path.stem for path in made.iterdir()) == sorted(names)
    arguments: list[str | Path] = ["--base-url", str(server.client.base_url), "--token", KEY]
    arguments += ["--gold", made / "gold.mp4", "--task-id", "drawn"]
    code, said = run("run_release_gate", *arguments)
    assert code == 0, said
    assert json.loads(said)["passed"] is True


def test_the_films_of_an_impossible_length_are_refused(tmp_path: Path) -> None:
    code, said = run(
        "generate_equipment_maintenance_demo",
        "--out-dir",
        tmp_path / "films",
        "--duration-sec",
        "3",
    )
    assert code == 2
    assert "--duration-sec is 3; give 16 to 240 seconds" in said
    assert not (tmp_path / "films").exists()


def test_what_the_service_refuses_is_one_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    arguments: list[str | Path] = ["--base-url", str(server.client.base_url), "--token", KEY]
    arguments += ["--gold", tmp_path / "text.mp4", "--trainee", tmp_path / "text.mp4"]
    code, said = run("run_demo_flow", *arguments, "--out-dir", tmp_path)
    assert code == 1
    assert "REMOTE_FAILED" in said
    assert len(said.splitlines()) == 1


def test_backup_profile_and_restore(tmp_path: Path) -> None:
    data = tmp_path / "data"
    thresholds = ["--pass-score", "90", "--retrain-score", "80"]
    task = ["--db-path", data / "sopilot.db", "--task-id", "filter_change"]
    data.mkdir()
    code, said = run("update_task_profile", *task, *thresholds)
    assert (code, "TASK_NOT_FOUND" in said) == (1, True)
    code, said = run("update_task_profile", *task, *thresholds, "--create-if-missing")
    assert (code, json.loads(said)["pass_score"]) == (0, 90.0)
    code, said = run("update_task_profile", *task, "--policy-json", "[]")
    assert (code, "no JSON object" in said) == (2, True)
    code, said = run("backup_onprem", "--data-dir", data, "--out-dir", tmp_path / "backups")
    assert code == 0, said
    code, said = run("restore_onprem", "--backup", said.strip(), "--data-dir", tmp_path / "new")
    assert code == 0, said
    task[1] = tmp_path / "new/sopilot.db"
    code, said = run("update_task_profile", *task, "--w-miss", "0.5")
    assert (code, json.loads(said)["pass_score"]) == (0, 90.0)
