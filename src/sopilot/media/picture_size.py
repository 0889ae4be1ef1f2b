"""How large a JPEG or PNG picture is, from its header alone: nothing is decoded."""

from __future__ import annotations

_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a body."""

_FRAME = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of a frame header, whose body says the size."""


def jpeg_size_px(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a JPEG file; None where it is none or its header is cut off."""
    if data[:2] != b"\xff\xd8":
        return None
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker in _ALONE:
            place += 2
        elif marker in _FRAME:
            height, width = (int.from_bytes(data[place + i : place + i + 2]) for i in (5, 7))
            return (width, height) if width and height else None
        else:
            place += 2 + max(2, int.from_bytes(data[place + 2 : place + 4]))
    return None


def png_size_px(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a PNG file; None where it is none or its header is cut off."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or len(data) < 24:
        return None
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    return (width, height) if width and height else None
