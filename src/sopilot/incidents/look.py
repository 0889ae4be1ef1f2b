"""One pass of a video: pictures, questions, answers, and the edges of what was found.

Called by `incidents.analyze` for each of the three passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sopilot.core.errors import ModelError
from sopilot.core.log import get_logger
from sopilot.core.records import Progress
from sopilot.core.timespan import TimeSpan
from sopilot.incidents.guides import guide_of
from sopilot.incidents.passes import PassSetting
from sopilot.incidents.prompting import Prompt
from sopilot.media.pictures import PictureFile, PicturePlan, Window
from sopilot.vlm.answers import WindowAnswer, answer_of, answer_record
from sopilot.vlm.client import Asker
from sopilot.vlm.conclude import Detected, conclude, edge_windows
from sopilot.vlm.detect import Pace, ask_windows

PicturesOf = Callable[[PicturePlan], Path]
"""Makes or finds the file with the pictures of a plan."""

RanksOf = Callable[[Sequence[TimeSpan]], Sequence[float]]
"""How conspicuous windows are, from the signals of the video."""

_log = get_logger(__name__)

_EDGE_PARTS = 2
_LEAST_EDGE_SEC = 0.3


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known of the video before a model is asked. most: most events to report."""

    duration_sec: float
    cuts_sec: tuple[float, ...]
    pictures_of: PicturesOf
    ranks_of: RanksOf
    window_limit: int
    most: int


@dataclass(frozen=True, slots=True)
class Looked:
    """What a pass gave. finer: answers about parts of the windows at the edges of events."""

    setting: PassSetting
    answers: tuple[WindowAnswer, ...]
    finer: tuple[WindowAnswer, ...]
    events: tuple[Detected, ...]


def run_pass(
    asker: Asker, scene: Scene, prompt: Prompt, setting: PassSetting, progress: Progress
) -> Looked:
    """Ask about all windows, then about parts of those at the edges of what was found.

    Raises what `vlm.detect.ask_windows` raises.
    """
    windows = setting.plan.windows(scene.duration_sec)
    pace = Pace(
        concurrency=setting.concurrency,
        max_tokens=setting.max_tokens,
        window_limit=scene.window_limit,
        ranks=scene.ranks_of([window.span for window in windows]),
    )
    answers = _ask(asker, scene, prompt, setting, setting.plan, windows, pace, progress)
    finer: list[WindowAnswer] = []
    edges = edge_windows(answers, scene.most)
    if edges and setting.window_sec / _EDGE_PARTS >= _LEAST_EDGE_SEC:
        still = lambda _: progress(1.0)  # noqa: E731
        finer = _ask_edges(asker, scene, prompt, setting, windows, edges, still)
    events = conclude(answers, finer, cuts_sec=scene.cuts_sec, most=scene.most)
    return Looked(setting, tuple(answers), tuple(finer), events)


def _ask_edges(
    asker: Asker,
    scene: Scene,
    prompt: Prompt,
    setting: PassSetting,
    windows: Sequence[Window],
    edges: Sequence[int],
    still: Progress,
) -> list[WindowAnswer]:
    """The same questions about the halves of some windows, with denser pictures. still: told that
    the work goes on; it may end it."""
    spans = {window.index: window.span for window in windows}
    plan = PicturePlan(
        min(30.0, _EDGE_PARTS * setting.rate_fps),
        setting.window_sec / _EDGE_PARTS,
        setting.picture_count,
        setting.side_px,
        spans=tuple((spans[index].start_sec, spans[index].end_sec) for index in edges),
    )
    halves = plan.windows(scene.duration_sec)
    pace = Pace(concurrency=setting.concurrency, max_tokens=setting.max_tokens)
    try:
        return _ask(asker, scene, prompt, setting, plan, halves, pace, still)
    except ModelError as error:  # the events stand, their edges stay as coarse as the windows
        _log.warning("incident.edges_unrefined", code=error.code, reason=error.message)
        return []


def _ask(
    asker: Asker,
    scene: Scene,
    prompt: Prompt,
    setting: PassSetting,
    plan: PicturePlan,
    windows: Sequence[Window],
    pace: Pace,
    progress: Progress,
) -> list[WindowAnswer]:
    pictures = PictureFile(scene.pictures_of(plan))
    try:
        told = ask_windows(asker, windows, pictures, guide_of(prompt, setting), pace, progress)
        # Concluded is what is stored, to its last digit: a replay must come to the same.
        return [answer_of(answer_record(answer)) for answer in told]
    finally:
        pictures.close()
