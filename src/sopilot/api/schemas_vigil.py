"""Shapes of the VIGIL routes. A video is named by its uid, a chunk by an id made of where it is."""

from __future__ import annotations

import base64
import binascii
import uuid
from datetime import UTC, datetime, time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from sopilot.api.schemas_vigil_speech import SpeechState, speech_shape
from sopilot.api.uploads import Label, none_if_blank
from sopilot.core.timespan import TimeSpan
from sopilot.jobs.records import Job
from sopilot.library.annotations import Annotation
from sopilot.vigil.add import Order
from sopilot.vigil.passages import texts_of, why_relevant
from sopilot.vigil.schemas import AnswerRow, Domain, FootageRow, RuleRow
from sopilot.vigil.scope import Scope, TimeOfDay
from sopilot.vigil.search import LikeMoment, SearchResult

VideoName = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,36}$")]


def _storable(text: str) -> str:
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("write it without NUL and halves of surrogate pairs")
    return text


Words = Annotated[str, Field(max_length=4000), AfterValidator(_storable)]
DomainName = Literal["generic", "factory", "surveillance", "sports"]
_CLIPS = uuid.UUID("b7b0a9a6-43a5-4ff0-9d3a-2a1f7a6f3c58")
_MOST_PICTURE_BYTES = 1_500_000


class FootageForm(BaseModel):
    """Fields beside the file of an upload, or beside the path of a file on the server."""

    model_config = ConfigDict(extra="ignore")

    domain: DomainName = Field(default="generic", description="What kind of scene it shows.")
    camera_id: Label = None
    site_id: Label = None
    task_id: Label = None
    recorded_at: Annotated[str | None, Field(max_length=64), AfterValidator(none_if_blank)] = Field(
        default=None, description="When recording began, ISO 8601 with an offset."
    )
    filename: Annotated[str | None, Field(max_length=255), AfterValidator(none_if_blank)] = None
    uri: Annotated[str | None, Field(max_length=4096), AfterValidator(none_if_blank)] = Field(
        default=None,
        description="A file of the server within SOPILOT_VIGIL_SOURCE_DIRS, in place of a file.",
    )

    def order(self, filename: str | None) -> Order:
        """The use case's form of it."""
        return Order(
            Domain(self.domain),
            self.camera_id,
            self.site_id,
            self.task_id,
            self.recorded_at,
            self.filename or filename,
        )


class Counts(BaseModel):
    shot: int = 0
    micro: int = 0
    meso: int = 0
    macro: int = 0


class Footage(BaseModel):
    """status: of the video, until it is `ready` nothing is indexed. state: of its index."""

    video_id: str
    id: int
    status: str
    state: str = Field(description="none, queued, indexing, ready or error.")
    indexed: bool = Field(description="Whether it is found; also while it is indexed anew.")
    progress: float | None
    counts: Counts
    duration_sec: float | None
    covered_sec: float | None = Field(description="Seconds that can be found by their look.")
    domain: str
    camera_id: str | None
    site_id: str | None
    task_id: str
    recorded_at: str | None
    filename: str | None
    checksum: str = Field(description="SHA-256 of the file.")
    size_bytes: int
    error_code: str | None
    error: str | None
    created_at: str
    indexed_at: str | None
    held_by: str | None = Field(description="Who forbade to delete it.")
    hold_reason: str | None


class FootageAdded(Footage):
    duplicate: bool = Field(description="The same bytes were there before.")


class FootagePage(BaseModel):
    items: list[Footage]
    total: int


class IndexOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")

    domain: DomainName | None = Field(default=None, description="Another one than it has.")
    transcribe: bool = Field(default=False, description="Recognise what is said in it.")


class IndexOrdered(BaseModel):
    video_id: str
    job_id: int | None = Field(description="None while the video itself is still being read.")
    status: str


class IndexStatus(BaseModel):
    video_id: str
    state: str
    indexed: bool
    progress: float | None
    num_shot: int
    num_micro: int
    num_meso: int
    num_macro: int
    num_text: int = Field(description="Texts and events with a time.")
    counts: Counts
    duration_sec: float | None
    covered_sec: float | None
    skipped_sec: float | None = Field(description="Seconds that show nothing to be found by.")
    error_code: str | None
    error: str | None
    speech: SpeechState | None = Field(description="Of the last transcription asked for by itself.")


class Range(BaseModel):
    model_config = ConfigDict(extra="forbid")

    start_sec: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    end_sec: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.start_sec >= self.end_sec:
            raise ValueError(f"start_sec {self.start_sec} must lie before end_sec {self.end_sec}")
        return self


class DailyRange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    start: time = Field(description="By the clock of the recording; 22:00 to 06:00 is a night.")
    end: time
    days: list[Annotated[int, Field(ge=0, le=6)]] = Field(
        default=[], max_length=7, description="Days of the week it starts on, 0 = Monday."
    )


class Wanted(BaseModel):
    """Where to look; what is left out limits nothing."""

    model_config = ConfigDict(extra="forbid")

    video_id: VideoName | None = None
    video_ids: list[VideoName] = Field(default=[], max_length=1000)
    domain: DomainName | None = None
    camera_id: Label = None
    site_id: Label = None
    task_id: Label = None
    time_range: Range | None = Field(default=None, description="Seconds within each video.")
    recorded_after: datetime | None = None
    recorded_before: datetime | None = None
    time_of_day: DailyRange | None = None

    def scope(self) -> Scope:
        """The use case's form of it."""
        daily = self.time_of_day
        named = [*self.video_ids, *([self.video_id] if self.video_id else [])]
        span = self.time_range
        return Scope(
            tuple(dict.fromkeys(named)),
            None if self.domain is None else Domain(self.domain),
            self.camera_id,
            self.site_id,
            self.task_id,
            None if span is None else TimeSpan(span.start_sec, span.end_sec),
            _aware(self.recorded_after),
            _aware(self.recorded_before),
            None
            if daily is None
            else TimeOfDay(
                daily.start.replace(tzinfo=None),
                daily.end.replace(tzinfo=None),
                frozenset(daily.days),
            ),
        )


def _aware(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


class Like(BaseModel):
    model_config = ConfigDict(extra="forbid")

    video_id: VideoName
    time_sec: Annotated[float, Field(ge=0, allow_inf_nan=False)]

    def moment(self) -> LikeMoment:
        """The use case's form of it."""
        return LikeMoment(self.video_id, self.time_sec)


class SearchOrder(Wanted):
    query: Words = Field(default="", description="Words, any of them.")
    like: Like | None = Field(default=None, description="A moment whose look is searched.")
    image_b64: str | None = Field(
        default=None, description="A picture whose look is searched, at most 1.5 MB."
    )
    top_k: Annotated[int, Field(ge=1, le=100)] = 10
    rerank: bool = Field(
        default=False, description="Put the first ones in order by what a model sees in them."
    )

    @field_validator("image_b64")
    @classmethod
    def _decodable(cls, value: str | None) -> str | None:
        if value is not None:
            picture_bytes(value)
        return value


def picture_bytes(text: str) -> bytes:
    """The bytes of a picture in base64, with or without `data:…,` before it."""
    try:
        data = base64.b64decode(text.partition(",")[2] or text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"the picture is not base64 ({error})") from error
    if len(data) > _MOST_PICTURE_BYTES:
        raise ValueError(f"the picture has {len(data)} bytes, at most {_MOST_PICTURE_BYTES}")
    return data


class Keyframe(BaseModel):
    time_sec: float
    url: str


class Result(BaseModel):
    clip_id: str = Field(description="The same for the same span of the same video.")
    video_id: str
    filename: str | None
    camera_id: str | None
    level: str = Field(description="Of a chunk, or the source of the text that was found.")
    start_sec: float
    end_sec: float
    score: float = Field(description="Fused ranks; comparable within one answer only.")
    why_relevant: str
    transcript_text: str | None = Field(description="What is said or noted of it.")
    keyframes: list[Keyframe]


class SearchFound(BaseModel):
    query: str
    num_results: int
    results: list[Result]
    unknowns: list[str] = Field(
        description="What was asked for and cannot be there: words in no text, videos left out."
    )
    searched_videos: int
    searched_sec: float
    embedding_model: str = Field(
        description="Of pictures; `look` knows visual similarity, never meaning."
    )
    timings_sec: dict[str, float]


class QuestionOrder(Wanted):
    question: Annotated[Words, Field(min_length=1)]
    top_k: Annotated[int, Field(ge=1, le=20)] = 5
    enable_rerank: bool = Field(
        default=True, description="A model, where there is one, first chooses among the moments."
    )


class AnswerEvidence(BaseModel):
    id: str = Field(description="As the answer cites it.")
    clip_id: str
    video_id: str
    level: str
    start_sec: float
    end_sec: float
    score: float
    why_relevant: str
    transcript_text: str | None
    keyframes: list[Keyframe]


class QuestionAnswer(BaseModel):
    query_id: str
    question: str
    answer: str
    method: str = Field(description="`vlm`, or `extractive`: passages as they are.")
    confidence: float | None = Field(description="Null: nothing has been calibrated.")
    evidence: list[AnswerEvidence]
    unknowns: list[str] = Field(description="What the footage does not show.")
    num_clips_observed: int
    llm_model: str | None
    embedding_model: str | None
    latency_sec: float
    feedback: str | None
    feedback_comment: str | None
    created_at: str


class AnswerPage(BaseModel):
    items: list[QuestionAnswer]
    total: int


class HoldBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    hold: bool
    reason: Annotated[Words, Field(max_length=500), AfterValidator(none_if_blank)] | None = Field(
        default=None, description="Needed to hold it."
    )


class RuleBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    camera_id: Label = Field(default=None, description="All cameras without a rule when left out.")
    max_age_days: Annotated[float, Field(gt=0, le=36_500)] | None = Field(
        description="Null removes the rule: kept for good."
    )


class Rule(BaseModel):
    camera_id: str | None
    max_age_days: float
    created_by: str
    created_at: str


class Rules(BaseModel):
    rules: list[Rule]
    due: int = Field(description="Videos that the rules let go at the next look.")


class Judgement(BaseModel):
    model_config = ConfigDict(extra="forbid")

    feedback: Literal["good", "bad"]
    comment: Annotated[Words, AfterValidator(none_if_blank)] | None = None


class TranscriptLine(BaseModel):
    start_sec: float
    end_sec: float
    text: str
    speaker: str | None


class Transcript(BaseModel):
    video_id: str
    source: str | None = Field(
        default=None, description="`transcript` was imported, `asr` recognised; null = none."
    )
    num_text: int
    lines: list[TranscriptLine]
    notes: list[str] = Field(default=[], description="What was mended while it was read.")


# ---- from records to shapes -------------------------------------------------------------------


def footage_shape(row: FootageRow) -> Footage:
    """A video of VIGIL."""
    return Footage(**_footage(row))


def added_shape(row: FootageRow, *, is_duplicate: bool) -> FootageAdded:
    """The answer to an upload."""
    return FootageAdded(**_footage(row), duplicate=is_duplicate)


def _footage(row: FootageRow) -> dict[str, Any]:
    return {
        "video_id": row.uid,
        "id": row.video_id,
        "status": row.status,
        "state": str(row.state),
        "indexed": row.indexed_at is not None,
        "progress": row.progress if row.job_id is not None else None,
        "counts": Counts(**row.counts),
        "duration_sec": _rounded(row.duration_sec),
        "covered_sec": row.covered_sec,
        "domain": str(row.domain),
        "camera_id": row.camera_id,
        "site_id": row.site_id,
        "task_id": row.task_id,
        "recorded_at": row.recorded_at,
        "filename": row.filename,
        "checksum": row.sha256,
        "size_bytes": row.size_bytes,
        "error_code": row.error_code,
        "error": row.error_message or row.video_error,
        "created_at": row.created_at,
        "indexed_at": row.indexed_at,
        "held_by": row.held_by,
        "hold_reason": row.hold_reason,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def status_shape(row: FootageRow, text_count: int, speech: Job | None) -> IndexStatus:
    """How far the index of a video is."""
    counts = Counts(**row.counts)
    skipped = None
    if row.covered_sec is not None and row.duration_sec is not None:
        skipped = round(max(0.0, row.duration_sec - row.covered_sec), 3)
    return IndexStatus(
        video_id=row.uid,
        state=str(row.state),
        indexed=row.indexed_at is not None,
        progress=row.progress if row.job_id is not None else None,
        num_shot=counts.shot,
        num_micro=counts.micro,
        num_meso=counts.meso,
        num_macro=counts.macro,
        num_text=text_count,
        counts=counts,
        duration_sec=_rounded(row.duration_sec),
        covered_sec=row.covered_sec,
        skipped_sec=skipped,
        error_code=row.error_code,
        error=row.error_message or row.video_error,
        speech=None if speech is None else speech_shape(speech),
    )


def clip_id(video_uid: str, start_sec: float, end_sec: float) -> str:
    """The id of a span of a video."""
    return str(uuid.uuid5(_CLIPS, f"{video_uid}|{start_sec:.3f}|{end_sec:.3f}"))


def keyframe_shapes(video_uid: str, times_sec: list[float] | tuple[float, ...]) -> list[Keyframe]:
    """Pictures with the address they are at."""
    return [
        Keyframe(time_sec=t, url=f"/vigil/videos/{video_uid}/keyframe?time_sec={t:g}")
        for t in times_sec
    ]


def search_shape(query: str, result: SearchResult) -> SearchFound:
    """The answer to a search."""
    found = result.found
    results = []
    for moment, times in zip(found.moments, found.keyframes_sec, strict=True):
        row = result.where.videos[moment.video_id]
        start, end = moment.span.as_list()
        results.append(
            Result(
                clip_id=clip_id(row.uid, start, end),
                video_id=row.uid,
                filename=row.filename,
                camera_id=row.camera_id,
                level=moment.level,
                start_sec=start,
                end_sec=end,
                score=round(moment.score, 6),
                why_relevant=why_relevant(moment, found),
                transcript_text=" / ".join(texts_of(moment, found)) or None,
                keyframes=keyframe_shapes(row.uid, times),
            )
        )
    unknowns = [f"“{word}” stands in no indexed text" for word in found.unknown_words]
    return SearchFound(
        query=query,
        num_results=len(results),
        results=results,
        unknowns=[*unknowns, *result.where.left_out],
        searched_videos=len(result.where.videos),
        searched_sec=round(result.where.searched_sec, 3),
        embedding_model=result.model,
        timings_sec=dict(found.timings_sec),
    )


def answer_shape(row: AnswerRow) -> QuestionAnswer:
    """A question with its answer."""
    evidence = [
        AnswerEvidence(
            **{k: v for k, v in item.items() if k != "keyframes_sec"},
            clip_id=clip_id(item["video_id"], item["start_sec"], item["end_sec"]),
            keyframes=keyframe_shapes(item["video_id"], item["keyframes_sec"]),
        )
        for item in row.evidence
    ]
    return QuestionAnswer(
        query_id=row.uid,
        question=row.question,
        answer=row.answer,
        method=row.method,
        confidence=row.confidence,
        evidence=evidence,
        unknowns=[*row.unknowns],
        num_clips_observed=int(row.request.get("observed", len(evidence))),
        llm_model=row.llm_model,
        embedding_model=row.embedding_model,
        latency_sec=row.latency_sec,
        feedback=row.feedback,
        feedback_comment=row.feedback_comment,
        created_at=row.created_at,
    )


def transcript_shape(
    video_uid: str, rows: list[Annotation], notes: tuple[str, ...] = ()
) -> Transcript:
    """The lines of a transcript."""
    lines = [
        TranscriptLine(
            start_sec=row.span.start_sec,
            end_sec=row.span.end_sec,
            text=row.text,
            speaker=row.label,
        )
        for row in rows
    ]
    return Transcript(
        video_id=video_uid,
        source=str(rows[0].source) if rows else None,
        num_text=len(lines),
        lines=lines,
        notes=[*notes],
    )


def rules_shape(rows: list[RuleRow], due: int) -> Rules:
    """How long footage is kept."""
    rules = [
        Rule(
            camera_id=row.camera_id,
            max_age_days=row.max_age_days,
            created_by=row.created_by,
            created_at=row.created_at,
        )
        for row in rows
    ]
    return Rules(rules=rules, due=due)
