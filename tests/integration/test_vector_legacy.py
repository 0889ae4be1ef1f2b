"""`sopilot vectors migrate --from npy:…` beside the library."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from service_parts import add, open_test_runtime
from typer.testing import CliRunner

from sopilot.cli.app import app
from sopilot.runtime import close_runtime


def test_the_command_puts_them_beside_their_videos(tmp_path: Path, clips: dict[str, Path]) -> None:
    runtime = open_test_runtime(tmp_path)
    video = add(runtime, clips["gold"]).video
    close_runtime(runtime)
    folder = tmp_path / "old"
    folder.mkdir()
    np.save(folder / "pilot_task.npy", np.eye(3, 8))
    rows = [{"video_id": n, "clip_idx": n % 2, "start_sec": 0, "end_sec": 4} for n in (41, 40, 99)]
    (folder / "pilot_task.json").write_text(json.dumps(rows))
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"40": video.uid}))
    given = [
        "vectors", "migrate", "--from", f"npy:{folder}", "--to", "embedded",
        "--videos", str(names), "--json", "-", "--data-dir", str(tmp_path / "data"),
    ]  # fmt: skip
    done = CliRunner().invoke(app, given)
    told = json.loads(done.stdout)
    assert done.exit_code == 3
    assert told["unknown_videos"] == ["41", "99"]
    assert (told["collections"][0]["points"], told["collections"][0]["different"]) == (1, [])
    rebuilt = CliRunner().invoke(app, ["vectors", "rebuild", "--data-dir", str(tmp_path / "data")])
    assert rebuilt.exit_code == 0
    runtime = open_test_runtime(tmp_path)
    kept = [item for item in runtime.vectors.collections() if item.kind == "legacy"]
    assert [runtime.vectors.count(item) for item in kept] == [1]
    close_runtime(runtime)
