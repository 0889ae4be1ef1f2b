"""`sopilot smoke`: does a running service do its whole work? Nine checks over HTTP, then all gone.

Two films are drawn, uploaded to a task of their own, scored, reported and deleted again.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sopilot.cli.output import ExitCode

if TYPE_CHECKING:
    import httpx

TASK_ID = "smoke_test"
PATIENCE_SEC = 300.0
_TIMEOUT_SEC = 120.0
_MOST_WAITS = 60
_RESULT_FIELDS = ("score", "summary", "metrics", "deviations", "boundaries", "step_contributions")
_SUMMARY_FIELDS = ("decision", "decision_basis", "decision_reason", "score_band", "severity_counts")


class Failed(Exception):
    """A check that does not hold; the message says what came instead."""


def smoke(
    url: Annotated[str, typer.Option(help="Address of the service.")] = "http://localhost:8000",
    api_key: Annotated[
        str, typer.Option(help="Key or token of an admin; empty = none.", envvar="SOPILOT_API_KEY")
    ] = "",
    task_id: Annotated[str, typer.Option(help="Task of the two films.")] = TASK_ID,
) -> None:
    """Check a running service from upload to report; exit code 1 when something does not hold."""
    import httpx

    headers = {"X-API-Key": api_key} if api_key else {}
    with httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_SEC) as client:
        passed, count = Smoke(client, task_id).run()
    if passed < count:
        typer.echo(f"{count - passed} of {count} checks failed")
        raise typer.Exit(ExitCode.FAILURE)
    typer.echo(f"All checks passed ({passed}/{count})")


class Smoke:
    """One run; what a check finds is kept for the next ones."""

    def __init__(self, client: httpx.Client, task_id: str) -> None:
        self._client = client
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
            except Failed as failure:
                found, mark = str(failure), "FAILED"
            typer.echo(f"[{number}/{len(checks)}] {name}: {mark} ({found})")
        return passed, len(checks)

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A good answer; waits where the service limits its callers."""
        import httpx

        for _ in range(_MOST_WAITS):
            try:
                answer = self._client.request(method, path, **options)
            except httpx.HTTPError as error:
                raise Failed(f"{self._client.base_url}: {error}") from error
            if answer.status_code != 429:
                break
            time.sleep(float(answer.headers.get("Retry-After", 1)))
        if answer.is_success:
            return answer
        raise Failed(f"{method} {path} answers {answer.status_code}: {answer.text[:200]}")

    def _health(self) -> str:
        found = self._ask("GET", "/health").json()
        _require(found, "status", "checks", "version")
        if found["status"] != "healthy":
            raise Failed(f"the service is {found['status']}: {found['checks']}")
        return f"version {found['version']}"

    def _status(self) -> str:
        ready = self._ask("GET", "/readiness").json()
        found = self._ask("GET", "/status").json()
        _require(found, "primary_task_id", "embedder", "queue_depth")
        if not ready["ready"]:
            raise Failed(f"not ready: {ready['details']}")
        return f"features by {found['embedder']}"

    def _upload(self, name: str, route: str) -> str:
        from sopilot.evaluation.demo import demo_suite, film_planned
        from sopilot.evaluation.generated.film import write_film

        [planned] = [plan for plan in demo_suite() if plan.name == name]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.mp4"
            write_film(film_planned(planned), path)
            with path.open("rb") as stream:
                data = {"task_id": self._task_id, "site_id": TASK_ID}
                files = {"file": (path.name, stream, "video/mp4")}
                given = self._ask("POST", route, data=data, files=files).json()
        _require(given, "video_id", "task_id", "is_gold", "status")
        self._videos[name] = given["video_id"]
        place = f"/videos/{given['video_id']}"
        ready = self._wait_for(place, ("ready", "failed"))
        if ready["status"] != "ready":
            raise Failed(f"video {given['video_id']} could not be read: {ready['error']}")
        return f"video {given['video_id']}, {ready['clip_count']} clips"

    def _profile(self) -> str:
        found = self._ask("GET", "/task-profile", params={"task_id": self._task_id}).json()
        _require(found, "task_id", "pass_score", "retrain_score", "default_weights")
        return f"pass from {found['pass_score']}"

    def _score(self) -> str:
        order = {
            "gold_video_id": self._known("gold"),
            "trainee_video_id": self._known("missing-step"),
        }
        job = self._ask("POST", "/score", json=order).json()
        self._score_id = job["job_id"]
        done = self._wait_for(f"/score/{job['job_id']}", ("completed", "failed", "cancelled"))
        if done["status"] != "completed":
            raise Failed(f"score {job['job_id']} is {done['status']}: {done['error']}")
        result = done["result"]
        _require(result, *_RESULT_FIELDS)
        _require(result["summary"], *_SUMMARY_FIELDS)
        if result["summary"]["decision"] == "pass":
            raise Failed("a trainee who left out a step passes")
        return f"{result['score']} points, {result['summary']['decision']}"

    def _reports(self) -> str:
        page = self._ask("GET", f"/score/{self._scored()}/report")
        paper = self._ask("GET", f"/score/{self._scored()}/report/pdf")
        if "<html" not in page.text or not paper.content.startswith(b"%PDF"):
            raise Failed("a report is no HTML page or no PDF")
        return f"PDF of {len(paper.content) // 1000} kB"

    def _figures(self) -> str:
        chosen = {"task_id": self._task_id}
        params = {**chosen, "dry_run": "true"}
        rescored = self._ask("POST", "/admin/rescore", params=params).json()
        _require(rescored, "total_jobs_processed", "decisions_changed", "breakdown", "dry_run")
        figures = self._ask("GET", "/analytics", params=chosen).json()
        _require(figures, "total_jobs", "pass_count", "by_operator", "score_distribution")
        return f"{rescored['total_jobs_processed']} scores decided again"

    def _delete(self) -> str:
        for name in sorted(self._videos):
            self._ask("DELETE", f"/videos/{self._videos[name]}", params={"force": "true"})
        if not self._videos:
            raise Failed("nothing was uploaded")
        return f"{len(self._videos)} videos and their scores are gone"

    def _known(self, name: str) -> int:
        if name not in self._videos:
            raise Failed(f"there is no video {name}")
        return self._videos[name]

    def _scored(self) -> int:
        if self._score_id is None:
            raise Failed("there is no score")
        return self._score_id

    def _wait_for(self, path: str, ends: tuple[str, ...]) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SEC
        while True:
            found: dict[str, Any] = self._ask("GET", path).json()
            if found["status"] in ends:
                return found
            if time.monotonic() > deadline:
                raise Failed(f"{path} is still {found['status']} after {PATIENCE_SEC:.0f} s")
            time.sleep(1.0)


def _require(found: dict[str, Any], *names: str) -> None:
    missing = [name for name in names if name not in found]
    if missing:
        raise Failed(f"the answer lacks {', '.join(missing)}")
