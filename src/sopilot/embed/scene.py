"""What lies where: per clip a small picture of the whole view from which what passes is gone.

What work leaves behind (a part fitted, a lamp lit, a tool not put back) is seen here and hardly in
the other blocks, which describe what moves. Read by `sop.outcome`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sopilot.embed.pictures import shrunk
from sopilot.media.middle import median

SCENE_SIZE: Final = (32, 18)
"""Width and height; a pixel is 3 % of the picture's width."""
SCENE_LENGTH: Final = SCENE_SIZE[0] * SCENE_SIZE[1] * 3
SCENE_ROWS: Final = 3
"""Rows (0.2 s each) whose median is one picture: enough to lose what flies past, short enough to
show the moment between two steps."""


def scene_of(labs: NDArray[np.uint8]) -> NDArray[np.float16]:
    """(SCENE_LENGTH,) Lab, 0-255, of (k, 36, 64, 3) pictures, k >= 1."""
    small = shrunk(median(labs).astype(np.uint8), *SCENE_SIZE)
    return np.asarray(small.ravel(), np.float16)


def scene_rows(count: int, first: bool, last: bool) -> slice:
    """Which of `count` rows of a window its picture is made of: those in its middle, but at the
    video's ends those at the end, where it shows how things were before and after the work."""
    taken = min(SCENE_ROWS, count)
    if first:
        return slice(0, taken)
    if last:
        return slice(count - taken, count)
    begin = (count - taken) // 2
    return slice(begin, begin + taken)
