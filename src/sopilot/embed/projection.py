"""Long descriptors brought to few numbers by a fixed random projection, which keeps the distances
between them. Source: Johnson & Lindenstrauss 1984; signs instead of a Gaussian: Achlioptas 2003."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray


@cache
def sign_projection(seed: str, width: int, count: int) -> NDArray[np.float32]:
    """(width, count) of +-1 / sqrt(count), the same on every machine; count divisible by 8."""
    bits = hashlib.shake_256(seed.encode()).digest(width * count // 8)
    signs = np.unpackbits(np.frombuffer(bits, np.uint8)).astype(np.float32) * 2.0 - 1.0
    made: NDArray[np.float32] = signs.reshape(width, count) / np.sqrt(count)
    return made.astype(np.float32)


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, d) float32, every row of length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    made: NDArray[np.float32] = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
    return made
