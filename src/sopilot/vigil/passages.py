"""Moments as evidence: what they show, what is said of them, and why they were found.

Called where a model is to see a moment, and where a person is told of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from sopilot.core.errors import BlobNotFound, StoreError
from sopilot.core.log import get_logger
from sopilot.library import queries as library
from sopilot.library.look import thumbnails_file
from sopilot.library.schemas import VideoRow
from sopilot.media.keyframes import StripFile
from sopilot.runtime import Runtime
from sopilot.vigil.answer import Passage
from sopilot.vigil.moments import Moment
from sopilot.vigil.retrieve import MEANING, SHOWN, Found
from sopilot.vigil.scope import Searched
from sopilot.vlm.client import Picture

PICTURES_PER_PASSAGE = 3

_log = get_logger(__name__)


def passages_of(
    runtime: Runtime,
    connection: Connection,
    found: Found,
    where: Searched,
    *,
    wants_pictures: bool,
) -> list[Passage]:
    """The moments with ids E1, E2 ... in their order. wants_pictures: for a model to see."""
    passages = []
    for number, moment in enumerate(found.moments, start=1):
        row = where.videos[moment.video_id]
        pictures: tuple[Picture, ...] = ()
        if wants_pictures:
            video = library.get_video(connection, moment.video_id)
            pictures = _pictures(runtime, video, found.keyframes_sec[number - 1])
        passages.append(
            Passage(
                f"E{number}",
                moment.video_id,
                row.filename or row.uid,
                moment.span,
                texts_of(moment, found),
                pictures,
            )
        )
    return passages


def texts_of(moment: Moment, found: Found) -> tuple[str, ...]:
    """What is said of a moment by the texts that found it, each once, the best first."""
    said = (found.texts.get(item.hit.name) for item in moment.evidence)
    lines = (
        f"{one.label}: {one.text}" if one.label and one.label not in one.text else one.text
        for one in said
        if one is not None
    )
    return tuple(dict.fromkeys(lines))


def _pictures(runtime: Runtime, video: VideoRow, times: Sequence[float]) -> tuple[Picture, ...]:
    """Thumbnails of a moment, spread over it; none where they are gone."""
    step = max(1, -(-len(times) // PICTURES_PER_PASSAGE))
    try:
        with StripFile(thumbnails_file(runtime, video)) as strip:
            places = dict.fromkeys(strip.nearest(time_sec) for time_sec in times[::step])
            return tuple(Picture(float(strip.times_sec[p]), strip.jpeg(p)) for p in places)
    except (BlobNotFound, StoreError) as error:
        _log.warning("passages.no_pictures", video_id=video.id, reason=error.message)
        return ()


def why_relevant(moment: Moment, found: Found) -> str:
    """In words, by which hits a moment was found, and what a model made of it: facts."""
    told = []
    for item in moment.evidence:
        text = found.texts.get(item.hit.name)
        if text is not None and item.ranking == MEANING:
            told.append(f"{text.source} text of like meaning {item.hit.score:.2f}")
        elif text is not None:
            words = ", ".join(found.words.get(item.hit.name, ()))
            told.append(f"{text.source} text match: {words}")
        else:
            kind = "the words fit the pictures" if item.ranking == SHOWN else "visual similarity"
            told.append(f"{item.hit.level} {kind} {item.hit.score:.2f}")
    verdict = found.verdicts.get(moment)
    if verdict is not None:
        told.append(f"the model gives it {verdict:.2f}")
    return "; ".join(dict.fromkeys(told))
