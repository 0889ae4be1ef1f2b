"""One HTTP question to a model's server, and how often it is asked again.

Shared by the clients of the two wire forms. Every failure leaves as a ModelError.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

from sopilot.core.errors import ModelError, ModelRefused, ModelReplyError, ModelUnavailable
from sopilot.vlm.told import readable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SettingNames:
    """The variables that an error about a server speaks of."""

    url: str
    api_key: str
    timeout: str
    check: str


MODEL_SETTINGS = SettingNames(
    "SOPILOT_VLM_URL", "SOPILOT_VLM_API_KEY", "SOPILOT_VLM_TIMEOUT_SEC", "see `sopilot vlm check`"
)
TEXT_SETTINGS = SettingNames(
    "SOPILOT_TEXT_EMBEDDING_URL",
    "SOPILOT_TEXT_EMBEDDING_API_KEY",
    "SOPILOT_VLM_TIMEOUT_SEC",
    "set SOPILOT_TEXT_EMBEDDING_MODEL to one that the server serves",
)

_FIRST_PAUSE_SEC = 0.5
_LONGEST_PAUSE_SEC = 20.0
_TOLD_CHARACTERS = 300
_ADVICE = (
    (
        "trust-request-mm-kwargs",
        "the server takes no picture options per request; none are sent, so something between "
        "here and there adds them",
    ),
    (
        "limit-mm-per-prompt",
        "the server takes fewer pictures per question: start vLLM with a higher "
        "--limit-mm-per-prompt or set LLM_FRAMES_PER_WINDOW lower",
    ),
    (
        "may be provided in one prompt",
        "the server takes fewer pictures per question: start vLLM with a higher "
        "--limit-mm-per-prompt or set LLM_FRAMES_PER_WINDOW lower",
    ),
    (
        "maximum context length",
        "the question is too long for the model: set LLM_FRAMES_PER_WINDOW or "
        "SOPILOT_VLM_PICTURE_PX lower",
    ),
)
_MEANINGS = {
    401: "the key is wrong or missing; set {names.api_key}",
    403: "the key may not use this model; set {names.api_key}",
    404: "the address or the model's name is wrong; {names.check}",
    413: "the question is too large; set SOPILOT_VLM_PICTURE_PX or LLM_FRAMES_PER_WINDOW lower",
}


def repeated(
    work: Callable[[int], T], attempts: int, sleep: Callable[[float], None] = time.sleep
) -> T:
    """work(attempt), attempt counting from 1, until it succeeds or was tried `attempts` times.

    Nothing is asked again after ModelRefused. The error that passes on has `attempts` in its
    details.
    """
    for attempt in range(1, attempts + 1):
        try:
            return work(attempt)
        except ModelRefused:
            raise
        except (ModelUnavailable, ModelReplyError) as error:
            if attempt == attempts:
                error.details["attempts"] = attempt
                raise
            wished_sec = float(error.details.get("retry_after_sec", 0.0))
            pause_sec = max(_FIRST_PAUSE_SEC * 2 ** (attempt - 1), wished_sec)
            sleep(min(_LONGEST_PAUSE_SEC, pause_sec))
    raise AssertionError("unreachable")


def authorization(api_key: str | None) -> dict[str, str]:
    """The header that carries a key. Raises ModelRefused for a key that no header can carry.

    Blanks and line ends around the key go: a key that comes from a file often has one.
    """
    key = (api_key or "").strip()
    if not key:
        return {}
    if not all("!" <= letter <= "~" for letter in key):
        raise ModelRefused(
            "the key has a blank, a line end or a letter outside ASCII, which no header carries; "
            "set SOPILOT_VLM_API_KEY again"
        )
    return {"Authorization": f"Bearer {key}"}


def exchange(
    http: httpx.Client,
    method: str,
    url: str,
    most_bytes: int,
    names: SettingNames = MODEL_SETTINGS,
    **request: Any,
) -> bytes:
    """The body of a 200. Raises ModelUnavailable, ModelRefused, ModelReplyError (too large).

    http: of `client.connections`, whose timeout bounds the whole answer.
    """
    try:
        with http.stream(method, url, **request) as reply:
            body = _read(reply, url, most_bytes)
    except httpx.TimeoutException as error:
        raise ModelUnavailable(
            f"{url} did not answer in time ({type(error).__name__}); raise {names.timeout} or ask "
            "a faster model"
        ) from error
    except UnicodeError as error:
        raise ModelRefused(
            "the question holds a character that UTF-8 cannot carry (half a surrogate pair); "
            "correct the prompt or the model's name"
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ModelUnavailable(
            f"{url} cannot be reached ({type(error).__name__}: {error}); check {names.url} and "
            "that the server runs"
        ) from error
    _require_success(url, reply, body, names)
    return body


def _read(reply: httpx.Response, url: str, most_bytes: int) -> bytes:
    body = bytearray()
    for block in reply.iter_bytes():
        body += block
        if len(body) > most_bytes:
            raise ModelReplyError(f"{url} answered more than {most_bytes} bytes")
    return bytes(body)


def _require_success(url: str, reply: httpx.Response, body: bytes, names: SettingNames) -> None:
    status = reply.status_code
    if status == 200:
        return
    said = readable(without_key(body.decode(errors="replace"), reply.request))
    told = said[:_TOLD_CHARACTERS]
    if status in {408, 409, 425, 429} or status >= 500:
        raise ModelUnavailable(
            f"{url} answered {status}: {told}",
            {"retry_after_sec": _retry_after(reply.headers.get("retry-after"))},
        )
    advice = next((text for mark, text in _ADVICE if mark.lower() in said.lower()), None)
    known = _MEANINGS.get(status, "see the server's log").format(names=names)
    meaning = advice or known
    if 300 <= status < 400:
        meaning = f"it sends elsewhere, which is not followed; set {names.url} to its own address"
    raise ModelRefused(f"{url} answered {status} ({told}): {meaning}", {"status": status})


def without_key(text: str, told: httpx.Request | httpx.Client) -> str:
    """The text with the key that went along replaced: some servers repeat it, and messages are
    stored and shown."""
    key = told.headers.get("authorization", "").removeprefix("Bearer ")
    return text.replace(key, "***") if key else text


def _retry_after(header: str | None) -> float:
    """Seconds of a Retry-After header, given as a number or a date; 0 where it says neither."""
    told = (header or "").strip()
    if told.isascii() and told.isdecimal():
        return float(told[:6])
    try:
        due = parsedate_to_datetime(told)
    except ValueError:
        return 0.0
    due = due if due.tzinfo else due.replace(tzinfo=UTC)
    return max(0.0, (due - datetime.now(UTC)).total_seconds())


def failed_with(error: ModelError, text: str) -> ModelError:
    """The error with the beginning of the answer in its details."""
    error.details["text"] = text[:4000]
    return error
