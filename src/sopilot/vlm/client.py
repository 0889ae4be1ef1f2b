"""The one client of vision-language models: any OpenAI-compatible server, vLLM first.

Pictures go in with our own text of their time before each, answers come out checked against a
shape. Nothing is asked of the server beyond `/chat/completions`: no options of its image processor,
no grammar of one vendor. Source: contract vigil-incidents 4.2 and 5.3, measured on vLLM 0.32.
"""

from __future__ import annotations

import base64
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, Self, TypeVar

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sopilot.core.errors import ModelRefused, ModelReplyError
from sopilot.vlm.deadline import DeadlineTransport
from sopilot.vlm.retry import authorization, exchange, failed_with, repeated, without_key
from sopilot.vlm.told import MOST_CHARACTERS, readable_json

Shape = TypeVar("Shape", bound=BaseModel)

_MOST_REPLY_BYTES = 4 << 20
_MOST_TOKENS = 8192
_TOP_LOGPROBS = 10
_TOLD_CHARACTERS = 300
_CLOSING_SEC = 5.0
_ROUNDED_ABOVE = 1e-3


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is. url: with or without `/v1`. model: "" = not known yet.

    attempts: how often one question is asked. concurrency: questions at the same time. seed: sent
    with every question.
    """

    url: str
    model: str
    api_key: str | None = None
    timeout_sec: float = 120.0
    attempts: int = 3
    concurrency: int = 4
    seed: int = 7

    @property
    def base_url(self) -> str:
        """The address that the routes are appended to."""
        plain = self.url.rstrip("/")
        return plain if plain.endswith("/v1") else f"{plain}/v1"

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r}, {self.model!r})"  # no key in a log


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG picture. time_sec: in its video; None = the model is told no time."""

    time_sec: float | None
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Question:
    """parts: texts and pictures in the order the model sees them. schema: what the answer must be.

    max_tokens: of the answer; an answer that was cut off is asked for once more with twice as many.
    wants_probability: the server is to say how sure it was of every token.
    """

    parts: tuple[str | Picture, ...]
    schema: type[BaseModel] | None
    max_tokens: int
    wants_probability: bool = False


@dataclass(frozen=True, slots=True)
class TokenChoice:
    """A token of an answer; others: what could have stood there, log probabilities by text."""

    text: str
    logprob: float
    others: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and how it came. tokens: empty where the server tells no probabilities."""

    text: str
    model: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    attempts: int
    latency_sec: float
    tokens: tuple[TokenChoice, ...] = ()


def _below_one(logprob: float) -> float:
    """The logarithm of a probability: what is none, or above 0, would make a score that is none."""
    if math.isnan(logprob) or logprob > _ROUNDED_ABOVE:
        raise ValueError("a log probability is a number of at most 0")
    return min(0.0, logprob)


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Alternative(_Loose):
    token: str
    logprob: Annotated[float, AfterValidator(_below_one)]


class _Token(_Alternative):
    top_logprobs: list[_Alternative] | None = None


class _Logprobs(_Loose):
    content: list[_Token] | None = None


class _Message(_Loose):
    content: str | None = None


class _ReplyChoice(_Loose):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(_Loose):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(_Loose):
    model: str | None = None
    choices: list[_ReplyChoice] = Field(min_length=1)
    usage: _Usage | None = None


class _Model(_Loose):
    id: str = Field(max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")


class _Models(_Loose):
    data: list[_Model]


class Asker(Protocol):
    """Who answers questions; `VlmClient` does."""

    def ask_for(self, question: Question) -> tuple[BaseModel, Reply]:
        """A checked answer and how it came. Raises ModelError."""
        ...


class VlmClient:
    """A context manager; safe between threads.

    Every failure is a ModelError: ModelUnavailable (nobody there, busy, too slow, cut off),
    ModelRefused (key, model or request are not taken), ModelReplyError (an answer that is cut off,
    empty, or not of the shape). The first and the last are asked again.
    """

    def __init__(self, endpoint: Endpoint, sleep: Callable[[float], None] = time.sleep) -> None:
        self._endpoint = endpoint
        self._sleep = sleep
        self._is_closed = False
        self._slots = threading.BoundedSemaphore(endpoint.concurrency)
        self._http = connections(endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; no further question is asked.

        Questions that are open get a few seconds to end: a connection that is being made while
        the others are closed would stay open.
        """
        self._is_closed = True
        latest = time.monotonic() + _CLOSING_SEC
        slots = [
            self._slots.acquire(timeout=max(0.0, latest - time.monotonic()))
            for _ in range(self._endpoint.concurrency)
        ]
        self._http.close()
        for _ in filter(None, slots):
            self._slots.release()

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self._endpoint.model

    def models(self) -> tuple[str, ...]:
        """The names that the server serves."""
        url = f"{self._endpoint.base_url}/models"

        def ask(_attempt: int) -> tuple[str, ...]:
            body = exchange(self._http, "GET", url, _MOST_REPLY_BYTES)
            return tuple(item.id for item in self._parsed(_Models, body, url).data)

        return repeated(ask, self._endpoint.attempts, self._sleep)

    def ask(self, question: Question) -> Reply:
        """The answer as text."""
        return self._answered(question, lambda reply: None)[1]

    def ask_for(self, question: Question) -> tuple[BaseModel, Reply]:
        """The answer as the shape of the question; one that does not fit is asked for again."""
        shape = question.schema
        assert shape is not None
        found, reply = self._answered(question, lambda reply: _fitted(shape, reply))
        assert found is not None
        return found, reply

    def _answered(
        self, question: Question, check: Callable[[Reply], BaseModel | None]
    ) -> tuple[BaseModel | None, Reply]:
        begun = time.monotonic()
        max_tokens = question.max_tokens

        def ask(attempt: int) -> tuple[BaseModel | None, Reply]:
            nonlocal max_tokens
            with self._slots:
                if self._is_closed:
                    raise ModelRefused("the work that asks has ended; ask with a new client")
                completion = self._complete(question, max_tokens)
            reply = _reply(completion, attempt, time.monotonic() - begun)
            if reply.finish_reason == "length":
                told = max_tokens
                max_tokens = max(told, min(2 * question.max_tokens, _MOST_TOKENS))
                error = ModelReplyError(
                    f"the answer of {self.model} was cut off after {told} tokens"
                )
                raise failed_with(error, reply.text)
            if len(reply.text) > MOST_CHARACTERS:
                error = ModelReplyError(
                    f"the answer of {self.model} has {len(reply.text)} characters, at most "
                    f"{MOST_CHARACTERS} are read"
                )
                raise failed_with(error, reply.text)
            if not reply.text.strip():
                raise ModelReplyError(f"{self.model} answered nothing")
            return check(reply), reply

        return repeated(ask, self._endpoint.attempts, self._sleep)

    def _complete(self, question: Question, max_tokens: int) -> _Completion:
        url = f"{self._endpoint.base_url}/chat/completions"
        request: dict[str, Any] = {
            "model": self._endpoint.model,
            "messages": [{"role": "user", "content": _content(question.parts)}],
            "temperature": 0,
            "seed": self._endpoint.seed,
            "max_tokens": max_tokens,
        }
        if question.schema is not None:
            request["response_format"] = {
                "type": "json_schema",
                "json_schema": {
                    "name": question.schema.__name__.strip("_")[:64] or "answer",
                    "schema": question.schema.model_json_schema(),
                    "strict": True,
                },
            }
        if question.wants_probability:
            request |= {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
        body = exchange(self._http, "POST", url, _MOST_REPLY_BYTES, json=request)
        return self._parsed(_Completion, body, url)

    def _parsed(self, shape: type[Shape], body: bytes, url: str) -> Shape:
        try:
            return shape.model_validate_json(body)
        except ValidationError as error:
            text = without_key(body[:4096].decode(errors="replace"), self._http)[:_TOLD_CHARACTERS]
            failure = ModelReplyError(
                f"{url} answered something else than JSON of the OpenAI form: {text!r}; check "
                "SOPILOT_VLM_URL"
            )
            raise failed_with(failure, text) from error


def connections(endpoint: Endpoint) -> httpx.Client:
    """Connections to an endpoint: no redirect is followed, which would send key and pictures on,
    and no proxy is taken from the environment. A whole answer has the endpoint's time. Raises
    ModelRefused for a key that fits no header.
    """
    limits = httpx.Limits(max_connections=endpoint.concurrency)
    return httpx.Client(
        headers=authorization(endpoint.api_key),
        timeout=httpx.Timeout(endpoint.timeout_sec, connect=min(10.0, endpoint.timeout_sec)),
        transport=DeadlineTransport(endpoint.timeout_sec, limits),
        follow_redirects=False,
        trust_env=False,
    )


def picture_text(time_sec: float) -> str:
    """What the model reads before a picture: no server's own idea of time comes in."""
    return f"<{time_sec:.2f} seconds>"


def _content(parts: tuple[str | Picture, ...]) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, str):
            content.append({"type": "text", "text": part})
            continue
        if part.time_sec is not None:
            content.append({"type": "text", "text": picture_text(part.time_sec)})
        data = base64.b64encode(part.jpeg).decode()
        url = f"data:image/jpeg;base64,{data}"
        content.append({"type": "image_url", "image_url": {"url": url}})
    return content


def _reply(completion: _Completion, attempt: int, latency_sec: float) -> Reply:
    choice = completion.choices[0]
    told = choice.logprobs.content if choice.logprobs is not None else None
    usage = completion.usage or _Usage()
    return Reply(
        text=choice.message.content or "",
        model=completion.model or "",
        finish_reason=choice.finish_reason or "",
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        attempts=attempt,
        latency_sec=latency_sec,
        tokens=tuple(
            TokenChoice(
                item.token,
                item.logprob,
                {other.token: other.logprob for other in item.top_logprobs or ()},
            )
            for item in told or ()
        ),
    )


def _fitted(shape: type[BaseModel], reply: Reply) -> BaseModel:
    try:
        return shape.model_validate_json(readable_json(reply.text))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the answer"
        failure = ModelReplyError(
            f"the answer is not of the shape that was asked for: {place}: {first['msg']}"
        )
        raise failed_with(failure, reply.text) from error
