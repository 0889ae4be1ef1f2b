"""Subtitle files: what is read, what is refused and where, and that nothing is lost in silence."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopilot.core.errors import BadTranscript
from sopilot.core.timespan import TimeSpan
from sopilot.text.subtitles import Subtitles, parse_subtitles


def told(found: Subtitles) -> list[tuple[float, float, str]]:
    return [(cue.span.start_sec, cue.span.end_sec, cue.text) for cue in found.cues]


def vtt(body: str) -> bytes:
    return f"WEBVTT\n\n{body}".encode()


def test_a_whole_webvtt_file() -> None:
    text = """WEBVTT - shift 3
Kind: captions
Language: ru

NOTE made by hand
with two lines

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 align:start position:10%
Начинаем <b>смену</b>

100:00:00.250 --> 100:00:01.000
<v.loud Anna>Stop &amp; look<v Борис>да</v>
"""
    found = parse_subtitles(text.encode())
    assert (found.format, found.language, found.notes) == ("vtt", "ru", ())
    assert [(c.span, c.text, c.speaker, c.line) for c in found.cues] == [
        (TimeSpan(1.0, 2.5), "Начинаем смену", None, 12),
        (TimeSpan(360000.25, 360001.0), "Stop & look", "Anna", 15),
        (TimeSpan(360000.25, 360001.0), "да", "Борис", 15),
    ]


def test_a_whole_subrip_file_of_windows() -> None:
    text = (
        "\ufeff1\r\n00:00:01,000 --> 00:00:02,000 X1:1 X2:2\r\n{\\an8}<i>火災</i>\r\n\r\n警報\r\n"
        "\r\n2\r\n00:00:02,500 --> 00:00:04,000\r\na < b, List<String>\r\n3\r\n"
        "00:00:05,000 --> 00:00:06,000\r\nno empty line before\r\n"
    )
    found = parse_subtitles(text.encode())
    assert found.format == "srt"
    assert told(found) == [
        (1.0, 2.0, "火災\n警報"),
        (2.5, 4.0, "a < b, List<String>"),
        (5.0, 6.0, "no empty line before"),
    ]


@pytest.mark.parametrize(
    ("marked", "text"),
    [
        ("a<00:01.500>b", "ab"),
        ("<c.yellow.bg>x</c> <u>y</u>", "x y"),
        ("<ruby>漢字<rt>かんじ</rt></ruby>", "漢字(かんじ)"),
        ("&lt;b&gt; &#x41;&#66; &nbsp;x&unknown; AT&T", "<b> AB \xa0x&unknown; AT&T"),
        ('<font color="red">x</font>', "x"),
        ("<lang ja>x</lang>", "x"),
        ("  two  \n   lines ", "two\nlines"),
        ("a\x00b", "a\ufffdb"),
    ],
)
def test_markup(marked: str, text: str) -> None:
    assert told(parse_subtitles(vtt(f"00:01.000 --> 00:02.000\n{marked}\n"))) == [(1.0, 2.0, text)]


def test_cues_may_overlap_and_are_sorted_with_a_note() -> None:
    found = parse_subtitles(
        vtt(
            "00:03.000 --> 00:09.000\nb\n\n00:01.000 --> 00:05.000\na\n\n00:03.000 --> 00:04.000\nc"
        )
    )
    assert [text for _, _, text in told(found)] == ["a", "b", "c"]
    assert found.notes == ("cues were not in the order of time and have been sorted",)


@pytest.mark.parametrize(
    ("data", "line", "value"),
    [
        (b"", None, "empty"),
        (b"\xef\xbb\xbf \r\n", None, "empty"),
        (b"WEBVTT\n", None, "no sentence"),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\n<b> </b>\n", None, "no sentence"),
        ("WEBVTT".encode("utf-16"), 1, "UTF-16"),
        (b"1\n00:00:01,000 --> 00:00:02,000\ncaf\xe9\n", 3, "0xe9"),
        (vtt("00:02.000 --> 00:02.000\na"), 3, "not after its start"),
        (vtt("00:01.000 --> 00:02.000\na\n\n00:05.500 --> 00:04.000\nb"), 6, "0:05.5"),
        (vtt("00:0x.000 --> 00:02.000\na"), 3, "00:0x.000"),
        (vtt("00:61.000 --> 00:62.000\na"), 3, "00:61.000"),
        (vtt("00:01.5 --> 00:02.000\na"), 3, "00:01.5"),
        (vtt("-00:01.000 --> 00:02.000\na"), 3, "-00:01"),
        (vtt("٠٠:٠١.000 --> 00:02.000\na"), 3, "are no times"),
        (vtt("hello\n\n00:01.000 --> 00:02.000\na"), 3, "no cue"),
        (vtt("00:01.000 --> 00:02.000\na\n\nlost\n"), 6, "'?lost|empty line"),
        (vtt("00:01.000 -> 00:02.000\na"), 3, "no cue"),
        (b"1\n00:00:01,000 --> 00:00:02,000\na\n\n2\n00:00:03,000 -> 00:00:04,000\nb", 6, "03,000"),
        (b"just words\n", 1, "no cue"),
        (vtt("00:01.000 --> 00:12.000\na"), 3, "12.000"),
    ],
)
def test_refusals_name_the_line_and_the_value(data: bytes, line: int | None, value: str) -> None:
    with pytest.raises(BadTranscript, match=value) as caught:
        parse_subtitles(data, duration_sec=10.0)
    assert caught.value.details.get("line") == line


def test_an_end_just_beyond_the_video_is_cut_with_a_note() -> None:
    found = parse_subtitles(
        vtt("00:09.000 --> 00:10.900\na\n\n00:10.200 --> 00:11.000\nb\n"), duration_sec=10.0
    )
    assert told(found) == [(9.0, 10.0, "a"), (10.0, 10.0, "b")]
    assert len(found.notes) == 2
    assert found.notes[0].startswith("line 3: the cue ended at 10.900 s")


def test_a_hundred_thousand_cues() -> None:
    stamp = "{:02d}:{:02d}:{:02d}.{}00"
    times = [(n // 3600, n // 60 % 60, n % 60) for n in range(100_000)]
    body = "\n\n".join(
        f"{stamp.format(*at, 0)} --> {stamp.format(*at, 9)}\nline {n}" for n, at in enumerate(times)
    )
    found = parse_subtitles(vtt(body), duration_sec=99_999.5)
    assert len(found.cues) == 100_000
    assert told(found)[-1] == (99_999.0, 99_999.5, "line 99999")
    assert len(found.notes) == 1


@pytest.mark.parametrize(
    "text",
    [
        "<v " * 50_000,
        "<v" + " " * 100_000,
        "1:1" + "-" * 100_000,
        "&" * 100_000,
        "<b " * 50_000,
        "{\\" * 50_000,
    ],
)
def test_text_made_to_be_slow_is_kept(text: str) -> None:
    found = parse_subtitles(vtt(f"00:01.000 --> 00:02.000\n{text}\n"))
    assert found.cues[0].text == text.strip()


WORDS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="<>&{}"), min_size=1
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(1, 10**6), WORDS.map(str.strip)), min_size=1
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([",", "."]),
)
def test_what_is_written_is_read(rows: list[tuple[int, int, str]], end: str, point: str) -> None:
    def at(ms: int) -> str:
        sec, rest = divmod(ms, 1000)
        return f"{sec // 3600:02d}:{sec // 60 % 60:02d}:{sec % 60:02d}{point}{rest:03d}"

    lines = []
    for number, (start, length, words) in enumerate(rows, 1):
        lines += [str(number), f"{at(start)} --> {at(start + length)}", f"x{words}", ""]
    found = parse_subtitles(end.join(lines).encode())
    wanted = [(s / 1000, (s + length) / 1000, f"x{words}") for s, length, words in rows]
    assert told(found) == sorted(wanted, key=lambda row: row[0])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "WEBVTT",
                "",
                "1",
                "text",
                "00:01.000 --> 00:02.000",
                "00:00:03,000 --> 00:00:04,000 a:b",
                "NOTE x",
                "STYLE",
                "x --> y",
                "<v A>b",
                "\ufeff",
            ]
        ),
        max_size=12,
    )
)
def test_any_file_is_read_or_refused(lines: list[str]) -> None:
    data = "\n".join(lines).encode()
    with contextlib.suppress(BadTranscript):
        cues = parse_subtitles(data, 3.5).cues
        assert cues
        assert all(cue.text and cue.span.end_sec <= 3.5 for cue in cues)
