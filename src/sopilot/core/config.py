"""Settings, read from the environment once; `core.environment` tells of them and passes it on.

Every variable of the contract that exists today maps to one field; both documented names of a
variable are aliases of the same field, the first one set wins. Nonsense stops the start.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sopilot.core.errors import BadSettings
from sopilot.core.records import Limits
from sopilot.core.unread import refusals

PREFIX = "SOPILOT_"

AccessRole = Literal["viewer", "operator", "admin"]
ACCESS_ROLES: tuple[AccessRole, ...] = get_args(AccessRole)
SERVER_SECRETS = (
    "api_key",
    "api_token",
    "api_role_tokens",
    "basic_user",
    "basic_password",
    "audit_signing_key",
)
"""What opens the service or signs for it; of no use to any process but the one that serves."""

ADAPT_PLACEHOLDERS = ("job_id", "data_dir", "models_dir", "reports_dir", "since")

_WORDS = {word: "true" for word in ("1", "true", "yes", "y", "on")} | {
    word: "false" for word in ("0", "false", "no", "n", "off")
}


def _default_data_dir() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(cache) if cache else Path.home() / ".cache") / "sopilot"
    except RuntimeError as error:  # a container may run as a user that no account names
        raise BadSettings(
            "this user has no home folder for the data; name one (--data-dir, SOPILOT_DATA_DIR)"
        ) from error


def _names(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class Settings(BaseSettings):
    """All settings, validated once at start and passed down, never imported as a global."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", populate_by_name=True, frozen=True, env_ignore_empty=True
    )

    # Storage
    data_dir: Path = Field(
        default_factory=_default_data_dir,
        description="Root of the database and of all files (`sopilot.db`, `raw/`, `derived/`).",
    )
    database_url: str | None = Field(
        default=None,
        validation_alias=_names("SOPILOT_DATABASE_URL", "DB_URL", "VIGIL_POSTGRES_URL"),
        description="SQLAlchemy address; empty = `sopilot.db` (SQLite, WAL) in the data folder.",
    )

    second_database_url: str | None = Field(
        default=None,
        description="A database that follows the first one during a migration, once `sopilot db "
        "follow start` has been run; empty = none.",
    )

    vector_backend: Literal["embedded", "faiss", "npy", "qdrant"] = Field(
        default="embedded",
        validation_alias=_names("SOPILOT_VECTOR_BACKEND", "VECTOR_BACKEND"),
        description="Where vectors lie: in files of the data folder (`faiss` and `npy` are older "
        "names of that), or in a Qdrant server.",
    )
    qdrant_url: str = Field(
        default="",
        validation_alias=_names("SOPILOT_QDRANT_URL", "VIGIL_QDRANT_URL"),
        description="Address of the Qdrant server, such as http://qdrant:6333.",
    )
    qdrant_host: str = Field(
        default="",
        validation_alias=_names("SOPILOT_QDRANT_HOST", "VIGIL_QDRANT_HOST"),
        description="Its host, in place of the address.",
    )
    qdrant_port: int = Field(
        default=6333,
        ge=1,
        le=65535,
        validation_alias=_names("SOPILOT_QDRANT_PORT", "VIGIL_QDRANT_PORT"),
        description="Its port, beside the host.",
    )
    qdrant_api_key: SecretStr | None = Field(default=None, description="Its key; empty = none.")

    # Service
    host: str = Field(default="127.0.0.1", description="Address the service listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port of the service.")
    api_key: SecretStr | None = Field(
        default=None, description="Secret expected in `X-API-Key`; empty = no key configured."
    )
    api_key_role: AccessRole = Field(default="admin", description="Role of that key.")
    api_token: SecretStr | None = Field(
        default=None, description="Secret of one bearer token; empty = none."
    )
    api_token_role: AccessRole = Field(default="admin", description="Role of that token.")
    api_role_tokens: SecretStr | None = Field(
        default=None,
        description="Further bearer tokens as `role:token`, separated by `,` or `;`; roles: "
        "`viewer`, `operator`, `admin`.",
    )
    basic_user: str | None = Field(
        default=None, description="User of HTTP Basic; empty = Basic is off."
    )
    basic_password: SecretStr | None = Field(default=None, description="The user's password.")
    basic_role: AccessRole = Field(default="admin", description="The user's role.")
    auth_required: Literal["auto", "true", "false"] = Field(
        default="auto",
        description="`true` = credentials always (503 where none are configured); `auto` = "
        "likewise, but with none configured open to programs on this machine; `false` = open to "
        "all.",
    )
    auth_default_role: AccessRole = Field(
        default="admin", description="Role of a caller who may come without credentials."
    )
    public_metrics: bool = Field(
        default=True, description="`/metrics` needs no credentials; else the role viewer."
    )
    session_hours: float = Field(
        default=12.0, gt=0, le=24 * 30, description="Hours after which a browser's session ends."
    )
    login_failures_per_minute: int = Field(
        default=10,
        ge=0,
        description="Wrong credentials that one address may send; then 429. 0 = no limit.",
    )
    rate_limit_rpm: int = Field(
        default=120,
        ge=0,
        description="Requests per minute that one address may send; then 429. 0 = no limit.",
    )
    rate_limit_burst: int = Field(
        default=20, ge=1, description="Requests per second that one address may send."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Comma-separated addresses or networks of proxies whose `X-Forwarded-For` "
        "and `X-Forwarded-Proto` are believed.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("http://localhost:8000", "http://127.0.0.1:8000"),
        description="Comma-separated origins that browsers may call from.",
    )
    max_upload_mb: int = Field(
        default=500,
        ge=1,
        validation_alias=_names("SOPILOT_MAX_UPLOAD_MB", "SOPILOT_UPLOAD_MAX_MB"),
        description="Largest upload in MB; a larger one answers 413.",
    )

    # Audit
    audit_signing_key: SecretStr | None = Field(
        default=None, description="Signs exports of the audit log; empty = no exports (503)."
    )
    audit_signing_key_id: str = Field(
        default="local",
        min_length=1,
        max_length=128,
        description="Name of that key, told in every export, so that an old one is found again.",
    )
    audit_trail_role: Literal["viewer", "operator", "admin"] = Field(
        default="viewer",
        description="Least role that reads `/audit/trail`, which names people and addresses.",
    )

    # Logs
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least level that is logged."
    )
    log_json: bool = Field(default=True, description="JSON lines (true) or plain text (false).")
    log_format: Literal["json", "console"] | None = Field(
        default=None, description="Wins over `SOPILOT_LOG_JSON` when set."
    )

    build_commit: str = Field(
        default="unknown", max_length=64, description="Shown in `sopilot_build_info`."
    )
    build_date: str = Field(
        default="unknown", max_length=64, description="Shown in `sopilot_build_info`."
    )

    # Task and decision
    primary_task_id: str = Field(default="pilot_task", description="Task used when none is named.")
    primary_task_name: str = Field(default="PoC Primary Task", description="Its name.")
    enforce_primary_task: bool = Field(
        default=False, description="Refuse every other task with 409."
    )
    default_pass_score: float = Field(
        default=60.0, ge=0, le=100, description="Least score of a pass in a new task profile."
    )
    default_retrain_score: float = Field(
        default=50.0, ge=0, le=100, description="Score below which a new profile says retrain."
    )
    min_scoring_clips: int = Field(
        default=4, ge=1, description="Fewest clips a video must have to be scored."
    )

    # Video
    embedder_backend: Literal["color-motion", "heuristic", "auto", "vjepa2"] = Field(
        default="color-motion",
        description="Feature backend. `heuristic` is the old name of `color-motion`; `auto` takes "
        "the best there is, today `color-motion`; `vjepa2` is not part of this version.",
    )
    allow_embedder_fallback: bool = Field(
        default=True,
        validation_alias=_names("SOPILOT_ALLOW_EMBEDDER_FALLBACK", "SOPILOT_EMBEDDER_FALLBACK"),
        description="Where the backend asked for cannot be used: `true` starts with "
        "`color-motion` and says so (`failed_over`, health degraded), `false` stops the start.",
    )
    enable_failure_capsule: bool = Field(
        default=False, description="Keep a JSON line about every analysis that fails."
    )
    embedder_failure_capsule_path: Path | None = Field(
        default=None,
        description="File of those lines; empty = `embedder_failures.jsonl` in the data folder.",
    )
    run_id: str = Field(
        default="", max_length=128, description="Stamp on those lines, such as a trial's name."
    )
    max_pixels: int = Field(
        default=3840 * 2160, ge=64 * 64, description="Largest width x height that is decoded."
    )
    max_video_seconds: float = Field(
        default=4 * 3600.0, gt=0, description="Longest video that is accepted."
    )
    min_video_seconds: float = Field(
        default=3.0, ge=0, description="Shortest video that is accepted."
    )
    decoder_memory_mb: int = Field(
        default=2048, ge=256, description="Data size limit of the decoder child (Linux)."
    )
    decoder_cpu_seconds: int = Field(
        default=4 * 3600, ge=10, description="CPU limit of the decoder child (Linux)."
    )
    privacy_mask_enabled: bool = Field(
        default=False,
        description="Mask pictures before any feature or thumbnail is computed; `/stream` and "
        "`/file` then serve a masked copy, the upload itself goes to admins only.",
    )
    privacy_mask_mode: Literal["black", "blur"] = Field(
        default="black", description="How a masked rectangle is painted."
    )
    privacy_mask_rects: str = Field(
        default="", description="`x1:y1:x2:y2` in 0-1 of width and height, separated by `;`."
    )

    # Library: privacy and uploads
    privacy_face_blur: bool = Field(
        default=False,
        description="Blur the faces that a detector finds; needs the mask enabled. Best effort: it"
        " misses some faces, and searching takes several times as long as decoding. What must not"
        " be seen needs a rectangle.",
    )
    privacy_keep_raw: bool = Field(
        default=True,
        description="`false` drops the upload once its masked copy exists (needs the mask "
        "enabled).",
    )
    ingest_mode: Literal["sync", "async", "auto"] = Field(
        default="sync",
        description="An upload call waits for its ingest job (`sync`), never (`async`), or for at "
        "most `SOPILOT_INGEST_SYNC_WAIT_SEC` (`auto`).",
    )

    # Vision-language model
    vlm_url: str = Field(
        default="",
        validation_alias=_names("SOPILOT_VLM_URL", "LLM_API_URL"),
        description="Address of an OpenAI-compatible server such as vLLM (`http://host:8000/v1`); "
        "empty = none, and incidents are found from signals alone.",
    )
    vlm_model: str = Field(
        default="",
        max_length=256,
        validation_alias=_names("SOPILOT_VLM_MODEL", "MODEL_VERSION"),
        description="Name of the model on that server; empty = the only one it serves.",
    )
    vlm_api_key: SecretStr | None = Field(
        default=None, description="Bearer token that the server wants; empty = none."
    )
    vlm_protocol: Literal["openai", "analyze_video"] = Field(
        default="openai",
        description="`openai` = `/v1/chat/completions`; `analyze_video` = the older inference "
        "service (`POST /analyze_video`, `POST /generate`).",
    )
    vlm_timeout_sec: float = Field(
        default=120.0, gt=0, le=3600, description="Longest wait for one answer of the model."
    )
    vlm_attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        description="How often one question is asked before it counts as failed.",
    )
    vlm_concurrency: int = Field(
        default=5, ge=1, le=64, description="Questions that are asked at the same time."
    )
    vlm_picture_px: int = Field(
        default=448, ge=64, le=2048, description="Longer side of the pictures that are sent."
    )

    # Incidents
    incident_window_sec: float = Field(
        default=1.5,
        ge=0.2,
        le=60,
        validation_alias=_names("SOPILOT_INCIDENT_WINDOW_SEC", "LLM_WINDOW_SEC"),
        description="Length of a window of the first pass.",
    )
    incident_target_fps: float = Field(
        default=10.0,
        ge=0.5,
        le=30,
        validation_alias=_names("SOPILOT_INCIDENT_TARGET_FPS", "LLM_TARGET_FPS"),
        description="Pictures per second from which those of a window are chosen.",
    )
    incident_frames_per_window: int = Field(
        default=5,
        ge=1,
        le=32,
        validation_alias=_names("SOPILOT_INCIDENT_FRAMES_PER_WINDOW", "LLM_FRAMES_PER_WINDOW"),
        description="Pictures of a window that are sent.",
    )
    incident_max_highlights: int = Field(
        default=10,
        ge=1,
        le=100,
        validation_alias=_names("SOPILOT_INCIDENT_MAX_HIGHLIGHTS", "LLM_MAX_HIGHLIGHTS"),
        description="Most events that are reported of one video; the strongest stay.",
    )
    incident_max_windows: int = Field(
        default=0,
        ge=0,
        description="Most windows of a pass that are sent, the most conspicuous first; the others "
        "are reported as not checked. 0 = no limit.",
    )
    incident_language: Literal["ru", "en", "ja"] = Field(
        default="ru", description="Language of questions, descriptions and reports."
    )
    incident_without_model: Literal["signal", "refuse"] = Field(
        default="signal",
        description="Without a model: `signal` reports measured changes and says so, `refuse` ends "
        "an analysis with an error.",
    )

    # VIGIL
    vigil_enabled: bool = Field(
        default=True,
        validation_alias=_names("SOPILOT_VIGIL_ENABLED", "VIGIL_ENABLED"),
        description="Serve `/vigil`.",
    )
    still_backend: Literal["look", "image-text"] = Field(
        default="look",
        description="What describes pictures of footage: `look` knows likeness to the eye, "
        "`image-text` finds them by words, with the checkpoint of SOPILOT_STILL_MODEL_DIR.",
    )
    still_model_dir: Path | None = Field(
        default=None,
        description="Folder of a SigLIP, SigLIP 2 or CLIP checkpoint on this machine.",
    )
    still_device: str = Field(
        default="cpu",
        pattern=r"^(cpu|mps|cuda(:[0-9]{1,2})?)$",
        description="Where that model runs: `cpu`, `cuda`, `cuda:1`, `mps`.",
    )
    asr_backend: Literal["none", "faster-whisper"] = Field(
        default="none",
        description="What recognises speech for an index that asks for it; `faster-whisper` needs "
        "SOPILOT_ASR_MODEL_DIR.",
    )
    asr_model_dir: Path | None = Field(
        default=None, description="Folder of a Whisper converted for CTranslate2, on this machine."
    )
    asr_device: Literal["cpu", "cuda", "auto"] = Field(
        default="cpu", description="Where that model runs."
    )
    asr_compute_type: Literal["int8", "int8_float16", "float16", "float32", "default"] = Field(
        default="int8", description="With which numbers it computes."
    )
    asr_language: str = Field(
        default="",
        pattern=r"^([a-z]{2,3})?$",
        description="Language that is spoken, such as ja; empty = each piece says it itself.",
    )
    text_embedding_url: str = Field(
        default="",
        description="An OpenAI-compatible server whose `/v1/embeddings` makes texts findable by "
        "what they mean; empty = by their words only.",
    )
    text_embedding_model: str = Field(
        default="", max_length=256, description="The model there; needed with the address."
    )
    text_embedding_api_key: SecretStr | None = Field(
        default=None, description="Its key; empty = none."
    )
    text_embedding_query_prefix: str = Field(
        default="",
        max_length=1000,
        description="What that model wants to read before a question, such as `query: `.",
    )
    text_embedding_passage_prefix: str = Field(
        default="",
        max_length=1000,
        description="What it wants to read before a stored text, such as `passage: `.",
    )
    vigil_llm_model: str = Field(
        default="",
        max_length=256,
        validation_alias=_names("SOPILOT_VIGIL_LLM_MODEL", "VIGIL_LLM_MODEL"),
        description="Model of that server that answers questions, by its name or as "
        "`internvideo_chat` or `llava_video`; empty = SOPILOT_VLM_MODEL.",
    )
    vigil_source_dirs: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Folders of this machine whose videos may be taken in by their path, separated "
        "by `,`; empty = none.",
    )
    disk_high_water_percent: float = Field(
        default=95.0,
        gt=0,
        le=100,
        description="Share of the disk in use from which `/health` says degraded.",
    )
    vigil_concurrent_queries: int = Field(
        default=4,
        ge=1,
        le=64,
        description="Searches and questions at the same time; more of them wait or get 503.",
    )

    vigil_concurrent_indexing: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Videos that are indexed at the same time by all workers together; 0 = as many "
        "as there are workers.",
    )
    vigil_rerank_count: int = Field(
        default=20,
        ge=0,
        le=50,
        description="Moments that a model, where one is configured, judges one by one before a "
        "question is answered or a search with `rerank` is given; 0 = the order of the search.",
    )
    vigil_max_windows: int = Field(
        default=0,
        ge=0,
        description="Most windows of a video that a model is asked about per event definition, the "
        "most conspicuous first; the others are reported as not checked. 0 = no limit.",
    )

    # Jobs
    score_workers: int = Field(
        default=2, ge=0, le=64, description="Worker processes of the embedded pool; 0 = none here."
    )
    job_lease_seconds: float = Field(
        default=30.0, gt=0, description="A worker silent for this long loses its job."
    )
    job_max_retries: int = Field(
        default=2,
        ge=0,
        validation_alias=_names("SOPILOT_SCORE_JOB_MAX_RETRIES", "SOPILOT_JOB_MAX_RETRIES"),
        description="Automatic retries of a job before it is marked failed.",
    )
    ingest_wait_seconds: float = Field(
        default=600.0,
        gt=0,
        validation_alias=_names("SOPILOT_INGEST_SYNC_WAIT_SEC"),
        description="Longest wait of an upload call in the mode `auto` before it answers 202.",
    )

    # Webhook (operations)
    webhook_url: str = Field(
        default="", description="Receives score.completed and score.failed; empty = none."
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="Signs deliveries in `X-SOPilot-Signature`; empty = unsigned."
    )
    webhook_timeout_sec: float = Field(
        default=5.0, gt=0, le=60, description="How long a delivery may take."
    )
    webhook_max_attempts: int = Field(
        default=12, ge=1, le=100, description="Failed deliveries before one is given up."
    )

    @field_validator("webhook_url", "vlm_url", "qdrant_url", "text_embedding_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        address = urlsplit(value)
        if value and (address.scheme not in {"http", "https"} or not address.hostname):
            raise ValueError("give an http:// or https:// address with a host, or leave it empty")
        return value

    @field_validator("vlm_url")
    @classmethod
    def _no_key_in_address(cls, value: str) -> str:
        # Addresses are shown in messages, logs and results.
        if "@" in urlsplit(value).netloc:
            raise ValueError("leave name and password out of the address; set SOPILOT_VLM_API_KEY")
        return value

    # Nightly adaptation
    nightly_enabled: bool = Field(
        default=False, description="Learn every night from confirmed executions."
    )
    nightly_hour_local: int = Field(
        default=2, ge=0, le=23, description="Hour of the machine's clock at which it begins."
    )
    nightly_min_new_videos: int = Field(
        default=10, ge=0, description="New golds and confirmed executions below which it skips."
    )
    nightly_check_sec: float = Field(
        default=30.0, gt=0, le=3600, description="How often a worker looks whether it is time."
    )
    enable_feature_adapter: bool = Field(
        default=True, description="Learn from confirmed executions, and score with what helped."
    )
    adapt_command: str = Field(
        default="",
        description="Command run in place of the built-in learning, without a shell; `{job_id}`, "
        "`{data_dir}`, `{models_dir}`, `{reports_dir}`, `{since}` are filled in.",
    )
    adapt_timeout_sec: float = Field(
        default=14_400.0, gt=0, description="Longest that command may take."
    )

    # Watch folder
    watch_enabled: bool = Field(
        default=False, description="Watch the folder from within the service."
    )
    watch_dir: Path = Field(
        default=Path("watch_inbox"),
        description="Folder whose videos are loaded; a relative one lies in the data folder.",
    )
    watch_task_id: str | None = Field(
        default=None,
        max_length=128,
        description="Task of files that do not lie at `<task>/<role>/`; empty = those are refused.",
    )
    watch_role: Literal["gold", "trainee", "audit"] = Field(
        default="trainee", description="Role of such files."
    )
    watch_poll_sec: float = Field(
        default=5.0, gt=0, description="Seconds between two looks at the folder."
    )
    watch_settle_sec: float = Field(
        default=10.0, ge=0, description="Seconds a file must not have changed before it is loaded."
    )

    @field_validator("adapt_command")
    @classmethod
    def _usable_command(cls, value: str) -> str:
        try:
            parts = shlex.split(value)
        except ValueError as error:
            raise ValueError(f"{value!r} cannot be split into words ({error})") from error
        unknown = {name for part in parts for name in re.findall(r"{([^{}]*)}", part)}
        unknown -= set(ADAPT_PLACEHOLDERS)
        if unknown:
            raise ValueError(
                f"{value!r} has unknown placeholders ({', '.join(sorted(unknown))}); use "
                + ", ".join(f"{{{name}}}" for name in ADAPT_PLACEHOLDERS)
            )
        return value

    @field_validator("auth_required", mode="before")
    @classmethod
    def _as_word(cls, value: Any) -> Any:
        word = str(value).strip().lower()
        return _WORDS.get(word, word)

    @field_validator("api_role_tokens")
    @classmethod
    def _usable_tokens(cls, value: SecretStr | None) -> SecretStr | None:
        seen: set[str] = set()
        for number, (_, token) in enumerate(split_role_tokens(value), 1):
            if token in seen:
                raise ValueError(f"entry {number} of the role tokens repeats a token; make another")
            seen.add(token)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            try:
                ipaddress.ip_network(item, strict=False)
            except ValueError as error:
                raise ValueError(
                    f"{item!r} is no address or network; write 10.0.0.5 or 10.0.0.0/24"
                ) from error
        return value

    @field_validator("cors_origins", "trusted_proxies", "vigil_source_dirs", mode="before")
    @classmethod
    def _split_list(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("database_url", "second_database_url")
    @classmethod
    def _plain_driver(cls, value: str | None) -> str | None:
        if value is None:
            return None
        value = value.replace("sqlite+aiosqlite:", "sqlite:", 1)
        for head in ("postgresql://", "postgres://"):
            if value.startswith(head):
                return "postgresql+psycopg://" + value[len(head) :]
        return value

    @model_validator(mode="after")
    def _whole_basic_login(self) -> Settings:
        if (self.basic_user is None) != (self.basic_password is None):
            raise ValueError(
                "HTTP Basic needs both SOPILOT_BASIC_USER and SOPILOT_BASIC_PASSWORD; set the "
                "missing one or clear the other"
            )
        if self.basic_user is not None and ":" in self.basic_user:
            raise ValueError("SOPILOT_BASIC_USER must not hold a colon; choose another name")
        return self

    @model_validator(mode="after")
    def _one_role_per_secret(self) -> Settings:
        given = [(self.api_key_role, self.api_key), (self.api_token_role, self.api_token)]
        named = [(role, secret.get_secret_value()) for role, secret in given if secret is not None]
        roles: dict[str, AccessRole] = {}
        for role, secret in [*named, *split_role_tokens(self.api_role_tokens)]:
            if roles.setdefault(secret, role) != role:
                raise ValueError(
                    f"one token stands for the roles {roles[secret]} and {role} "
                    "(SOPILOT_API_KEY, SOPILOT_API_TOKEN, SOPILOT_API_ROLE_TOKENS); make another"
                )
        return self

    @model_validator(mode="after")
    def _ordered_thresholds(self) -> Settings:
        if self.default_retrain_score > self.default_pass_score:
            raise ValueError(
                f"SOPILOT_DEFAULT_RETRAIN_SCORE ({self.default_retrain_score}) must not exceed "
                f"SOPILOT_DEFAULT_PASS_SCORE ({self.default_pass_score}); lower the first or "
                "raise the second"
            )
        return self

    @model_validator(mode="after")
    def _reachable_vectors(self) -> Settings:
        if self.vector_backend == "qdrant" and not self.resolved_qdrant_url:
            raise ValueError(
                "SOPILOT_VECTOR_BACKEND=qdrant needs SOPILOT_QDRANT_URL; set it, or use embedded"
            )
        return self

    @model_validator(mode="after")
    def _named_text_model(self) -> Settings:
        if self.text_embedding_url and not self.text_embedding_model:
            raise ValueError(
                "SOPILOT_TEXT_EMBEDDING_URL needs SOPILOT_TEXT_EMBEDDING_MODEL; vectors are kept "
                "by the model's name"
            )
        return self

    @property
    def resolved_qdrant_url(self) -> str:
        """The address of the vector server; empty = none."""
        if self.qdrant_url or not self.qdrant_host:
            return self.qdrant_url
        return f"http://{self.qdrant_host}:{self.qdrant_port}"

    @property
    def log_form(self) -> Literal["json", "console"]:
        """The log form that is in force."""
        return self.log_format or ("json" if self.log_json else "console")

    @property
    def limits(self) -> Limits:
        """What an upload may cost."""
        return Limits(self.max_pixels, self.max_video_seconds, self.min_video_seconds)

    @property
    def resolved_watch_dir(self) -> Path:
        """The watched folder."""
        return self.data_dir / self.watch_dir

    @property
    def resolved_database_url(self) -> str:
        """The database address, with the SQLite default filled in."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'sopilot.db'}"


def split_role_tokens(value: SecretStr | None) -> list[tuple[AccessRole, str]]:
    """(role, token) of every entry of SOPILOT_API_ROLE_TOKENS, in its order.

    Raises ValueError for an entry that is not role:token; it shows no token.
    """
    text = value.get_secret_value() if value is not None else ""
    found: list[tuple[AccessRole, str]] = []
    for number, entry in enumerate(filter(None, map(str.strip, re.split("[,;]", text))), 1):
        name, _, token = (part.strip() for part in entry.partition(":"))
        role = next((item for item in ACCESS_ROLES if item == name.lower()), None)
        if role is None or not token:
            raise ValueError(
                f"entry {number} of the role tokens is not role:token with a role of "
                f"{', '.join(ACCESS_ROLES)}; correct it"
            )
        found.append((role, token))
    return found


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment, with keyword overrides (None = not given).

    Raises BadSettings with one sentence per wrong value.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    refused = refusals(os.environ)
    if refused:
        raise BadSettings("; ".join(refused))
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = []
        for item in error.errors():
            place = ".".join(str(part) for part in item["loc"]) or "settings"
            shown = "" if item["type"] == "value_error" else f" (got {item['input']!r})"
            problems.append(f"{place}: {item['msg'].removeprefix('Value error, ')}{shown}")
        raise BadSettings("; ".join(problems)) from error


def variable_names(field_name: str) -> tuple[str, ...]:
    """The documented environment names of a field, the winning one first."""
    alias = Settings.model_fields[field_name].validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (PREFIX + field_name.upper(),)
