import json
from pathlib import Path

import pytest

from sopilot.core.errors import BadSteps
from sopilot.core.records import Step, StepKind
from sopilot.core.timespan import TimeSpan
from sopilot.sop.steps import load_steps, parse_steps, validate_steps

GOOD = """# oil change
steps:
  - {index: 0, name_ja: 準備, name_en: Preparation, start_sec: 0, end_sec: 9.5}
  - index: 1
    name_en: Drain
    start_sec: 12
    end_sec: 0:30
    min_duration_sec: 10
    max_duration_sec: 25.5
    is_critical: true
"""


def write(folder: Path, text: str, name: str = "steps.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_yaml_file_gives_steps_and_a_gap_between_them_is_allowed(tmp_path: Path) -> None:
    first, second = load_steps(write(tmp_path, GOOD), 40.0)
    assert first == Step(0, "準備", "Preparation", TimeSpan(0.0, 9.5))
    assert second.span == TimeSpan(12.0, 30.0)
    assert (second.min_duration_sec, second.max_duration_sec, second.is_critical) == (
        10.0,
        25.5,
        True,
    )


def test_a_json_file_indented_by_tabs_gives_the_same_steps(tmp_path: Path) -> None:
    rows = [
        {"index": 0, "name_ja": "準備", "start_sec": 0, "end_sec": 9.5},
        {"index": 1, "name_en": 'a "b" / c', "start_sec": 9.5, "end_sec": 30.0},
    ]
    path = write(tmp_path, json.dumps({"steps": rows}, indent="\t"), "steps.json")
    steps = load_steps(path, 30.0)
    assert [step.span for step in steps] == [TimeSpan(0, 9.5), TimeSpan(9.5, 30)]
    assert steps[0].name_ja == "準備"
    assert steps[1].name_en == 'a "b" / c'


def test_rounding_beyond_the_end_is_cut_at_the_end(tmp_path: Path) -> None:
    text = "steps:\n- {index: 0, start_sec: 0, end_sec: 10.04}\n"
    assert load_steps(write(tmp_path, text), 10.0)[0].span == TimeSpan(0.0, 10.0)


def one(*lines: str) -> str:
    return "steps:\n" + "\n".join(f"- {{{line}}}" for line in lines) + "\n"


A = "index: 0, start_sec: 0, end_sec: 10"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "the file is empty"),
        ("- 1\n", 1, "no object at the top"),
        ("steps: []\n", 1, "there are no steps"),
        ("steps: 3\n", 1, "there are no steps"),
        ("steps:\n- 5\n", 2, "'5' is no step"),
        ("steps: [\n", 2, "not valid YAML or JSON"),
        ("a: &x [*x]\n", 1, "unknown key 'a'"),
        ("stepz: []\n", 1, "unknown key 'stepz'"),
        (one(A) + "steps: []\n", 3, "given twice"),
        (one(A, "index: 1, begin: 2, end_sec: 12"), 3, "unknown key 'begin'"),
        (one("index: 0, index: 0, start_sec: 0, end_sec: 1"), 2, "'index' is given twice"),
        (one(A, "index: 0, start_sec: 10, end_sec: 12"), 3, "index 0 is given already in line 2"),
        (one(A, "index: 2, start_sec: 10, end_sec: 12"), 3, "index is 2 where 1 is due"),
        (one("index: 1, start_sec: 0, end_sec: 9"), 2, "index is 1 where 0 is due"),
        (one("index: -1, start_sec: 0, end_sec: 9"), 2, "index is -1"),
        (one("index: first, start_sec: 0, end_sec: 9"), 2, "index is 'first'"),
        (one("start_sec: 0, end_sec: 9"), 2, "no index"),
        (one("index: 0, end_sec: 9"), 2, "no start_sec"),
        (one("index: 0, start_sec: 9, end_sec: 9"), 2, r"end_sec \(9\) is not after"),
        (one("index: 0, start_sec: x, end_sec: 9"), 2, "start_sec is 'x'"),
        (one("index: 0, start_sec: .nan, end_sec: 9"), 2, "start_sec is nan"),
        (one("index: 0, start_sec: -1, end_sec: 9"), 2, "start_sec is -1"),
        (one("index: 0, start_sec: 0, end_sec: 1" + "0" * 400), 2, "end_sec is 1000"),
        (one("index: 0, start_sec: 0, end_sec: 0" + "9" * 400 + ":30"), 2, "end_sec is '0999"),
        (one(A + ', name_en: "\\ud800"'), 2, "control character"),
        (one("index: 0, start_sec: [1], end_sec: 9"), 2, "must be one value"),
        (one(A + ", name_ja: yes"), 2, "name_ja is True; give a text in quotes"),
        (one(A + ', name_en: "a\\e[31m"'), 2, "control character"),
        (one(A + ", is_critical: 1"), 2, "is_critical is 1"),
        (one(A + ", kind: circular"), 2, "kind is 'circular'; give staged or cyclic"),
        (one(A + ", min_duration_sec: 0"), 2, "min_duration_sec is 0"),
        (one(A + ", min_duration_sec: 5, max_duration_sec: 4"), 2, "exceeds max_duration_sec"),
        (one(A, "index: 1, start_sec: 9, end_sec: 12"), 3, "inside step 0"),
        (
            one("index: 0, start_sec: 5, end_sec: 9", "index: 1, start_sec: 1, end_sec: 3"),
            3,
            "before step 0",
        ),
        (one(A, "index: 1, start_sec: 10, end_sec: 41"), 3, r"ends at 41 s.*lasts 40.00 s"),
        (one("index: 0, start_sec: 2020-13-45, end_sec: 9"), None, "not valid YAML or JSON"),
    ],
)
def test_a_bad_file_is_refused_with_file_line_and_remedy(
    tmp_path: Path, text: str, line: int | None, message: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(BadSteps, match=message) as caught:
        load_steps(path, 40.0)
    assert caught.value.details["place"] == "steps.yaml"
    assert caught.value.details.get("line") == line
    if line is not None:
        assert caught.value.message.startswith(f"steps.yaml, line {line}: ")


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    huge = write(tmp_path, "#" * 1_000_001, "h.yaml")
    deep = write(tmp_path, "[" * 20_000, "d.yaml")
    cases = [
        (tmp_path / "none.yaml", "cannot be read"),
        (tmp_path, "cannot be read"),
        (binary, "not UTF-8"),
        (huge, "1000001 bytes"),
        (deep, "nested too deeply"),
    ]
    for path, message in cases:
        with pytest.raises(BadSteps, match=message):
            load_steps(path, 40.0)


def test_rows_of_the_service_may_have_no_times() -> None:
    rows = [
        {"step_index": 0, "name_ja": "準備", "expected_duration_sec": 8},
        {"step_index": 1, "is_critical": True, "description": "two\nlines", "kind": "cyclic"},
    ]
    first, second = parse_steps(rows, None)
    assert (first.kind, second.kind) == (None, StepKind.CYCLIC)
    assert (first.span, first.expected_duration_sec) == (None, 8.0)
    assert (second.is_critical, second.description) == (True, "two\nlines")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"step_index": 0, "start_sec": 1.0}], r"steps\[0\]: the step has no end_sec"),
        ([{"name_ja": "a"}], "no step_index"),
        ([{"step_index": 0, "colour": 1}], "unknown key 'colour'"),
        (
            [{"step_index": 0}, {"step_index": 1, "start_sec": 1.0, "end_sec": 2.0}],
            r"steps\[1\]: some steps have times",
        ),
    ],
)
def test_bad_rows_are_refused(rows: list[dict[str, object]], message: str) -> None:
    with pytest.raises(BadSteps, match=message):
        parse_steps(rows, None)


def test_records_are_checked_against_the_gold() -> None:
    steps = (Step(0, span=TimeSpan(0, 4)), Step(1, span=TimeSpan(4, 9)))
    assert validate_steps(steps, 9.0) == steps
    with pytest.raises(BadSteps, match="but the gold lasts 8"):
        validate_steps(steps, 8.0)
