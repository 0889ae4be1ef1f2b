"""Structured logs: one JSON object per line, or plain text, always on stderr.

Events are named `noun.verb`; fields follow the contract (`ts, level, logger, msg, exc`
plus context).
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import structlog


def configure_logging(level: str = "INFO", form: Literal["json", "console"] = "json") -> None:
    """Send structlog and the standard library's loggers to stderr in one form."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    ]
    render: Any
    if form == "json":
        shared += [
            structlog.processors.format_exc_info,
            _exception_as_exc,
            structlog.processors.EventRenamer("msg"),
        ]
        render = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        render = structlog.dev.ConsoleRenderer(
            timestamp_key="ts",
            colors=False,
            # Rich tracebacks print local variables: bulky, and they may hold secrets.
            exception_formatter=structlog.dev.plain_traceback,
        )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def _exception_as_exc(_logger: Any, _method: str, fields: Any) -> Any:
    if "exception" in fields:
        fields["exc"] = fields.pop("exception")
    return fields


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module; bind context with structlog.contextvars."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
