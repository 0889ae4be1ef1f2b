"""A client of a running service, for commands that try it or drive it over HTTP."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sopilot.core.errors import SopilotError

if TYPE_CHECKING:
    import httpx

TIMEOUT_SEC = 120.0
_MOST_WAITS = 60
_ENDS = ("ready", "completed", "failed", "cancelled")


class RemoteFailed(SopilotError):
    """The service does not answer, or not as it should; the message says what came instead."""

    code = "REMOTE_FAILED"


class Remote:
    """One service. patience_sec: how long a video or score may take."""

    def __init__(self, url: str, key: str = "", *, patience_sec: float = 300.0) -> None:
        import httpx

        headers = {"X-API-Key": key} if key else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_SEC)
        self._patience_sec = patience_sec

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A good answer; waits where the service limits its callers. Raises RemoteFailed."""
        import httpx

        for _ in range(_MOST_WAITS):
            try:
                answer = self._client.request(method, path, **options)
            except httpx.HTTPError as error:
                raise RemoteFailed(f"{self._client.base_url}: {error}") from error
            if answer.status_code != 429:
                break
            time.sleep(float(answer.headers.get("Retry-After", 1)))
        if answer.is_success:
            return answer
        raise RemoteFailed(
            f"{method} {path} answers {answer.status_code}: {answer.text[:200]}",
            {"status": answer.status_code},
        )

    def record(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """A good answer's JSON object."""
        found = self.ask(method, path, **options).json()
        if not isinstance(found, dict):
            raise RemoteFailed(f"{method} {path} answers with no object: {str(found)[:200]}")
        return found

    def upload(self, route: str, path: Path, **fields: str) -> dict[str, Any]:
        """Send a file and wait until it is analysed; the video. Raises RemoteFailed."""
        try:
            with path.open("rb") as stream:
                files = {"file": (path.name, stream, "application/octet-stream")}
                given = self.record("POST", route, data=fields, files=files)
        except OSError as error:
            raise RemoteFailed(f"{path} cannot be read ({error.strerror}); check it") from error
        video = self.wait_for(f"/videos/{given['video_id']}")
        if video["status"] != "ready":
            raise RemoteFailed(f"video {given['video_id']} could not be read: {video['error']}")
        return video

    def score(self, gold_id: int, trainee_id: int) -> dict[str, Any]:
        """The completed score job of a pair. Raises RemoteFailed."""
        order = {"gold_video_id": gold_id, "trainee_video_id": trainee_id}
        job = self.record("POST", "/score", json=order)
        done = self.wait_for(f"/score/{job['job_id']}")
        if done["status"] != "completed":
            raise RemoteFailed(f"score {job['job_id']} is {done['status']}: {done['error']}")
        return done

    def wait_for(self, path: str) -> dict[str, Any]:
        """What a path answers once its `status` is an end."""
        deadline = time.monotonic() + self._patience_sec
        while True:
            found = self.record("GET", path)
            if found["status"] in _ENDS:
                return found
            if time.monotonic() > deadline:
                raise RemoteFailed(
                    f"{path} is still {found['status']} after {self._patience_sec:.0f} s"
                )
            time.sleep(0.5)
