"""The error tree: what can go wrong, each with a code, a message and details.

SopilotError
├── InputError               the caller's data is wrong
│   ├── BadUpload            no video, empty, too short, outside the limits (FileTooLarge)
│   ├── BatchRefused         some pairs of a batch cannot be scored
│   ├── BadSteps             a steps file or step definition that cannot be used
│   ├── BadTranscript        a subtitle file that cannot be read, or not of this video
│   ├── BadSettings          a configuration that cannot be honoured
│   ├── InsufficientClips    too few clips to compare
│   ├── QualityGateFailed    a gold below the quality limits, with enforce_quality
│   ├── TaskMismatch         gold and trainee do not belong together (ProducerMismatch)
│   └── TaskNotAllowed       a foreign task while the primary task is enforced
├── NotFound                 VideoNotFound, ScoreNotFound, TaskNotFound, JobNotFound, BlobNotFound,
│                            IncidentNotFound, EventNotFound, QuestionNotFound,
│                            DefinitionNotFound
├── TooEarly                 what is asked for will exist when an analysis has ended
├── MediaTypeRefused         the file says that it is no video of a kind that is taken
├── Conflict                 VideoNotReady, VideoNotGold, JobFinished, LeaseLost, DataFolderInUse
├── Unauthorized             no or wrong credentials
├── SigningKeyMissing        no key is configured to sign exports of the audit log with
├── AuthNotConfigured        no credentials are configured and this client may not do without
├── Forbidden                the role does not allow it
├── RateLimited              too many requests, or wrong credentials, from one address
├── MediaError               ProbeError, DecodeError, NoFrames, NoSound
├── ModelError               a model cannot be loaded or cannot work
│   ├── ModelUnavailable     its server is not there, busy, or cuts off (retryable)
│   ├── ModelRefused         its server does not take the request: key, model, pictures
│   └── ModelReplyError      it answered, but not what was asked for
├── ReportError              a report cannot be typeset
├── StoreError               the database or a blob cannot be read or written (retryable)
│   ├── DiskFull             no space left, or the folder is not writable
│   ├── SchemaTooNew         the database was made by a newer version
│   └── BackupDamaged        a backup that is incomplete or was changed
├── WorkerLost               a child process died while working on a job (retryable)
├── PortInUse                the service cannot listen on its address
└── JobCancelled             the operator cancelled the job

One table in api/errors.py maps each class to an HTTP status; a test walks this tree.
The message says the value, the allowed range and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar


class SopilotError(Exception):
    """Root of every failure that SOPilot names; `code` is stable and machine-readable."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        # Messages are stored, and may repeat what another server said; no database holds a NUL.
        self.message = message.replace("\0", "\N{REPLACEMENT CHARACTER}")
        super().__init__(self.message)
        self.details: dict[str, Any] = dict(details or {})

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process borders (decoder child, pool); keep message and details.
        return (type(self), (self.message, self.details))


class InputError(SopilotError):
    code = "VALIDATION_ERROR"


class BadUpload(InputError):
    code = "UNSUPPORTED_MEDIA"


class FileTooLarge(BadUpload):
    code = "FILE_TOO_LARGE"


class BatchRefused(InputError):
    code = "BATCH_REFUSED"


class BadSteps(InputError):
    code = "BAD_STEPS"


class BadTranscript(InputError):
    code = "BAD_TRANSCRIPT"


class BadSettings(InputError):
    code = "CONFIGURATION_ERROR"


class InsufficientClips(InputError):
    code = "INSUFFICIENT_CLIPS"


class QualityGateFailed(InputError):
    code = "QUALITY_GATE_FAILED"


class TaskMismatch(InputError):
    code = "TASK_MISMATCH"


class ProducerMismatch(TaskMismatch):
    code = "PRODUCER_MISMATCH"


class TaskNotAllowed(InputError):
    code = "TASK_NOT_ALLOWED"


class NotFound(SopilotError):
    code = "NOT_FOUND"


class VideoNotFound(NotFound):
    code = "VIDEO_NOT_FOUND"


class ScoreNotFound(NotFound):
    code = "SCORE_JOB_NOT_FOUND"


class TaskNotFound(NotFound):
    code = "TASK_NOT_FOUND"


class JobNotFound(NotFound):
    code = "JOB_NOT_FOUND"


class BlobNotFound(NotFound):
    code = "BLOB_NOT_FOUND"


class IncidentNotFound(NotFound):
    code = "INCIDENT_NOT_FOUND"


class EventNotFound(NotFound):
    code = "EVENT_NOT_FOUND"


class DefinitionNotFound(NotFound):
    code = "DEFINITION_NOT_FOUND"


class QuestionNotFound(NotFound):
    code = "QUESTION_NOT_FOUND"


class TooEarly(SopilotError):
    code = "TOO_EARLY"


class MediaTypeRefused(SopilotError):
    code = "UNSUPPORTED_MEDIA_TYPE"


class Conflict(SopilotError):
    code = "INVALID_STATE"


class VideoNotReady(Conflict):
    code = "VIDEO_NOT_READY"


class VideoNotGold(Conflict):
    code = "VIDEO_NOT_GOLD"


class JobFinished(Conflict):
    code = "JOB_FINISHED"


class LeaseLost(Conflict):
    """Another worker owns the job now: this one must drop its result."""

    code = "LEASE_LOST"


class DataFolderInUse(Conflict):
    code = "DATA_FOLDER_IN_USE"


class Unauthorized(SopilotError):
    code = "UNAUTHORIZED"


class AuthNotConfigured(SopilotError):
    code = "AUTH_NOT_CONFIGURED"


class SigningKeyMissing(SopilotError):
    code = "AUDIT_KEY_NOT_CONFIGURED"


class Forbidden(SopilotError):
    code = "FORBIDDEN"


class RateLimited(SopilotError):
    """details: retry_after_sec, whole seconds until a request is served again."""

    code = "RATE_LIMITED"


class MediaError(SopilotError):
    code = "UNDECODABLE_VIDEO"


class ProbeError(MediaError):
    code = "UNDECODABLE_VIDEO"


class DecodeError(MediaError):
    code = "UNDECODABLE_VIDEO"


class NoFrames(MediaError):
    code = "NO_FRAMES"


class NoSound(MediaError):
    code = "NO_SOUND"


class ModelError(SopilotError):
    code = "ALGORITHM_ERROR"


class ModelUnavailable(ModelError):
    code = "MODEL_UNAVAILABLE"
    retryable = True


class ModelRefused(ModelError):
    code = "MODEL_REFUSED"


class ModelReplyError(ModelError):
    """details: text, the beginning of what was answered; attempts, how often it was asked."""

    code = "MODEL_REPLY_INVALID"


class ReportError(SopilotError):
    code = "REPORT_FAILED"


class StoreError(SopilotError):
    code = "TRANSIENT_ERROR"
    retryable = True


class DiskFull(StoreError):
    code = "STORAGE_FULL"


class SchemaTooNew(StoreError):
    code = "SCHEMA_TOO_NEW"
    retryable = False


class BackupDamaged(StoreError):
    code = "BACKUP_DAMAGED"
    retryable = False


class WorkerLost(SopilotError):
    code = "WORKER_LOST"
    retryable = True


class PortInUse(SopilotError):
    code = "PORT_IN_USE"


class JobCancelled(SopilotError):
    code = "JOB_CANCELLED"


def error_tree(root: type[SopilotError] = SopilotError) -> Iterator[type[SopilotError]]:
    """The classes of the tree, parents before children."""
    yield root
    for child in root.__subclasses__():
        yield from error_tree(child)


def error_from_record(
    code: str, message: str, details: Mapping[str, Any] | None = None
) -> SopilotError:
    """The typed error that a failed job's row describes; an unknown code gives the root class."""
    kind = next((item for item in error_tree() if item.code == code), SopilotError)
    return kind(message, details)
