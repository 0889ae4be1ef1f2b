"""The files of a model on this machine: what decides about its numbers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

_KINDS: Final = (".json", ".safetensors", ".txt", ".model", ".jinja", ".bin")
_READ_BYTES: Final = 1 << 20


def files_digest(folder: Path) -> str:
    """SHA-256 over names and bytes of the files of a checkpoint, wherever the folder lies."""
    made = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in _KINDS and path.is_file():
            made.update(path.name.encode() + b"\0" + str(path.stat().st_size).encode() + b"\0")
            with path.open("rb") as file:
                while block := file.read(_READ_BYTES):
                    made.update(block)
    return made.hexdigest()
