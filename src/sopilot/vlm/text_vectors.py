"""Texts -> vectors, by any server with the OpenAI route `/v1/embeddings` (vLLM, TEI, Ollama).

Nothing beyond model, input and float encoding is asked for, so that every such server answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sopilot.core.errors import ModelReplyError
from sopilot.core.records import Producer
from sopilot.vlm.client import Endpoint, connections
from sopilot.vlm.retry import TEXT_SETTINGS, exchange, failed_with, repeated, without_key

MOST_CHARACTERS = 8000
"""Of one text; what is longer is cut off."""
_AT_ONCE = 64
_MOST_REPLY_BYTES = 64 << 20
_MOST_DIM = 65_536
_TOLD_CHARACTERS = 300
_MOST_NUMBER = 1e30

_Numbers = Annotated[list[float], Field(min_length=1, max_length=_MOST_DIM)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore")

    index: Annotated[int, Field(ge=0)]
    embedding: _Numbers


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore")

    data: list[_Row]


class TextEmbedder:
    """A client of one model. query_prefix, passage_prefix: what the model wants to read before a
    question and before a stored text, "" = nothing."""

    def __init__(
        self,
        endpoint: Endpoint,
        query_prefix: str = "",
        passage_prefix: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._endpoint = endpoint
        self._query_prefix = query_prefix
        self._passage_prefix = passage_prefix
        self._sleep = sleep
        self._http = connections(endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def producer(self) -> Producer:
        """The model's name, and what is written before texts."""
        prefixes = (("passage_prefix", self._passage_prefix), ("query_prefix", self._query_prefix))
        return Producer("text-vectors", self._endpoint.model, prefixes)

    def of_query(self, text: str) -> NDArray[np.float32]:
        """(dim,) of unit length. Raises ModelError."""
        return np.asarray(self._embedded([self._query_prefix + text])[0], np.float32)

    def of_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dim) rows of unit length, n > 0. Raises ModelError."""
        parts = [
            self._embedded(
                [self._passage_prefix + text for text in texts[first : first + _AT_ONCE]]
            )
            for first in range(0, len(texts), _AT_ONCE)
        ]
        if len({part.shape[1] for part in parts}) != 1:
            raise ModelReplyError(
                f"{self._endpoint.model} gives vectors of different lengths for texts of one "
                "video; check the server behind SOPILOT_TEXT_EMBEDDING_URL"
            )
        return np.concatenate(parts)

    def _embedded(self, texts: Sequence[str]) -> NDArray[np.float32]:
        url = f"{self._endpoint.base_url}/embeddings"
        request = {
            "model": self._endpoint.model,
            "input": [text[:MOST_CHARACTERS] for text in texts],
            "encoding_format": "float",
        }

        def ask(_attempt: int) -> NDArray[np.float32]:
            body = exchange(self._http, "POST", url, _MOST_REPLY_BYTES, TEXT_SETTINGS, json=request)
            return self._checked(body, len(texts), url)

        return repeated(ask, self._endpoint.attempts, self._sleep)

    def _checked(self, body: bytes, count: int, url: str) -> NDArray[np.float32]:
        """One finite vector per text, in the order of the texts, none of them zero."""
        try:
            rows = _Reply.model_validate_json(body).data
        except ValidationError as error:
            text = without_key(body[:4096].decode(errors="replace"), self._http)
            failure = ModelReplyError(
                f"{url} answered something else than embeddings of the OpenAI form: "
                f"{text[:_TOLD_CHARACTERS]!r}; check SOPILOT_TEXT_EMBEDDING_URL"
            )
            raise failed_with(failure, text) from error
        by_index = {row.index: row.embedding for row in rows}
        if sorted(by_index) != list(range(count)) or len(rows) != count:
            raise ModelReplyError(f"{url} answered {len(rows)} vectors for {count} texts")
        if len({len(row) for row in by_index.values()}) != 1:
            raise ModelReplyError(f"{url} answered vectors of different lengths")
        made = np.array([by_index[place] for place in range(count)], np.float64)
        # Not beyond what float32 holds, or the length would overflow.
        is_sound = bool(np.isfinite(made).all()) and float(np.abs(made).max()) < _MOST_NUMBER
        lengths = np.linalg.norm(made, axis=1, keepdims=True) if is_sound else np.zeros((1, 1))
        if not (lengths > 0.0).all():
            raise ModelReplyError(f"{url} answered a vector that is zero or not finite")
        return np.asarray(made / lengths, np.float32)
