"""Logs as JSON lines on standard error, each with the trace that it belongs to."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime


class JsonFormatter(logging.Formatter):
    """One line per record: time, level, logger, message, trace, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        from shared.telemetry.ids import parse_traceparent
        from shared.telemetry.spans import current_traceparent

        line: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        context = parse_traceparent(current_traceparent())
        if context is not None:
            line["trace"] = context.trace_id
            line["span"] = context.span_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logging(level: int = logging.INFO) -> None:
    """Send this process's log to standard error; a handler that is there already is left alone."""
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonFormatter())
        root.addHandler(handler)
        root.setLevel(level)
