import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.core.timespan import TimeSpan
from sopilot.report.figures import (
    Mark,
    ScaleWords,
    StepBar,
    TrendPoint,
    alignment_figure,
    path_runs,
    place_apart,
    score_dial,
    score_scale,
    score_trend,
    step_timeline,
)
from sopilot.report.svg import shorten, text_width
from sopilot.report.wording import words

WORDS = ScaleWords("pass from", "retrain below")
BARS = [
    StepBar(1, "Prepare <&>", "ok", TimeSpan(0, 10), TimeSpan(0, 12)),
    StepBar(2, "Clean", "missing", TimeSpan(10, 20), None),
    StepBar(3, "", "swapped", TimeSpan(20, 20.2), TimeSpan(12, 13)),
]
MARKS = [Mark(1, "critical", TimeSpan(10, 20), TimeSpan(12, 12), "a < b")]


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(svg: str) -> list[str]:
    return [item.text or "" for item in parse(svg).iter() if item.tag.endswith("}text")]


def test_the_scale_names_score_and_both_thresholds() -> None:
    shown = texts(score_scale(54.32, (40, 70), 60, 50, WORDS))
    assert "54.3" in shown
    assert "retrain below 50" in shown
    assert "pass from 60" in shown


@pytest.mark.parametrize(("score", "high", "low"), [(0, 0, 0), (100, 100, 100), (3, 5, 2)])
def test_the_scale_stays_inside_its_picture(score: float, high: float, low: float) -> None:
    root = parse(score_scale(score, None, high, low, WORDS))
    places = [float(item.get("x", 0)) for item in root.iter() if item.tag.endswith("}text")]
    assert all(0 <= place <= 640 for place in places)


def test_the_timeline_shows_each_step_in_the_lanes_where_it_is() -> None:
    svg = step_timeline(BARS, MARKS, 21, 15, ("Gold", "Trainee"))
    shown = texts(svg)
    assert shown.count("1 Prepare <&>") == 2
    assert shown.count("2 Clean") == 1
    assert {"Gold", "Trainee"} <= set(shown)
    assert svg.count("<path") == 2


def test_the_alignment_draws_the_path_and_the_deviation() -> None:
    path = [(float(i), float(i)) for i in range(10)] + [(float(i), float(i)) for i in range(15, 20)]
    svg = alignment_figure(path, BARS, MARKS, 21, 20, ("gold", "trainee"))
    parse(svg)
    assert svg.count("<polyline") == 2
    assert "a &lt; b" in svg


def test_an_empty_path_and_empty_videos_are_drawn() -> None:
    parse(alignment_figure([], [], [], 0, 0, ("g", "t")))
    parse(step_timeline([], [], 0, 0, ("g", "t")))


times = st.floats(0, 100)


@given(st.lists(st.tuples(times, times), max_size=60))
def test_runs_keep_the_ends_and_never_go_back(path: list[tuple[float, float]]) -> None:
    runs = path_runs(path, 100, 100)
    if path:
        assert (runs[0][0], runs[-1][-1]) == (path[0], path[-1])
    for run in runs:
        assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(run))


def test_a_long_path_is_thinned() -> None:
    path = [(i * 0.5, i * 0.5) for i in range(20_000)]
    runs = path_runs(path, 10_000, 10_000)
    assert len(runs) == 1
    assert len(runs[0]) < 1700
    assert runs[0][-1] == path[-1]


@given(st.lists(st.floats(0, 500), max_size=30), st.floats(1, 30))
def test_marks_are_placed_apart_and_inside(wanted: list[float], gap: float) -> None:
    placed = place_apart(wanted, gap, 0, 500)
    real_gap = min(gap, 500 / max(1, len(wanted) - 1))
    ordered = sorted(placed)
    assert all(-1e-6 <= place <= 500 + 1e-6 for place in placed)
    assert all(b - a >= real_gap - 1e-6 for a, b in pairwise(ordered))


@pytest.mark.parametrize(
    ("text", "room", "expected"),
    [
        ("Clean", 100, "Clean"),
        ("Clean the seat", 50, "Clean…"),
        ("部品取付", 30, ""),
        ("ab", 1, ""),
    ],
)
def test_shorten(text: str, room: float, expected: str) -> None:
    assert shorten(text, room, 12) == expected


def test_every_language_has_every_word() -> None:
    assert words("ja").keys() == words("en").keys() == words("ru").keys()
    for language in ("ja", "en", "ru"):
        assert all(words(language).values())


@pytest.mark.parametrize("score", [-5, 0, 49.9, 60, 100, 120])
def test_the_dial_shows_the_score_and_stays_inside(score: float) -> None:
    dial = ScaleWords("pass from", "retrain below", ",")
    svg = score_dial(score, (max(0, score - 5), min(100, score + 5)), 60, 50, "of 100", dial)
    assert f"{score:.1f}".replace(".", ",") in texts(svg)
    ends = [item for item in parse(svg).iter() if item.tag.endswith("}line")]
    assert all(0 <= float(item.get("x2", -1)) <= 240 for item in ends)


def test_a_lane_name_has_its_room() -> None:
    svg = step_timeline(BARS, [], 21, 15, ("Эталон", "Исполнитель"))
    [label] = [t for t in parse(svg).iter() if t.text == "Исполнитель"]
    assert float(label.get("x", 0)) >= text_width("Исполнитель", 13)


def test_a_trend_has_a_disc_for_every_score() -> None:
    points = [TrendPoint(100, "pass"), TrendPoint(0, "fail")]
    svg = score_trend(points, ["2026-11-01", "2026-11-02"])
    assert svg.count("<circle") == 2
    assert {"2026-11-01", "2026-11-02"} <= set(texts(svg))
    parse(score_trend([], []))
