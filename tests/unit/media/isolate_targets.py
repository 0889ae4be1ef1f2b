"""Functions that the child process of test_media_isolate runs."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Mapping
from typing import Any

from sopilot.core.errors import NoFrames
from sopilot.core.records import Progress


def double(arguments: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
    progress(1.0)
    return {"value": 2 * arguments["value"], "pid": os.getpid()}


def crash(arguments: Mapping[str, Any], _progress: Progress) -> Mapping[str, Any]:
    os.kill(os.getpid(), getattr(signal, arguments["signal"]))
    return {}


def eat_memory(arguments: Mapping[str, Any], _progress: Progress) -> Mapping[str, Any]:
    return {"length": len(bytearray(arguments["bytes"]))}


def eat_cpu(_arguments: Mapping[str, Any], _progress: Progress) -> Mapping[str, Any]:
    while True:
        pass


def refuse(_arguments: Mapping[str, Any], _progress: Progress) -> Mapping[str, Any]:
    raise NoFrames("nothing to see", {"frame_count": 0})


def defect(_arguments: Mapping[str, Any], _progress: Progress) -> Mapping[str, Any]:
    raise KeyError("forgotten")


def sleep(arguments: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
    with open(arguments["pid_file"], "w") as stream:
        stream.write(str(os.getpid()))
    progress(0.25)
    time.sleep(60)
    return {}


def surroundings(_arguments: Mapping[str, Any], _progress: Progress) -> Mapping[str, Any]:
    return {
        "environment": dict(os.environ),
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "file_bytes": resource.getrlimit(resource.RLIMIT_FSIZE)[0],
    }
