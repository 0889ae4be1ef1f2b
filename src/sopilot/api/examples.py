"""Examples for the OpenAPI document, made from the shapes themselves, so that none is missing and
none shows a field that is not there. Called by `api.openapi`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sopilot.core.errors import SopilotError, error_tree

Schema = Mapping[str, Any]

_MOST_DEPTH = 7
_MOMENT = "2026-02-28T09:00:00.000000+00:00"
_UID = "0b9f2c1e-6d0a-4a53-9a27-3d1c5a7f4e10"
_BY_NAME: Mapping[str, Any] = {
    "task_id": "pilot_task",
    "primary_task_id": "pilot_task",
    "task_name": "部品交換",
    "site_id": "north",
    "camera_id": "cam-1",
    "operator_id": "op-7f3a",
    "operator_id_hash": "op-7f3a",
    "original_filename": "trainee.mp4",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "embedding_model": "color-motion-v2",
    "embedder": "color-motion-v2",
    "version": "1.0.0",
    "requested_by": "token:api",
    "reviewer": "token:api",
    "changed_by": "token:api",
    "name_ja": "部品取付",
    "name_en": "Mount the part",
    "trigger": "manual",
    "decision": "pass",
    "verdict": "pass",
    "status": "completed",
    "docs": "/docs",
    "health": "/health",
    "data_dir": "/app/data",
    "error": None,
    "error_code": None,
    "error_message": None,
    "clip_count": 12,
    "num_clips": 12,
    "step_boundaries": [0, 3, 7, 12],
    "score": 86.7,
    "pass_score": 60.0,
    "retrain_score": 50.0,
    "progress": 1.0,
}
_BY_ENDING: Mapping[str, Any] = {
    "_at": _MOMENT,
    "_uid": _UID,
    "_job_id": _UID,
    "_local": "2026-03-01T02:00:00+09:00",
    "_ja": "手順2（部品取付）を確認してください。",
    "_en": "Check step 2 (Mount the part).",
    "timestamp": _MOMENT,
}
_MESSAGES: Mapping[int, str] = {
    400: "trainee.mp4 cannot be decoded; export it again as MP4 (H.264)",
    401: "no credentials; send the API key in the X-API-Key header",
    403: "this needs the role admin, token:operator has operator; use other credentials",
    404: "there is no video 7",
    409: "video 7 is processing; wait until it is ready",
    413: "the upload has 734003200 bytes, allowed are 524288000; send a smaller file",
    415: "the file is text/plain; send mp4, webm, mov, avi, mpeg or mkv",
    416: "the range lies outside the file",
    422: "query.limit: Input should be greater than or equal to 1; correct the request, see /docs",
    425: "incident 7 is PROCESSING; its report exists when it is DONE",
    429: "too many requests; wait for the seconds in Retry-After",
    500: "an unexpected failure; the server's log has the trace under this X-Request-ID",
    502: "http://vlm:8000/v1/chat/completions answered 401 (no key): check SOPILOT_VLM_API_KEY",
    503: "the database does not answer; retry in a moment",
    507: "the disk is full; free space, then retry",
}
_CODES: Mapping[int, str] = {
    400: "UNDECODABLE_VIDEO",
    409: "INVALID_STATE",
    416: "RANGE_NOT_SATISFIABLE",
    422: "VALIDATION_ERROR",
    500: "INTERNAL_ERROR",
}


def error_example(status: int, status_of: Mapping[type[SopilotError], int]) -> dict[str, Any]:
    """A failure of this status in the one envelope. status_of: the table of `api.errors`."""
    code = _CODES.get(status)
    if code is None:
        code = next(kind.code for kind in error_tree() if status_of.get(kind) == status)
    message = _MESSAGES[status]
    return {"error": {"code": code, "message": message, "details": {}}, "detail": message}


def example_of(schema: Schema, shapes: Mapping[str, Schema], name: str = "", depth: int = 0) -> Any:
    """A value that the schema allows. shapes: the named ones; name: of the field it stands in."""
    if "$ref" in schema:
        return example_of(shapes[schema["$ref"].rpartition("/")[2]], shapes, name, depth + 1)
    for key in ("example", "const"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        known = _BY_NAME.get(name)
        return known if known in schema["enum"] else schema["enum"][0]
    if "anyOf" in schema:
        return _one_of(schema["anyOf"], shapes, name, depth)
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, shapes, depth)
    if kind == "array":
        return _array(schema, shapes, name, depth)
    return _scalar(schema, name)


def _one_of(parts: list[Schema], shapes: Mapping[str, Schema], name: str, depth: int) -> Any:
    """The first part, or null where that is allowed and nothing is gained by more."""
    has_null = any(part.get("type") == "null" for part in parts)
    is_null = name in _BY_NAME and _BY_NAME[name] is None
    if has_null and (is_null or depth >= _MOST_DEPTH):
        return None
    return example_of(parts[0], shapes, name, depth)


def _object(schema: Schema, shapes: Mapping[str, Schema], depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    if properties is not None:
        return {key: example_of(value, shapes, key, depth + 1) for key, value in properties.items()}
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping) and values.get("type") in {"integer", "number"}:
        return {"completed": 1}
    return {}


def _array(schema: Schema, shapes: Mapping[str, Schema], name: str, depth: int) -> list[Any]:
    known = _BY_NAME.get(name)
    if isinstance(known, list):
        return [*known]
    if "prefixItems" in schema:
        return [index for index, _ in enumerate(schema["prefixItems"])]
    items = schema.get("items", {})
    if depth >= _MOST_DEPTH and not schema.get("minItems"):
        return []
    return [example_of(items, shapes, name, depth + 1)]


def _scalar(schema: Schema, name: str) -> Any:
    """A text, number or boolean; what the name says, where it fits the type."""
    kind = schema.get("type")
    known = _BY_NAME.get(name)
    if known is None:
        known = next((v for ending, v in _BY_ENDING.items() if name.endswith(ending)), None)
    if kind == "string":
        return known if isinstance(known, str) else name or "text"
    if kind == "boolean":
        return schema.get("default", True)
    if kind == "null":
        return None
    least, most = schema.get("minimum", 1), schema.get("maximum", 1)
    number = known if isinstance(known, (int, float)) else max(least, min(1, most))
    return int(number) if kind == "integer" else float(number)
