"""Is an exported file, or the log in a database, what was once written?

A file is judged by its key alone, without the service. What neither can show is told in
docs/audit.md.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from sopilot.core.errors import InputError
from sopilot.ops.audit_export import ALGORITHM, sign
from sopilot.store.audit import breaks, rows_from
from sopilot.store.faults import file_fault

MOST_TOLD = 20
"""Problems that are listed; a log with one is not to be trusted anyway."""


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What a file shows. problems: why it is not verified; items: its rows, newest first."""

    path: Path
    algorithm: str | None
    key_id: str | None
    payload_sha256_match: bool
    signature_match: bool
    problems: tuple[str, ...]
    items: Sequence[Mapping[str, Any]]

    @property
    def is_verified(self) -> bool:
        """Whether everything that was looked at is as it was written."""
        return self.payload_sha256_match and self.signature_match and not self.problems


def verify_file(path: Path, key: str) -> FileVerdict:
    """Hold an export against its signature, and its rows against their chain.

    Files of the older product have no chain; their signature is what there is. Raises InputError
    when there is no such file, StoreError when it cannot be read.
    """
    try:
        payload = _load(path)
        expected = sign(payload, key, "")
    except (ValueError, RecursionError) as error:
        return _refused(path, f"it is no export of the audit log, or was cut off ({error})")
    signature = payload.get("signature")
    if not isinstance(signature, dict):
        return _refused(path, "it has no signature")
    problems = [*_form_problems(payload, signature)]
    items = payload["items"] if not problems else ()
    if "chain" in payload and not problems:
        problems += _chain_problems(payload["chain"], items)
    return FileVerdict(
        path,
        _text(signature.get("algorithm")),
        _text(signature.get("key_id")),
        _same(signature.get("payload_sha256"), expected.payload_sha256),
        _same(signature.get("signature_hex"), expected.signature_hex),
        tuple(problems[:MOST_TOLD]),
        items,
    )


def log_problems(connection: Connection) -> Iterator[str]:
    """What is wrong with the log of a database; reads it through."""
    try:
        yield from breaks(rows_from(connection))
    except ValueError as error:  # a detail that is no JSON any more
        yield f"a row cannot be read ({error})"


def missing_from_log(connection: Connection, items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Rows of a verified export that the log of a database has no more, or has otherwise."""
    numbered = [item for item in items if isinstance(item.get("seq"), int)]
    if not numbered:
        return
    found = {}
    for row in rows_from(connection, numbered[-1]["seq"]):
        if row["seq"] > numbered[0]["seq"]:
            break
        found[row["seq"]] = row["hash"]
    for item in reversed(numbered):
        if item["seq"] not in found:
            yield f"row {item['seq']} of the export is not in the database"
        elif found[item["seq"]] != item["hash"]:
            yield f"row {item['seq']} of the export is another one in the database"


def gaps(files: Iterable[FileVerdict]) -> Iterator[str]:
    """Where the exports of a series do not continue each other."""
    chained = [item for item in files if item.items and "seq" in item.items[0]]
    chained.sort(key=lambda item: int(item.items[-1]["seq"]))
    for older, newer in pairwise(chained):
        last, first = older.items[0], newer.items[-1]
        if first["seq"] > last["seq"] + 1:
            yield f"rows {last['seq'] + 1} to {first['seq'] - 1} are in no file"
        elif first["seq"] == last["seq"] + 1 and first["prev_hash"] != last["hash"]:
            yield f"{newer.path.name} does not continue {older.path.name}"
        known = {item["seq"]: item["hash"] for item in older.items}
        if any(known.get(item["seq"], item["hash"]) != item["hash"] for item in newer.items):
            yield f"{newer.path.name} and {older.path.name} have different rows of one number"


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"there is no file {path}; name an export of the audit log")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise file_fault(error, path) from error
    payload = json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    if not isinstance(payload, dict):
        raise ValueError("not an object")
    return payload


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two values under one name would be read differently by different programs."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _refused(path: Path, reason: str) -> FileVerdict:
    return FileVerdict(path, None, None, False, False, (reason,), ())


def _form_problems(payload: Mapping[str, Any], signature: Mapping[str, Any]) -> Iterator[str]:
    items = payload.get("items")
    if signature.get("algorithm") != ALGORITHM:
        yield f"its algorithm is {signature.get('algorithm')!r}, not {ALGORITHM}"
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        yield "its items are no list of rows"
    elif payload.get("item_count") != len(items):
        yield f"it says {payload.get('item_count')} items and has {len(items)}"


def _chain_problems(chain: Any, items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not isinstance(chain, dict):
        yield "its chain is no object"
        return
    try:
        yield from breaks(reversed(items), from_genesis=bool(items) and items[-1]["seq"] == 1)
        ends = (items[-1]["seq"], items[0]["seq"], items[0]["hash"]) if items else (None,) * 3
    except (KeyError, TypeError) as error:
        yield f"a row lacks what the chain needs ({error})"
        return
    if tuple(chain.get(name) for name in ("first_seq", "last_seq", "last_hash")) != ends:
        yield "its chain names other rows than it has"


def _same(given: object, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(), expected.encode())


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
