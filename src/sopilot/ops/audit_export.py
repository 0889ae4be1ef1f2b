"""Rows of the audit log as a signed file that outlives the database it came from.

The signature is an HMAC over one canonical text of everything else in the file, the same that
verifiers of the older product compute (`ops.audit_verify`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sopilot.core.config import Settings
from sopilot.core.errors import NotFound, SigningKeyMissing
from sopilot.core.records import Actor
from sopilot.ops.audit_queries import TrailFilter
from sopilot.ops.audit_trail import read_trail
from sopilot.runtime import Runtime
from sopilot.store.audit import Action, record
from sopilot.store.engine import canonical_json
from sopilot.store.faults import file_fault
from sopilot.store.whole_files import place_under_free_name, staged_file

ALGORITHM = "hmac-sha256"
MOST_ITEMS = 5000
"""Items of one export; `before_seq` goes on where one ends."""

ID_PATTERN = r"^[0-9]{8}T[0-9]{6}Z(-[0-9]{1,6})?$"
"""UTC moment to the second, and a number where several fall into one."""

_FOLDER = "reports"


@dataclass(frozen=True, slots=True)
class Signature:
    """What makes a changed file show. key_id: the name of the key, not the key."""

    algorithm: str
    key_id: str
    payload_sha256: str
    signature_hex: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Which part of the log was exported; all None for no rows."""

    first_seq: int | None
    last_seq: int | None
    last_hash: str | None


@dataclass(frozen=True, slots=True)
class AuditExport:
    """A written export. path: below the data folder."""

    export_id: str
    generated_at: str
    item_count: int
    chain: Chain
    signature: Signature
    path: Path


def key_bytes(key: str) -> bytes:
    """The key as both signer and verifier use it: without surrounding white space."""
    return key.strip().encode()


def signing_key(settings: Settings) -> str:
    """The configured key. Raises SigningKeyMissing."""
    key = settings.audit_signing_key
    if key is None or not key_bytes(key.get_secret_value()):
        raise SigningKeyMissing(
            "no key is configured to sign with; set SOPILOT_AUDIT_SIGNING_KEY on the server"
        )
    return key.get_secret_value()


def sign(payload: Mapping[str, Any], key: str, key_id: str) -> Signature:
    """Sign everything in a payload but a `signature` that it may hold already."""
    unsigned = {name: value for name, value in payload.items() if name != "signature"}
    text = canonical_json(unsigned).encode()
    return Signature(
        ALGORITHM,
        key_id,
        hashlib.sha256(text).hexdigest(),
        hmac.new(key_bytes(key), text, hashlib.sha256).hexdigest(),
    )


def export_trail(
    runtime: Runtime, by: Actor, *, limit: int, before_seq: int | None = None
) -> AuditExport:
    """Write the newest rows (of those before `before_seq`) as a signed file, and record that.

    Raises SigningKeyMissing, DiskFull, StoreError; then no file is left.
    """
    key = signing_key(runtime.settings)
    with runtime.database.read() as connection:
        items = read_trail(connection, TrailFilter(before_seq=before_seq), limit)
    chain = _chain(items)
    payload = {
        "generated_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "limit": limit,
        "item_count": len(items),
        "items": items,
        "chain": _plain(chain),
    }
    signature = sign(payload, key, runtime.settings.audit_signing_key_id)
    path = _write(runtime, payload | {"signature": _plain(signature)})
    export_id = path.stem.removeprefix("audit_export_")
    made = AuditExport(export_id, str(payload["generated_at"]), len(items), chain, signature, path)
    try:
        _record(runtime, by, made)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return made


def find_export(runtime: Runtime, export_id: str) -> Path:
    """The file of an export. Raises NotFound."""
    path = runtime.blobs.root / _FOLDER / f"audit_export_{export_id}.json"
    if re.fullmatch(ID_PATTERN, export_id) is None or not path.is_file():
        raise NotFound(
            f"there is no audit export {export_id}; see the answer of POST /audit/export"
        )
    return path


def _chain(items: list[dict[str, Any]]) -> Chain:
    if not items:
        return Chain(None, None, None)
    return Chain(items[-1]["seq"], items[0]["seq"], items[0]["hash"])


def _plain(value: Chain | Signature) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _record(runtime: Runtime, by: Actor, made: AuditExport) -> None:
    detail = _plain(made.chain) | {
        "item_count": made.item_count,
        "key_id": made.signature.key_id,
        "payload_sha256": made.signature.payload_sha256,
    }
    with runtime.database.write() as connection:
        record(
            connection, by, Action.AUDIT_EXPORTED, f"audit_export:{made.export_id}", detail=detail
        )


def _write(runtime: Runtime, payload: Mapping[str, Any]) -> Path:
    """Write a whole file under a name of its own, never over another."""
    folder = runtime.blobs.root / _FOLDER
    text = json.dumps(payload, indent=1, allow_nan=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with staged_file(folder) as staged:
            staged.write_text(text, encoding="ascii")
            stem = f"audit_export_{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
            return place_under_free_name(staged, stem, ".json")
    except OSError as error:
        raise file_fault(error, error.filename or folder) from error
