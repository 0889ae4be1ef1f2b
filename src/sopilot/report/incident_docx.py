"""The report of an incident as DOCX and as JSON. A record in, bytes out.

The same record and moment give the same bytes: the package is written anew with fixed dates.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from docx import Document
from docx.enum.section import WD_ORIENT
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor

from sopilot.core.records import plain
from sopilot.report.incident_content import EventCard, Fact, IncidentContent, Table, content_of
from sopilot.report.incident_record import IncidentReport
from sopilot.report.wording import Language

FONT, FONT_JA = "Arial", "Yu Gothic"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAGS = {"ru": "ru-RU", "en": "en-GB", "ja": "ja-JP"}
_MUTED = RGBColor(0x5B, 0x65, 0x70)
_INK = {True: RGBColor(0xB3, 0x26, 0x1E), False: RGBColor(0x1D, 0x23, 0x29)}
_DATE = (1980, 1, 1, 0, 0, 0)
_TIMELINE_MM = (34.0, 27.0, 33.0, 14.0, 66.0)
_PASSES_MM = (50.0, 66.0, 20.0, 22.0, 16.0)
_UNCHECKED_MM = (50.0, 124.0)


def incident_docx(report: IncidentReport, language: Language, made_at: datetime) -> bytes:
    """The DOCX file. made_at: aware, UTC; the only thing that differs between two reports of the
    same record."""
    content = content_of(report, language, made_at)
    document = Document()
    _prepare(document, content, made_at)
    document.add_heading(_xml(content.words["title"]), level=0)
    _summary(document, content)
    document.add_heading(content.words["facts"], level=1)
    _facts(document, content.facts)
    document.add_heading(content.words["events"], level=1)
    for card in content.events:
        _event(document, card, content)
    if not content.events:
        document.add_paragraph(content.summary[0])
    if content.timeline.rows:
        document.add_heading(content.words["timeline"], level=1)
        _table(document, content.timeline, _TIMELINE_MM)
    if content.passes.rows:
        document.add_heading(content.words["passes"], level=1)
        _table(document, content.passes, _PASSES_MM)
    document.add_heading(content.words["not_checked"], level=1)
    if content.unchecked.rows:
        _table(document, content.unchecked, _UNCHECKED_MM)
    else:
        document.add_paragraph(content.words["nothing_unchecked"])
    stream = io.BytesIO()
    document.save(stream)
    return _repacked(stream.getvalue())


def incident_json(report: IncidentReport) -> bytes:
    """The record as canonical JSON, pictures left out."""
    bare = replace(report, events=tuple(replace(e, keyframe=None) for e in report.events))
    text = json.dumps(plain(bare), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def _prepare(document: Any, content: IncidentContent, made_at: datetime) -> None:
    section = document.sections[0]
    section.orientation = WD_ORIENT.PORTRAIT
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = Mm(18)
    section.top_margin = section.bottom_margin = Mm(18)
    for name in ("Normal", "Title", "Heading 1", "Heading 2", "Table Grid"):
        _set_font(document.styles[name], _TAGS[content.language])
    document.styles["Normal"].font.size = Pt(10)
    properties = document.core_properties
    properties.title = _xml(f"{content.words['title']}: {content.title}")[:255]
    properties.author = "SOPilot"
    properties.comments = ""
    properties.language = _TAGS[content.language]
    properties.created = properties.modified = made_at.replace(tzinfo=None, microsecond=0)
    _page_numbers(section.footer.paragraphs[0], content)


def _set_font(style: Any, tag: str) -> None:
    """One family for all letters; Word takes East Asian ones from an attribute of their own."""
    style.font.name = FONT
    properties = style.element.get_or_add_rPr()
    fonts = properties.get_or_add_rFonts()
    for name in ("w:ascii", "w:hAnsi", "w:cs"):
        fonts.set(qn(name), FONT)
    fonts.set(qn("w:eastAsia"), FONT_JA)
    for name in ("w:asciiTheme", "w:hAnsiTheme", "w:eastAsiaTheme", "w:cstheme"):
        fonts.attrib.pop(qn(name), None)
    language = OxmlElement("w:lang")
    language.set(qn("w:val"), tag)
    language.set(qn("w:eastAsia"), "ja-JP")
    properties.append(language)


def _page_numbers(paragraph: Any, content: IncidentContent) -> None:
    words = content.words
    paragraph.add_run(f"SOPilot · {words['page']} ").font.color.rgb = _MUTED
    _field(paragraph, "PAGE")
    paragraph.add_run(f" {words['of']} ").font.color.rgb = _MUTED
    _field(paragraph, "NUMPAGES")


def _field(paragraph: Any, instruction: str) -> None:
    run = paragraph.add_run()
    run.font.color.rgb = _MUTED
    for kind, text in (("begin", None), (None, instruction), ("end", None)):
        if kind is not None:
            element = OxmlElement("w:fldChar")
            element.set(qn("w:fldCharType"), kind)
        else:
            element = OxmlElement("w:instrText")
            element.set(qn("xml:space"), "preserve")
            element.text = text
        run._r.append(element)


def _summary(document: Any, content: IncidentContent) -> None:
    document.add_heading(content.words["summary"], level=1)
    first, *rest = content.summary
    run = document.add_paragraph().add_run(first)
    run.bold = True
    run.font.size = Pt(13)
    run.font.color.rgb = _INK[content.has_event]
    for sentence in rest:
        document.add_paragraph(sentence)


def _facts(document: Any, facts: Sequence[Fact]) -> None:
    table = document.add_table(rows=0, cols=2)
    for fact in facts:
        cells = table.add_row().cells
        _write(cells[0], fact.label, colour=_MUTED)
        _write(cells[1], fact.value)
    _set_widths(table, (48.0, 126.0))


def _event(document: Any, card: EventCard, content: IncidentContent) -> None:
    document.add_heading(_xml(card.title), level=2)
    if card.keyframe is not None:
        paragraph = document.add_paragraph()
        paragraph.paragraph_format.keep_with_next = True
        paragraph.add_run().add_picture(io.BytesIO(card.keyframe.jpeg), width=Mm(110))
    else:
        document.add_paragraph().add_run(content.words["no_picture"]).font.color.rgb = _MUTED
    if card.description:
        document.add_paragraph(_xml(card.description)).paragraph_format.keep_with_next = True
    _facts(document, card.facts)


def _table(document: Any, content: Table, widths_mm: Sequence[float]) -> None:
    table = document.add_table(rows=1, cols=len(content.head), style="Table Grid")
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    for cell, text in zip(table.rows[0].cells, content.head, strict=True):
        _write(cell, text, is_bold=True)
    mark = OxmlElement("w:tblHeader")
    mark.set(qn("w:val"), "true")
    table.rows[0]._tr.get_or_add_trPr().append(mark)
    for row in content.rows:
        made = table.add_row()
        for cell, text in zip(made.cells, row, strict=True):
            _write(cell, text)
        whole = OxmlElement("w:cantSplit")
        made._tr.get_or_add_trPr().append(whole)
    _set_widths(table, widths_mm)


def _write(cell: Any, text: str, *, is_bold: bool = False, colour: RGBColor | None = None) -> None:
    paragraph = cell.paragraphs[0]
    paragraph.paragraph_format.space_after = Pt(2)
    run = paragraph.add_run(_xml(text))
    run.font.size = Pt(9)
    run.bold = is_bold or None
    if colour is not None:
        run.font.color.rgb = colour


def _set_widths(table: Any, widths_mm: Sequence[float]) -> None:
    table.autofit = False
    for column, width_mm in zip(table.columns, widths_mm, strict=True):
        column.width = Mm(width_mm)
        for cell in column.cells:
            cell.width = Mm(width_mm)


def _xml(text: str) -> str:
    """The text without what XML 1.0 cannot carry."""
    return _NOT_XML.sub("", text)


def _repacked(package: bytes) -> bytes:
    """The same parts in the same order, each with a fixed date."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(package)) as given,
        zipfile.ZipFile(made, "w") as archive,
    ):
        for name in sorted(
            given.namelist(), key=lambda item: (item != "[Content_Types].xml", item)
        ):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, given.read(name))
    return made.getvalue()
