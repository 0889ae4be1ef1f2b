"""A seeded client that does what many clients do at once, and what must hold after a kill."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from service_process import KEY, Server

from benchmarks.footage import renamed
from sopilot.library.remove import sweep
from sopilot.runtime import Runtime
from sopilot.store.audit import breaks, rows_from
from sopilot.store.blobs import blob_key

ENDED = ("completed", "failed", "cancelled")
_REFUSALS = {404, 409}
"""What may be gone, not ready or finished by the time it is asked for."""
_ORDERS = ("upload", "score", "score", "score", "rerun", "cancel", "review", "delete")


@dataclass(slots=True, eq=False)
class MixedWork:
    """Uploads, scores, reruns, cancels, reviews and deletions; remembers what was accepted."""

    draw: random.Random
    source: Path
    folder: Path
    gold_id: int
    videos: list[int]
    """Trainee videos that no deletion was sent for."""
    scores: dict[int, int] = field(default_factory=dict)
    """Accepted score jobs -> the trainee video."""
    ingests: dict[str, int] = field(default_factory=dict)
    """Accepted ingest jobs -> the video."""
    sent_deletions: set[int] = field(default_factory=set)
    upload_count: int = 0

    def run(self, address: httpx.URL, count: int) -> None:
        """Send requests until there were `count`, or the service dies."""
        headers = {"X-API-Key": KEY}
        with httpx.Client(base_url=address, headers=headers, timeout=120) as client:
            for _ in range(count):
                order = self.draw.choice(_ORDERS)
                try:
                    getattr(self, f"_{order}")(client)
                except httpx.TransportError:
                    return
                time.sleep(self.draw.uniform(0.0, 0.2))

    def _upload(self, client: httpx.Client) -> None:
        self.upload_count += 1
        name = f"clip-{self.upload_count}"
        path = renamed(self.source, self.folder / f"{name}.mp4", name)
        with path.open("rb") as stream:
            files = {"file": (path.name, stream)}
            body = _accepted(client.post("/videos?async=true", files=files))
        path.unlink()
        self.ingests[body["ingest_job_id"]] = body["video_id"]
        self.videos.append(body["video_id"])

    def _score(self, client: httpx.Client) -> None:
        trainee = self.draw.choice(self.videos)
        order = {"gold_video_id": self.gold_id, "trainee_video_id": trainee}
        self._remember(_accepted(client.post("/score", json=order)), trainee)

    def _rerun(self, client: httpx.Client) -> None:
        if self.scores:
            job_id = self._any_score()
            body = _accepted(client.post(f"/score/{job_id}/rerun"))
            self._remember(body, self.scores[job_id])

    def _cancel(self, client: httpx.Client) -> None:
        if self.scores:
            _accepted(client.post(f"/score/{max(self.scores)}/cancel"))

    def _review(self, client: httpx.Client) -> None:
        if self.scores:
            verdict = {"verdict": self.draw.choice(["pass", "fail"])}
            _accepted(client.put(f"/score/{self._any_score()}/review", json=verdict))

    def _delete(self, client: httpx.Client) -> None:
        if len(self.videos) > 2:
            video_id = self.videos.pop(self.draw.randrange(len(self.videos)))
            self.sent_deletions.add(video_id)
            _accepted(client.delete(f"/videos/{video_id}?force=true"))

    def _any_score(self) -> int:
        return self.draw.choice(sorted(self.scores))

    def _remember(self, body: dict[str, int], trainee: int) -> None:
        if body:
            self.scores[body["job_id"]] = trainee


def _accepted(response: httpx.Response) -> dict[str, int]:
    """The body of an accepted request; empty for one that came too late. Else a failure."""
    if response.status_code in _REFUSALS:
        return {}
    assert response.is_success, f"{response.request.url}: {response.status_code} {response.text}"
    return dict(response.json())


def check_all_ended(server: Server, work: MixedWork) -> None:
    """Every accepted job is there, unless its video was deleted, and has ended once."""
    states = dict(server.rows("SELECT uid, state FROM jobs"))
    assert set(states.values()) <= set(ENDED), states
    for uid, video_id in work.ingests.items():
        if video_id not in work.sent_deletions:
            assert states[uid] == "completed", f"ingest of video {video_id}: {states[uid]}"
    found = {
        row[0]: row[1:]
        for row in server.rows(
            "SELECT scores.id, jobs.state, scores.result IS NOT NULL, completed_at IS NOT NULL"
            " FROM scores JOIN jobs ON jobs.id = scores.job_id"
        )
    }
    lost = set(work.scores) - set(found)
    assert {work.scores[job_id] for job_id in lost} <= work.sent_deletions
    for job_id, (state, has_result, is_complete) in found.items():
        assert (has_result, is_complete) == (state == "completed",) * 2, f"score {job_id}"
        assert _recorded_ends(server, job_id) == [f"score.{state}"], f"score {job_id}"


def _recorded_ends(server: Server, job_id: int) -> list[str]:
    """The ends of a score in the audit log; cancelling a running one twice is recorded twice."""
    ends = [
        action
        for (action,) in server.rows(
            f"SELECT action FROM audit_log WHERE resource = 'score:{job_id}' AND action IN"
            " ('score.completed', 'score.failed', 'score.cancelled')"
        )
    ]
    return sorted(set(ends)) if set(ends) == {"score.cancelled"} else ends


def check_nothing_is_left(server: Server, runtime: Runtime) -> None:
    """No row is stuck, every blob has a row and every row its blob, the audit chain is whole."""
    assert server.rows("SELECT id, status FROM videos WHERE status != 'ready'") == []
    assert server.rows("SELECT id FROM jobs WHERE lease_owner IS NOT NULL") == []
    for area in ("raw", "derived"):  # the sweep spares what another process may be working on
        for path in (runtime.blobs.root / area).glob(".*/**/*"):
            os.utime(path, (0, 0))
    sweep(runtime)
    raw = server.rows("SELECT DISTINCT sha256 FROM videos")
    derived = server.rows("SELECT DISTINCT blob_sha256 FROM derived")
    due = {blob_key("raw", sha) for (sha,) in raw} | {
        blob_key("derived", sha) for (sha,) in derived
    }
    server.check_files(due)
    with runtime.database.read() as connection:
        assert list(breaks(rows_from(connection))) == []
