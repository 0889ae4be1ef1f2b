"""`sopilot smoke`: does a running service do its whole work? Nine checks over HTTP, then all gone.

Two films are drawn, uploaded to a task of their own, scored, reported and deleted again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from sopilot.cli.output import ExitCode
from sopilot.cli.remote import Remote, RemoteFailed

TASK_ID = "smoke_test"
_RESULT_FIELDS = ("score", "summary", "metrics", "deviations", "boundaries", "step_contributions")
_SUMMARY_FIELDS = ("decision", "decision_basis", "decision_reason", "score_band", "severity_counts")


def smoke(
    url: Annotated[str, typer.Option(help="Address of the service.")] = "http://localhost:8000",
    api_key: Annotated[
        str, typer.Option(help="Key or token of an admin; empty = none.", envvar="SOPILOT_API_KEY")
    ] = "",
    task_id: Annotated[str, typer.Option(help="Task of the two films.")] = TASK_ID,
) -> None:
    """Check a running service from upload to report; exit code 1 when something does not hold."""
    with Remote(url, api_key) as remote:
        passed, count = Smoke(remote, task_id).run()
    if passed < count:
        typer.echo(f"{count - passed} of {count} checks failed")
        raise typer.Exit(ExitCode.FAILURE)
    typer.echo(f"All checks passed ({passed}/{count})")


class Smoke:
    """One run; what a check finds is kept for the next ones."""

    def __init__(self, remote: Remote, task_id: str) -> None:
        self._remote = remote
        self._task_id = task_id
        self._videos: dict[str, int] = {}
        self._score_id: int | None = None

    def run(self) -> tuple[int, int]:
        """Print a line per check; (passed, all)."""
        checks: tuple[tuple[str, Callable[[], str]], ...] = (
            ("health", self._health),
            ("readiness and status", self._status),
            ("gold video", lambda: self._upload("gold", "/gold")),
            ("trainee video", lambda: self._upload("missing-step", "/videos")),
            ("task profile", self._profile),
            ("score", self._score),
            ("reports", self._reports),
            ("rescore and analytics", self._figures),
            ("deletion", self._delete),
        )
        passed = 0
        for number, (name, check) in enumerate(checks, 1):
            try:
                found, mark = check(), "ok"
                passed += 1
            except RemoteFailed as failure:
                found, mark = failure.message, "FAILED"
            typer.echo(f"[{number}/{len(checks)}] {name}: {mark} ({found})")
        return passed, len(checks)

    def _health(self) -> str:
        found = self._remote.record("GET", "/health")
        _require(found, "status", "checks", "version")
        if found["status"] != "healthy":
            raise RemoteFailed(f"the service is {found['status']}: {found['checks']}")
        return f"version {found['version']}"

    def _status(self) -> str:
        ready = self._remote.record("GET", "/readiness")
        found = self._remote.record("GET", "/status")
        _require(found, "primary_task_id", "embedder", "queue_depth")
        if not ready["ready"]:
            raise RemoteFailed(f"not ready: {ready['details']}")
        return f"features by {found['embedder']}"

    def _upload(self, name: str, route: str) -> str:
        from sopilot.evaluation.demo import demo_suite, film_planned
        from sopilot.evaluation.generated.film import write_film

        [planned] = [plan for plan in demo_suite() if plan.name == name]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.mp4"
            write_film(film_planned(planned), path)
            video = self._remote.upload(route, path, task_id=self._task_id, site_id=TASK_ID)
        _require(video, "video_id", "task_id", "is_gold", "status", "embedding_model")
        self._videos[name] = video["video_id"]
        return f"video {video['video_id']}, {video['clip_count']} clips"

    def _profile(self) -> str:
        found = self._remote.record("GET", "/task-profile", params={"task_id": self._task_id})
        _require(found, "task_id", "pass_score", "retrain_score", "default_weights")
        return f"pass from {found['pass_score']}"

    def _score(self) -> str:
        done = self._remote.score(self._known("gold"), self._known("missing-step"))
        self._score_id = done["job_id"]
        result = done["result"]
        _require(result, *_RESULT_FIELDS)
        _require(result["summary"], *_SUMMARY_FIELDS)
        if result["summary"]["decision"] == "pass":
            raise RemoteFailed("a trainee who left out a step passes")
        return f"{result['score']} points, {result['summary']['decision']}"

    def _reports(self) -> str:
        page = self._remote.ask("GET", f"/score/{self._scored()}/report")
        paper = self._remote.ask("GET", f"/score/{self._scored()}/report/pdf")
        if "<html" not in page.text or not paper.content.startswith(b"%PDF"):
            raise RemoteFailed("a report is no HTML page or no PDF")
        return f"PDF of {len(paper.content) // 1000} kB"

    def _figures(self) -> str:
        chosen = {"task_id": self._task_id}
        params = {**chosen, "dry_run": "true"}
        rescored = self._remote.record("POST", "/admin/rescore", params=params)
        _require(rescored, "total_jobs_processed", "decisions_changed", "breakdown", "dry_run")
        figures = self._remote.record("GET", "/analytics", params=chosen)
        _require(figures, "total_jobs", "pass_count", "by_operator", "score_distribution")
        return f"{rescored['total_jobs_processed']} scores decided again"

    def _delete(self) -> str:
        for name in sorted(self._videos):
            self._remote.ask("DELETE", f"/videos/{self._videos[name]}", params={"force": "true"})
        if not self._videos:
            raise RemoteFailed("nothing was uploaded")
        return f"{len(self._videos)} videos and their scores are gone"

    def _known(self, name: str) -> int:
        if name not in self._videos:
            raise RemoteFailed(f"there is no video {name}")
        return self._videos[name]

    def _scored(self) -> int:
        if self._score_id is None:
            raise RemoteFailed("there is no score")
        return self._score_id


def _require(found: dict[str, Any], *names: str) -> None:
    missing = [name for name in names if name not in found]
    if missing:
        raise RemoteFailed(f"the answer lacks {', '.join(missing)}")
