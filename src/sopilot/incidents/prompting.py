"""What a model is asked about dangerous events: prompt files by domain and language, their words
for a window, and the shapes of the answers.

A prompt file is an instruction followed by sections, one per event type: `## ID | Name`, one to
three lines `Q: question` that a look at pictures answers with yes or no, and a line `NORMAL: …`
that says what looks similar and is none. The bytes of the file and the fixed words around it are
its version: whoever stores an answer can tell whether the same was asked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, create_model

from sopilot.core.errors import InputError
from sopilot.incidents.schemas import Domain, Label, Language
from sopilot.vlm.told import readable

DOMAINS: tuple[Domain, ...] = get_args(Domain)
LANGUAGES: tuple[Language, ...] = get_args(Language)
AUTO = "auto"

_FOLDER = files("sopilot.incidents") / "prompts"
_ID = re.compile(r"[A-Z][A-Z0-9_]{1,39}")
_HEAD = re.compile(r"## (\S+) \| (.+)")
_RESERVED = frozenset(str(label) for label in Label)
"""Names that a reader of a timeline would take for what is known of a window."""
_MOST_QUESTIONS = 3
_MOST_CUSTOM = 20
_LEAST_QUESTION, _MOST_QUESTION = 3, 500
_CAPTION = 300


@dataclass(frozen=True, slots=True)
class EventKind:
    """A type of event. questions: answered yes or no by a look. normal: what is none."""

    id: str
    name: str
    questions: tuple[str, ...]
    normal: str | None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file. version: 12 hex digits over its bytes, the fixed words and added types."""

    domain: str
    language: Language
    instruction: str
    kinds: tuple[EventKind, ...]
    version: str


@dataclass(frozen=True, slots=True)
class _Texts:
    """The fixed words around a prompt in one language."""

    window: str
    kinds: str
    normal: str
    answer: str
    frame: str
    frame_answer: str
    domain: str


_TEXTS: Mapping[Language, _Texts] = {
    "en": _Texts(
        "The pictures above show window {index}, from {start:.2f} s to {end:.2f} s.",
        "For each event type answer true only if at least one of its questions is to be answered "
        "with yes:",
        "Not an event",
        "Answer with JSON: window = {index}; caption = one sentence of at most 25 words on what "
        "happens; answers = true or false for every event type; risk_score = 0 to 1, how dangerous "
        "the window is.",
        "The pictures above show {start:.2f} s to {end:.2f} s. Is any of these events visible: "
        "{names}?",
        "Answer with JSON: has_event = true or false; description = one sentence of at most 25 "
        "words; risk_score = 0 to 1.",
        "Which domain do the pictures show? Answer with JSON: domain = traffic, production, "
        "violence or other.",
    ),
    "ru": _Texts(
        "Кадры выше показывают отрезок {index}, с {start:.2f} с по {end:.2f} с.",
        "Для каждого типа события ответьте true, только если хотя бы на один его вопрос следует "
        "ответить «да»:",
        "Не событие",
        "Ответьте в JSON: window = {index}; caption = одно предложение не длиннее 25 слов о том, "
        "что происходит; answers = true или false для каждого типа события; risk_score = от 0 до "
        "1, насколько опасен отрезок.",
        "Кадры выше показывают время с {start:.2f} с по {end:.2f} с. Видно ли одно из этих "
        "событий: {names}?",
        "Ответьте в JSON: has_event = true или false; description = одно предложение не длиннее "
        "25 слов; risk_score = от 0 до 1.",
        "К какой области относятся кадры? Ответьте в JSON: domain = traffic (дорожное движение), "
        "production (производство), violence (насилие) или other (прочее).",
    ),
    "ja": _Texts(
        "上の画像は区間 {index}({start:.2f} 秒から {end:.2f} 秒)です。",
        "各イベントの種類について、質問のうち少なくとも一つに「はい」と答えられる場合だけ true と"
        "してください。",
        "イベントではないもの",
        "JSON で答えてください。window = {index}、caption = 何が起きているかを一文で、answers = "
        "各種類について true または false、risk_score = 区間の危険度(0 から 1)。",
        "上の画像は {start:.2f} 秒から {end:.2f} 秒です。次のいずれかが見えますか: {names}",
        "JSON で答えてください。has_event = true または false、description = 一文、"
        "risk_score = 0 から 1。",
        "画像はどの分野ですか。JSON で答えてください。domain = traffic(交通)、"
        "production(生産現場)、violence(暴力)、other(その他)。",
    ),
}


class FrameAnswer(BaseModel):
    """The answer about a window of the frame by frame pass."""

    model_config = ConfigDict(extra="forbid")

    has_event: bool
    description: str = Field(max_length=_CAPTION)
    risk_score: float = Field(ge=0, le=1)


class DomainAnswer(BaseModel):
    """What a video shows."""

    model_config = ConfigDict(extra="forbid")

    domain: Domain


@lru_cache(maxsize=32)
def load_prompt(domain: str, language: Language) -> Prompt:
    """The prompt of a domain, or of `auto`. Raises InputError naming what there is."""
    path = _FOLDER / f"{domain}.{language}.md"
    if domain not in (*DOMAINS, AUTO) or language not in LANGUAGES or not path.is_file():
        raise InputError(
            f"there are no questions for {domain!r} in {language!r}; domains: "
            f"{', '.join((*DOMAINS, AUTO))}; languages: {', '.join(LANGUAGES)}"
        )
    return parse_prompt(path.read_bytes(), domain, language)


def parse_prompt(data: bytes, domain: str, language: Language) -> Prompt:
    """A prompt from the bytes of its file. Raises InputError that names file and line."""
    name = f"{domain}.{language}.md"
    instruction: list[str] = []
    kinds: list[EventKind] = []
    lines = _decoded(data, name).splitlines()
    for number, line in enumerate(lines, 1):
        where = f"{name}, line {number}"
        if line.startswith("#"):
            if kinds:
                _check_whole(kinds[-1], where)
            kinds.append(_kind(line, where, kinds))
        elif not kinds and line.startswith(("Q:", "NORMAL:")):
            raise InputError(f"{where}: a question stands before the first heading `## ID | Name`")
        elif not kinds:
            instruction.append(line)
        elif line.strip():
            kinds[-1] = _with_line(kinds[-1], line.strip(), where)
    text = "\n".join(instruction).strip()
    if not text or not kinds:
        raise InputError(
            f"{name}, line 1: an instruction and at least one section `## ID | Name` are needed"
        )
    _check_whole(kinds[-1], f"{name}, line {len(lines)}")
    return Prompt(domain, language, text, tuple(kinds), _version(data, _TEXTS[language]))


def _version(data: bytes, texts: _Texts) -> str:
    told = json.dumps(astuple(texts), ensure_ascii=False).encode()
    return hashlib.sha256(data + b"\0" + told).hexdigest()[:12]


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        number = data[: error.start].count(b"\n") + 1
        raise InputError(f"{name}, line {number}: this is no UTF-8 text") from error


def _check_whole(kind: EventKind, where: str) -> None:
    """Raises InputError if a section ended without a question or its contrast."""
    missing = "`NORMAL: …`" if kind.questions else "`Q: …`"
    if not kind.questions or kind.normal is None:
        raise InputError(f"{where}: {kind.id} ends without a line {missing}")


def _kind(line: str, where: str, before: list[EventKind]) -> EventKind:
    match = _HEAD.fullmatch(line.strip())
    if match is None or not _ID.fullmatch(match.group(1)):
        raise InputError(f"{where}: {line!r} is no heading `## ID | Name`")
    if any(kind.id == match.group(1) for kind in before):
        raise InputError(f"{where}: {match.group(1)} is there twice")
    return EventKind(match.group(1), match.group(2).strip(), (), None)


def _with_line(kind: EventKind, line: str, where: str) -> EventKind:
    mark, _, text = line.partition(":")
    text = text.strip()
    if mark == "Q" and len(kind.questions) < _MOST_QUESTIONS:
        if not text.endswith(("?", "？")):
            raise InputError(f"{where}: {line[:60]!r} asks nothing; end it with a question mark")
        return replace(kind, questions=(*kind.questions, text))
    if mark == "NORMAL" and text and kind.normal is None:
        return replace(kind, normal=text)
    raise InputError(
        f"{where}: {line[:60]!r} is neither one of up to {_MOST_QUESTIONS} lines `Q: …` nor the "
        "one line `NORMAL: …`"
    )


def parse_custom(text: str) -> dict[str, str]:
    """Event types in plain words from lines `TYPE: question`. Raises InputError."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"events, line {number}"
        name, mark, question = (part.strip() for part in line.partition(":"))
        if not mark:
            raise _refused(f"{where}: {line[:60]!r} is not `TYPE: question`")
        _check_custom(name, question, where)
        if name in found:
            raise _refused(f"{where}: {name} is there twice")
        found[name] = question
    _check_count(found)
    return found


def _check_custom(name: str, question: str, where: str) -> None:
    if not _ID.fullmatch(name):
        raise _refused(
            f"{where}: {name[:60]!r} is no type; it starts with a capital letter and has 2-40 "
            "capital letters, digits and _"
        )
    if name in _RESERVED:
        raise _refused(
            f"{where}: {name} says of a window what is known about it; name the event otherwise"
        )
    if readable(question) != question:
        raise _refused(f"{where}: the question holds a control character; write it without")
    if not _LEAST_QUESTION <= len(question.strip()) <= _MOST_QUESTION:
        raise _refused(
            f"{where}: the question has {len(question.strip())} characters, allowed are "
            f"{_LEAST_QUESTION}-{_MOST_QUESTION}"
        )


def _check_count(custom: Mapping[str, str]) -> None:
    if len(custom) > _MOST_CUSTOM:
        raise _refused(f"{len(custom)} event types were added, allowed are {_MOST_CUSTOM}")


def _refused(message: str) -> InputError:
    return InputError(message, {"field": "events"})


def with_custom(prompt: Prompt, custom: Mapping[str, str]) -> Prompt:
    """The prompt with added event types; one of an id that is there takes its place and name.

    custom: id to question, the limits of `parse_custom`. Raises InputError beyond them, and for
    `auto`, which asks for no events.
    """
    if not custom:
        return prompt
    if prompt.domain == AUTO:
        raise _refused(f"{AUTO} chooses a domain and takes no event types; name a domain")
    _check_count(custom)
    for name, question in custom.items():
        _check_custom(name, question, f"events, {name[:60]}")
    kinds = {kind.id: kind for kind in prompt.kinds}
    for name, question in sorted(custom.items()):
        known = kinds[name].name if name in kinds else name
        kinds[name] = EventKind(name, known, (" ".join(question.split()),), None)
    told = json.dumps([prompt.version, sorted(custom.items())], ensure_ascii=False)
    version = hashlib.sha256(told.encode()).hexdigest()[:12]
    return replace(prompt, kinds=tuple(kinds.values()), version=version)


def window_text(prompt: Prompt, index: int, start_sec: float, end_sec: float) -> str:
    """What follows the pictures of a window: which one it is, the questions, the answer's form."""
    texts = _TEXTS[prompt.language]
    lines = [texts.window.format(index=index, start=start_sec, end=end_sec), texts.kinds]
    for kind in prompt.kinds:
        lines.append(f"- {kind.id} ({kind.name}): {' '.join(kind.questions)}")
        if kind.normal is not None:
            lines.append(f"  {texts.normal}: {kind.normal}")
    lines.append(texts.answer.format(index=index))
    return "\n".join(lines)


def frame_text(prompt: Prompt, index: int, start_sec: float, end_sec: float) -> str:
    """What follows the pictures of a window in the frame by frame pass: names are the keywords.

    An event type in plain words, which has no contrast, is told by its question.
    """
    del index
    texts = _TEXTS[prompt.language]
    names = ", ".join(_keyword(kind) for kind in prompt.kinds)
    return "\n".join(
        [texts.frame.format(start=start_sec, end=end_sec, names=names), texts.frame_answer]
    )


def _keyword(kind: EventKind) -> str:
    if kind.normal is not None:
        return kind.name
    return f"{kind.name} ({' '.join(kind.questions)})"


def domain_text(prompt: Prompt) -> str:
    """What follows the overview of a video whose domain nobody named."""
    texts = _TEXTS[prompt.language]
    lines = [texts.domain]
    for kind in prompt.kinds:
        lines.append(f"- {kind.id.lower()}: {' '.join(kind.questions)} {kind.normal or ''}".strip())
    return "\n".join(lines)


def window_shape(prompt: Prompt, index: int) -> type[BaseModel]:
    """The shape of the answer about one window: its own number, and a yes or no per event type.

    The order of the fields is the order in which a server that keeps to the schema lets the model
    write them: what is seen before the answers, the risk last.
    """
    answers = _answers_shape(tuple(kind.id for kind in prompt.kinds))
    number = Annotated[int, Field(ge=index, le=index)]
    made: Any = create_model(
        "WindowAnswer",
        __config__=ConfigDict(extra="forbid"),
        window=(number, ...),
        caption=(Annotated[str, Field(max_length=_CAPTION)], ...),
        answers=(answers, ...),
        risk_score=(Annotated[float, Field(ge=0, le=1)], ...),
    )
    return cast(type[BaseModel], made)


@lru_cache(maxsize=64)
def _answers_shape(ids: tuple[str, ...]) -> type[BaseModel]:
    fields: Any = {name: (bool, ...) for name in ids}
    made: Any = create_model("Answers", __config__=ConfigDict(extra="forbid"), **fields)
    return cast(type[BaseModel], made)


def frame_shape() -> type[BaseModel]:
    """The shape of the answer of the frame by frame pass."""
    return FrameAnswer


def domain_shape() -> type[BaseModel]:
    """The shape of the answer to `domain_text`."""
    return DomainAnswer
