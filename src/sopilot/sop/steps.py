"""Step definitions: a steps file (YAML or JSON) or given records to checked steps.

Called by the command line (`--steps`) and by `/tasks/steps`. Every refusal is a BadSteps that
names the place (file and line, or the step), the value and the remedy. Source of the format:
docs/steps.md.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import yaml

from sopilot.core.errors import BadSteps
from sopilot.core.records import Step, StepKind
from sopilot.core.timespan import TimeSpan

MAX_FILE_BYTES = 1_000_000
MAX_STEPS = 1000
END_SLACK_SEC = 0.05
"""How far a step may reach beyond the gold's end: rounding of hand-written times."""

_TIMECODE = re.compile(r"[0-9]{1,9}:[0-5]?[0-9](\.[0-9]+)?")
_TEXT_LIMITS = {"name_ja": 256, "name_en": 256, "description": 2000}
_NUMBERS = (
    "start_sec",
    "end_sec",
    "expected_duration_sec",
    "min_duration_sec",
    "max_duration_sec",
)
_MAX_SEC = 1e9
_KEYS = ("index", "name_ja", "name_en", *_NUMBERS, "is_critical", "description", "kind")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value was written, for messages."""

    text: str
    line: int | None = None

    def refuse(self, problem: str) -> NoReturn:
        where = self.text if self.line is None else f"{self.text}, line {self.line}"
        details: dict[str, object] = {"place": self.text}
        if self.line is not None:
            details["line"] = self.line
        raise BadSteps(f"{where}: {problem}", details)


def load_steps(path: Path, gold_duration_sec: float) -> tuple[Step, ...]:
    """Steps of a file `steps: [{index, start_sec, end_sec, ...}]`, checked against the gold.

    Raises BadSteps naming file and line for anything that cannot be used as it stands.
    """
    loader = yaml.SafeLoader(_read(path))
    try:
        root = loader.get_single_node()
        fields = [
            (_Place(path.name, node.start_mark.line + 1), _fields(loader, node, path.name))
            for node in _step_nodes(root, path.name)
        ]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _Place(path.name, mark.line + 1 if mark else None)
        place.refuse(f"not valid YAML or JSON ({error.problem}); correct the line")
    except (yaml.YAMLError, ValueError) as error:
        _Place(path.name).refuse(f"not valid YAML or JSON ({error}); correct the file")
    except RecursionError:
        _Place(path.name).refuse("nested too deeply; write a list of steps under 'steps:'")
    finally:
        loader.dispose()
    for place, given in fields:
        for name in ("index", "start_sec", "end_sec"):
            if given.get(name) is None:
                place.refuse(f"the step has no {name}; give index, start_sec and end_sec")
    steps = [_step(given, place) for place, given in fields]
    return _checked(steps, gold_duration_sec, [place for place, _ in fields])


def parse_steps(
    rows: Sequence[Mapping[str, object]], gold_duration_sec: float | None
) -> tuple[Step, ...]:
    """Steps from mappings of the keys above (`step_index` = `index`), as an API body gives them.

    start_sec and end_sec may both be absent. gold_duration_sec None = no gold known yet.
    Raises BadSteps.
    """
    steps, places = [], []
    for number, row in enumerate(rows):
        place = _Place(f"steps[{number}]")
        given = {("index" if key == "step_index" else key): row[key] for key in row}
        for key in given:
            if key not in _KEYS:
                place.refuse(f"unknown key '{key}'; a step has {', '.join(_KEYS)}")
        if given.get("index") is None:
            place.refuse("the step has no step_index; number the steps 0, 1, 2 ...")
        steps.append(_step(given, place))
        places.append(place)
    return _checked(steps, gold_duration_sec, places)


def validate_steps(steps: Sequence[Step], gold_duration_sec: float | None) -> tuple[Step, ...]:
    """The steps, checked: numbered 0, 1, 2 ..., ascending, apart, inside the gold.

    Either all steps have a span or none. gold_duration_sec None = no gold known yet. Spans that
    reach at most 0.05 s beyond the end are cut there. Raises BadSteps.
    """
    return _checked(steps, gold_duration_sec, [_Place(f"steps[{i}]") for i in range(len(steps))])


def _read(path: Path) -> str:
    place = _Place(path.name)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            place.refuse(
                f"the file has {path.stat().st_size} bytes; a steps file has at most "
                f"{MAX_FILE_BYTES}"
            )
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        place.refuse(f"cannot be read ({error.strerror}); give a readable YAML or JSON file")
    except UnicodeDecodeError as error:
        place.refuse(f"not UTF-8 text (byte {error.start}); save the file as UTF-8")
    # JSON may indent by tabs, YAML may not; inside JSON strings a raw tab is not allowed anyway.
    return text.replace("\t", " ") if path.suffix.lower() == ".json" else text


def _step_nodes(root: yaml.Node | None, file_name: str) -> list[yaml.Node]:
    shape = "write 'steps:' and below it a list of steps"
    if root is None:
        _Place(file_name).refuse(f"the file is empty; {shape}")
    if not isinstance(root, yaml.MappingNode):
        _Place(file_name, root.start_mark.line + 1).refuse(f"no object at the top; {shape}")
    found: yaml.Node | None = None
    for key, value in root.value:
        place = _Place(file_name, key.start_mark.line + 1)
        if key.value != "steps":
            place.refuse(f"unknown key '{_shown(key)}'; {shape}")
        if found is not None:
            place.refuse("'steps' is given twice; join the two lists")
        found = value
    if not isinstance(found, yaml.SequenceNode) or not found.value:
        _Place(file_name, root.start_mark.line + 1).refuse(f"there are no steps; {shape}")
    return list(found.value)


def _fields(loader: yaml.SafeLoader, node: yaml.Node, file_name: str) -> dict[str, object]:
    if not isinstance(node, yaml.MappingNode):
        _Place(file_name, node.start_mark.line + 1).refuse(
            f"'{_shown(node)}' is no step; give index, start_sec and end_sec"
        )
    given: dict[str, object] = {}
    for key, value in node.value:
        place = _Place(file_name, key.start_mark.line + 1)
        name = _shown(key)
        if name not in _KEYS:
            place.refuse(f"unknown key '{name}'; a step has {', '.join(_KEYS)}")
        if name in given:
            place.refuse(f"'{name}' is given twice in one step; remove one")
        if not isinstance(value, yaml.ScalarNode):
            place.refuse(f"{name} must be one value, not a list or object")
        given[name] = _value(name, _plain_time(name, loader.construct_object(value)), place)
    return given


def _plain_time(name: str, value: object) -> object:
    """YAML reads 1:30 as 90 but 0:30 as text; a timecode is seconds in both cases."""
    if name in _NUMBERS and isinstance(value, str) and _TIMECODE.fullmatch(value):
        minutes, seconds = value.split(":")
        return int(minutes) * 60 + float(seconds)
    return value


def _shown(node: yaml.Node) -> str:
    return str(node.value)[:60] if isinstance(node, yaml.ScalarNode) else "a list or object"


def _value(name: str, value: object, place: _Place) -> object:
    """The value, checked for its type; None stays None."""
    if value is None:
        return None
    if name == "index":
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_STEPS:
            place.refuse(f"index is {value!r}; give a whole number from 0 to {MAX_STEPS - 1}")
    elif name in _NUMBERS:
        _check_number(name, value, place)
    elif name == "is_critical":
        if not isinstance(value, bool):
            place.refuse(f"is_critical is {value!r}; give true or false")
    elif name == "kind":
        if value not in list(StepKind):
            place.refuse(f"kind is {value!r:.80}; give {' or '.join(StepKind)}, or leave it out")
    else:
        _check_text(name, value, place)
    return value


def _check_text(name: str, value: object, place: _Place) -> None:
    limit = _TEXT_LIMITS[name]
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= limit:
        place.refuse(f"{name} is {value!r:.80}; give a text in quotes of 1 to {limit} characters")
    controls = [letter for letter in value if unicodedata.category(letter) in {"Cc", "Cs"}]
    if any(name != "description" or letter not in "\n\t" for letter in controls):
        place.refuse(f"{name} holds the control character {controls[0]!r}; write it on one line")


def _check_number(name: str, value: object, place: _Place) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    least_open = name.endswith("duration_sec")
    allowed = "more than 0" if least_open else "0 or more"
    number = value if isinstance(value, int | float) else math.nan
    # Compared as it is: an int of 400 digits has no float. NaN compares as false.
    if not is_number or not 0 <= number <= _MAX_SEC or (least_open and number == 0):
        place.refuse(f"{name} is {value!r:.80}; give a number of seconds, {allowed}")


def _step(given: Mapping[str, object], place: _Place) -> Step:
    checked = {name: _value(name, given.get(name), place) for name in _KEYS}
    numbers = {name: _seconds(checked[name]) for name in _NUMBERS}
    start, end = numbers["start_sec"], numbers["end_sec"]
    if (start is None) != (end is None):
        missing = "start_sec" if start is None else "end_sec"
        place.refuse(f"the step has no {missing}; give both start_sec and end_sec")
    span = None
    if start is not None and end is not None:
        if end <= start:
            place.refuse(f"end_sec ({end:g}) is not after start_sec ({start:g}); correct one")
        span = TimeSpan(start, end)
    return Step(
        index=int(str(checked["index"])),
        name_ja=_text(checked["name_ja"]),
        name_en=_text(checked["name_en"]),
        span=span,
        expected_duration_sec=numbers["expected_duration_sec"],
        min_duration_sec=numbers["min_duration_sec"],
        max_duration_sec=numbers["max_duration_sec"],
        is_critical=checked["is_critical"] is True,
        description=_text(checked["description"]),
        kind=None if checked["kind"] is None else StepKind(str(checked["kind"])),
    )


def _seconds(value: object) -> float | None:
    return None if value is None else float(str(value))


def _text(value: object) -> str | None:
    return None if value is None else str(value).strip()


def _checked(
    steps: Sequence[Step], gold_duration_sec: float | None, places: Sequence[_Place]
) -> tuple[Step, ...]:
    seen: dict[int, _Place] = {}
    for number, (step, place) in enumerate(zip(steps, places, strict=True)):
        first = seen.setdefault(step.index, place)
        if first is not place:
            where = f" in line {first.line}" if first.line is not None else ""
            place.refuse(
                f"index {step.index} is given already{where}; number the steps 0, 1, 2 ..."
            )
        if step.index != number:
            place.refuse(
                f"index is {step.index} where {number} is due; list the steps in their order, "
                "numbered 0, 1, 2 ..."
            )
        _check_limits(step, place)
        if (step.span is None) != (steps[0].span is None):
            place.refuse("some steps have times and some have none; give them to all or to none")
    _check_spans(steps, gold_duration_sec, places)
    return tuple(_cut(step, gold_duration_sec) for step in steps)


def _check_limits(step: Step, place: _Place) -> None:
    names = ("min_duration_sec", "expected_duration_sec", "max_duration_sec")
    known = [(name, getattr(step, name)) for name in names if getattr(step, name) is not None]
    for (low_name, low), (high_name, high) in pairwise(known):
        if low > high:
            place.refuse(f"{low_name} ({low:g}) exceeds {high_name} ({high:g}); correct one")


def _check_spans(
    steps: Sequence[Step], gold_duration_sec: float | None, places: Sequence[_Place]
) -> None:
    previous: TimeSpan | None = None
    for step, place in zip(steps, places, strict=True):
        span = step.span
        if span is None:
            continue
        if previous is not None and span.start_sec < previous.start_sec:
            place.refuse(
                f"step {step.index} starts at {span.start_sec:g} s, before step {step.index - 1} "
                f"({previous.start_sec:g} s); list the steps in the order of the gold"
            )
        if previous is not None and span.start_sec < previous.end_sec:
            place.refuse(
                f"step {step.index} starts at {span.start_sec:g} s, inside step {step.index - 1} "
                f"(until {previous.end_sec:g} s); steps must not overlap"
            )
        if gold_duration_sec is not None and span.end_sec > gold_duration_sec + END_SLACK_SEC:
            place.refuse(
                f"step {step.index} ends at {span.end_sec:g} s, but the gold lasts "
                f"{gold_duration_sec:.2f} s; times are seconds in the (first) gold"
            )
        previous = span


def _cut(step: Step, gold_duration_sec: float | None) -> Step:
    if step.span is None or gold_duration_sec is None:
        return step
    return replace(step, span=step.span.clamp(0.0, gold_duration_sec))
