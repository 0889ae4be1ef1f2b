"""Messages without the folders of the server's disk.

What is told of a failure is stored and shown to people whose business they are not; the server's
log has them. Called where jobs fail and where the API answers.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_ABSOLUTE = re.compile(r"(?<![\w.:/~\-])/([^\s/'\":;,()\[\]<>]+)/(?:[^\s/'\":;,()\[\]<>]+/)*")


def without_places(text: str, data_dir: Path) -> str:
    """The text with names below the data folder given from there on, and of other files on this
    machine only the last part of the name. Addresses of servers and routes stay."""
    for place in {str(data_dir.resolve()), str(data_dir.absolute())}:
        text = text.replace(f"{place}/", "").replace(place, "the data folder")
    return _ABSOLUTE.sub(_shortened, text)


def details_without_places(value: Any, data_dir: Path) -> Any:
    """The same for every text of a JSON value."""
    if isinstance(value, str):
        return without_places(value, data_dir)
    if isinstance(value, dict):
        return {key: details_without_places(item, data_dir) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [details_without_places(item, data_dir) for item in value]
    return value


def _shortened(found: re.Match[str]) -> str:
    return "" if Path("/", found[1]).is_dir() else found[0]
