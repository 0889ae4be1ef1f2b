"""`sopilot flow` and `sopilot gate`: show a service's whole way, and hold it to a release gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from sopilot.cli.output import ExitCode, note, write_bytes, write_json
from sopilot.cli.remote import Remote, RemoteFailed

BaseUrl = Annotated[str, typer.Option("--base-url", help="Address of the service.")]
Token = Annotated[
    str, typer.Option("--token", help="Key or token; empty = none.", envvar="SOPILOT_API_KEY")
]
TaskId = Annotated[str, typer.Option("--task-id", help="Task of the videos.")]
Gold = Annotated[Path, typer.Option("--gold", help="Video of the procedure.")]
Patience = Annotated[float, typer.Option("--timeout-sec", min=1, help="For each video and score.")]
_OPTIONAL = frozenset({401, 403, 503})
"""What a role too low, or a service without a signing key, answers."""


def flow(
    gold: Gold,
    trainee: Annotated[Path, typer.Option("--trainee", help="Video of the trainee.")],
    task_id: TaskId = "maintenance_filter_swap",
    base_url: BaseUrl = "http://127.0.0.1:8000",
    token: Token = "",
    out_dir: Annotated[Path, typer.Option("--out-dir", help="Where the records go.")] = Path(
        "demo_artifacts"
    ),
    timeout_sec: Patience = 300.0,
    audit_export_limit: Annotated[int, typer.Option(min=1, help="Rows of the export.")] = 100,
    skip_signed_audit_export: Annotated[bool, typer.Option(help="Make no signed export.")] = False,
) -> None:
    """Upload, score and keep the records: score, PDF, audit trail, queue, signed export."""
    with Remote(base_url, token, patience_sec=timeout_sec) as remote:
        out_dir.mkdir(parents=True, exist_ok=True)
        first = remote.upload("/gold", gold, task_id=task_id)
        second = remote.upload("/videos", trainee, task_id=task_id)
        job = remote.score(first["video_id"], second["video_id"])
        made = {
            "score": f"score_{job['job_id']}.json",
            "pdf": f"score_{job['job_id']}.pdf",
            "audit_trail": "audit_trail_latest.json",
        }
        write_json(job, str(out_dir / made["score"]))
        paper = remote.ask("GET", f"/score/{job['job_id']}/report/pdf").content
        write_bytes(out_dir / made["pdf"], paper)
        write_json(remote.record("GET", "/audit/trail"), str(out_dir / made["audit_trail"]))
        if (queue := _where_allowed(remote, "GET", "/ops/queue")) is not None:
            made["queue"] = "queue_metrics_latest.json"
            write_json(queue, str(out_dir / made["queue"]))
        if not skip_signed_audit_export:
            made |= _signed_export(remote, out_dir, audit_export_limit)
    summary = job["result"]["summary"]
    write_json(
        {
            "job_id": job["job_id"],
            "gold_video_id": first["video_id"],
            "trainee_video_id": second["video_id"],
            "score": job["result"]["score"],
            "decision": summary["decision"],
            "out_dir": str(out_dir),
            "artifacts": made,
        },
        "-",
    )


def _signed_export(remote: Remote, out_dir: Path, limit: int) -> dict[str, str]:
    made = _where_allowed(remote, "POST", "/audit/export", params={"limit": limit})
    if made is None:
        return {}
    name = f"audit_export_{made['export_id']}.json"
    # Byte for byte: the signature is over the text.
    signed = remote.ask("GET", f"/audit/export/{made['export_id']}/file").content
    write_bytes(out_dir / name, signed)
    return {"audit_export": name}


def _where_allowed(remote: Remote, method: str, path: str, **options: Any) -> dict[str, Any] | None:
    """An answer, or None with a note where the role or the settings do not give it."""
    try:
        return remote.record(method, path, **options)
    except RemoteFailed as error:
        if error.details.get("status") not in _OPTIONAL:
            raise
        note(f"left out: {error.message}")
        return None


@dataclass(frozen=True, slots=True)
class Demands:
    """What a release must reach, in points and counts."""

    baseline_min_score: float
    failure_max_score: float
    failure_strict_max_score: float
    min_failures_below_strict: int
    min_baseline_gap: float


@dataclass(frozen=True, slots=True)
class Judged:
    """One video against the gold; the baseline is the gold itself."""

    variant: str
    job_id: int
    score: float
    decision: str


def gate_results(baseline: float, failures: Sequence[float], demands: Demands) -> dict[str, bool]:
    """Which demands hold for the gold's own score and the faulty variants' scores."""
    below = sum(score < demands.failure_strict_max_score for score in failures)
    return {
        "baseline_min_score": baseline >= demands.baseline_min_score,
        "all_failures_below_max": all(score <= demands.failure_max_score for score in failures),
        "strict_failure_count_ok": below >= demands.min_failures_below_strict,
        "baseline_gap_ok": baseline - max(failures) >= demands.min_baseline_gap,
    }


def gate(
    gold: Gold,
    task_id: TaskId = "maintenance_filter_swap",
    base_url: BaseUrl = "http://127.0.0.1:8000",
    token: Token = "",
    variants: Annotated[
        str, typer.Option("--variants", help="Names of the faulty videos.")
    ] = "missing,swap,deviation,time_over,mixed",
    variants_dir: Annotated[
        Path | None, typer.Option("--variants-dir", help="Their folder; else the gold's.")
    ] = None,
    timeout_sec: Patience = 600.0,
    baseline_min_score: Annotated[float, typer.Option(min=0, max=100)] = 90.0,
    failure_max_score: Annotated[float, typer.Option(min=0, max=100)] = 95.0,
    failure_strict_max_score: Annotated[float, typer.Option(min=0, max=100)] = 90.0,
    min_failures_below_strict: Annotated[int, typer.Option(min=0)] = 3,
    min_baseline_gap: Annotated[float, typer.Option(min=0, max=100)] = 5.0,
    out_json: Annotated[Path | None, typer.Option("--out-json", help="The report.")] = None,
) -> None:
    """Score a gold against itself and faulty videos against it; exit code 2 when the gate fails."""
    demands = Demands(
        baseline_min_score,
        failure_max_score,
        failure_strict_max_score,
        min_failures_below_strict,
        min_baseline_gap,
    )
    names = [name.strip() for name in variants.split(",") if name.strip()]
    if not names:
        raise typer.BadParameter("name at least one faulty video", param_hint="--variants")
    folder = variants_dir or gold.parent
    with Remote(base_url, token, patience_sec=timeout_sec) as remote:
        taught = remote.upload("/gold", gold, task_id=task_id)["video_id"]
        outcomes = [
            _judged(remote, taught, name, path, task_id)
            for name, path in [("gold", gold), *((n, folder / f"{n}.mp4") for n in names)]
        ]
    baseline, *failures = [item.score for item in outcomes]
    results = gate_results(baseline, failures, demands)
    report = {
        "passed": all(results.values()),
        "gate_results": results,
        "config": {"task_id": task_id, "gold": str(gold), "variants": names, **asdict(demands)},
        "outcomes": [asdict(item) for item in outcomes],
    }
    if out_json is not None:
        write_json(report, str(out_json))
    write_json(report, "-")
    raise typer.Exit(ExitCode.OK if report["passed"] else ExitCode.USAGE)


def _judged(remote: Remote, gold_id: int, name: str, path: Path, task_id: str) -> Judged:
    video = remote.upload("/videos", path, task_id=task_id)
    job = remote.score(gold_id, video["video_id"])
    found = job["result"]
    note(f"{name}: {found['score']} points, {found['summary']['decision']}")
    return Judged(name, job["job_id"], found["score"], found["summary"]["decision"])
