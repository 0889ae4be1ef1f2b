"""Messages that people get name no folder of the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from sopilot.core.places import details_without_places, without_places


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{data}/derived/.work/a-1 is full", "derived/.work/a-1 is full"),
        ("{data} is not writable", "the data folder is not writable"),
        ("no room in '/usr/lib/x y'", "no room in 'x y'"),
        ("(/etc/passwd: denied)", "(passwd: denied)"),
        ("http://127.0.0.1:8000/usr/v1 answered 404", "http://127.0.0.1:8000/usr/v1 answered 404"),
        ("see POST /api/v1/incidents/3/analyze", "see POST /api/v1/incidents/3/analyze"),
        ("30 km/h, 1/2, and/or/not", "30 km/h, 1/2, and/or/not"),
    ],
)
def test_folders_go_and_the_rest_stays(tmp_path: Path, text: str, told: str) -> None:
    place = tmp_path / "our data"
    place.mkdir()
    assert without_places(text.format(data=place), place) == told


def test_details_lose_them_too(tmp_path: Path) -> None:
    details = {"stderr": f"File {tmp_path}/raw/a", "n": 3, "all": ["/usr/bin/python"]}
    told = {"stderr": "File raw/a", "n": 3, "all": ["python"]}
    assert details_without_places(details, tmp_path) == told
