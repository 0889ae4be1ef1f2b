"""A Typst template and its data to PDF/A bytes. Called by `report.pdf` and `report.analytics`.

Nothing is fetched and no file outside the package is read: templates, data and pictures are handed
over in memory, fonts are ours. All text arrives as JSON strings, which Typst shows and never reads
as markup. PDF/A lets a glyph that no font has fail the build.
"""

from __future__ import annotations

import json
import re
import struct
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any

from sopilot.core.errors import ReportError

FONT_FAMILIES = "SOPilot Sans, SOPilot Sans JP"
STAND_IN = "□"
_FONTS = files("sopilot.report") / "fonts"
_TEMPLATES = files("sopilot.report") / "templates"
_SHOWN_CODES = 12
_LAYOUT = {"\n", " "}


@dataclass(slots=True)
class PrintableText:
    """Makes text printable with our fonts and remembers which characters had to be replaced."""

    missing: dict[str, None] = field(default_factory=dict)

    def of(self, text: str) -> str:
        """The text in composed form; what no font has is shown as □, tabs and returns as spaces."""
        composed = unicodedata.normalize("NFC", text.replace("\r\n", "\n"))
        composed = re.sub(r"[\t\r\v\f]", " ", composed)
        return "".join(
            letter if _is_printable(letter) else self._replaced(letter) for letter in composed
        )

    def of_all(self, value: Any) -> Any:
        """The same for every string inside lists and dicts."""
        if isinstance(value, str):
            return self.of(value)
        if isinstance(value, Mapping):
            return {key: self.of_all(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.of_all(item) for item in value]
        return value

    def codes(self) -> str:
        """The replaced characters as code points, the first dozen of them."""
        shown = [f"U+{ord(letter):04X}" for letter in self.missing][:_SHOWN_CODES]
        return ", ".join(shown) + (" …" if len(self.missing) > _SHOWN_CODES else "")

    def _replaced(self, letter: str) -> str:
        self.missing[letter] = None
        return STAND_IN


def typeset(
    template: str,
    data: Mapping[str, Any],
    drawings: Mapping[str, str],
    made_at: str,
) -> bytes:
    """The PDF of a template under `templates/` (its name without the suffix).

    data: JSON-ready; the template reads it as `data.json`. drawings: SVG by file name. made_at:
    `YYYY-MM-DD HH:MM:SS`, the date of the document; another form gives the document 1970-01-01.
    The same input gives the same bytes.
    Raises ReportError when Typst refuses the document.
    """
    import typst  # slow to load: only who asks for a PDF pays

    printable = PrintableText()
    inputs = {name: printable.of(_for_print(svg)).encode() for name, svg in drawings.items()}
    content = printable.of_all(data)
    content["unprintable"] = printable.codes()
    inputs["data.json"] = json.dumps(content, ensure_ascii=False).encode()
    inputs["main.typ"] = (_TEMPLATES / f"{template}.typ").read_bytes()
    inputs["parts.typ"] = (_TEMPLATES / "parts.typ").read_bytes()
    try:
        pdf: bytes = typst.compile(
            inputs,
            format="pdf",
            font_paths=_fonts(),
            ignore_system_fonts=True,
            pdf_standards=["a-2u"],
            timestamp=_timestamp(made_at),
        )
    except typst.TypstError as error:
        raise ReportError(
            f"the PDF cannot be made: {error.message}; the HTML report shows the same record"
        ) from error
    return pdf


def _timestamp(made_at: str) -> datetime:
    try:
        return datetime.fromisoformat(made_at).replace(tzinfo=UTC)
    except ValueError:
        return datetime(1970, 1, 1, tzinfo=UTC)


def _for_print(svg: str) -> str:
    return svg.replace('font-family="inherit"', f'font-family="{FONT_FAMILIES}"', 1)


def _is_printable(letter: str) -> bool:
    return letter in _LAYOUT or ord(letter) in covered_characters()


@lru_cache(maxsize=1)
def _fonts() -> Any:
    import typst

    return typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(_FONTS)]
    )


@lru_cache(maxsize=1)
def covered_characters() -> frozenset[int]:
    """Code points that every weight of the report's fonts can show; control characters never."""
    by_style: dict[str, set[int]] = {}
    for item in _FONTS.iterdir():
        if item.name.endswith(".ttf"):
            style = item.name.removesuffix(".ttf").rpartition("-")[2]
            by_style.setdefault(style, set()).update(_character_map(item.read_bytes()))
    shared = frozenset.intersection(*map(frozenset, by_style.values()))
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return frozenset(code for code in shared if unicodedata.category(chr(code)) not in hidden)


def _character_map(font: bytes) -> set[int]:
    """Code points of a TrueType file's cmap, format 4 or 12 (OpenType 1.9, `cmap`)."""
    (table_count,) = struct.unpack_from(">H", font, 4)
    records = (struct.unpack_from(">4sIII", font, 12 + 16 * i) for i in range(table_count))
    start = next(offset for tag, _, offset, _ in records if tag == b"cmap")
    (count,) = struct.unpack_from(">H", font, start + 2)
    codes: set[int] = set()
    for i in range(count):
        (offset,) = struct.unpack_from(">I", font, start + 8 + 8 * i)
        codes |= _subtable(font, start + offset)
    return codes


def _subtable(font: bytes, at: int) -> set[int]:
    (form,) = struct.unpack_from(">H", font, at)
    codes: set[int] = set()
    if form == 12:
        (groups,) = struct.unpack_from(">I", font, at + 12)
        for i in range(groups):
            first, last, _ = struct.unpack_from(">III", font, at + 16 + 12 * i)
            codes.update(range(first, last + 1))
    elif form == 4:
        (doubled,) = struct.unpack_from(">H", font, at + 6)
        for i in range(doubled // 2):
            (last,) = struct.unpack_from(">H", font, at + 14 + 2 * i)
            (first,) = struct.unpack_from(">H", font, at + 16 + doubled + 2 * i)
            codes.update(range(first, last + 1))
        codes.discard(0xFFFF)
    return codes
