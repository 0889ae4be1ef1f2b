"""Shapes of `/search`: the fields of both older products."""

from __future__ import annotations

from pydantic import BaseModel, Field

from sopilot.library.schemas import VideoRow
from sopilot.sop.search import Moment


class SearchItem(BaseModel):
    similarity: float = Field(ge=-1, le=1, description="Cosine; 1 = the same.")
    video_id: int
    clip_index: int
    clip_idx: int = Field(description="The same number under its older name.")
    start_sec: float
    end_sec: float
    role: str
    is_gold: bool
    task_id: str
    site_id: str | None
    original_filename: str | None


class SearchResponse(BaseModel):
    task_id: str
    query_video_id: int
    query_clip_index: int
    query_clip_idx: int
    results: list[SearchItem] = Field(description="The most similar first.")
    items: list[SearchItem] = Field(description="The same list under its older name.")


def search_response(video: VideoRow, clip_index: int, found: list[Moment]) -> SearchResponse:
    """The answer to a search."""
    items = [
        SearchItem(
            similarity=moment.similarity,
            video_id=moment.video.id,
            clip_index=moment.clip_index,
            clip_idx=moment.clip_index,
            start_sec=moment.start_sec,
            end_sec=moment.end_sec,
            role=str(moment.video.role),
            is_gold=moment.video.is_gold,
            task_id=moment.video.task_id,
            site_id=moment.video.site_id,
            original_filename=moment.video.original_filename,
        )
        for moment in found
    ]
    return SearchResponse(
        task_id=video.task_id,
        query_video_id=video.id,
        query_clip_index=clip_index,
        query_clip_idx=clip_index,
        results=items,
        items=items,
    )
