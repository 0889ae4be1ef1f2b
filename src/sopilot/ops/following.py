"""Brings the second database up, where one follows. Runs in a thread of every worker process."""

from __future__ import annotations

from sopilot.core.errors import SopilotError
from sopilot.core.log import get_logger
from sopilot.jobs.stop import Stop
from sopilot.runtime import Runtime
from sopilot.store import follow

_PAUSE_SEC = 2.0
_LONGEST_PAUSE_SEC = 60.0

_log = get_logger(__name__)


def watch_follow(runtime: Runtime, stop: Stop) -> None:
    """Apply the change log every other second until stopped, after trouble more and more seldom."""
    url = runtime.settings.second_database_url
    pause_sec = _PAUSE_SEC
    while url and not stop.is_set():
        try:
            follow.apply_at(runtime.database, url)
            pause_sec = _PAUSE_SEC
        except SopilotError as error:
            _log.warning("follow.not_applied", reason=error.message)
            pause_sec = min(_LONGEST_PAUSE_SEC, 2.0 * pause_sec)
        stop.wait(pause_sec)
