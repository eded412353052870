"""Traces: one per session, its ids derived from the session's, so that every part of the house can name it."""

from shared.telemetry.ids import parse_traceparent, session_context, session_traceparent
from shared.telemetry.logs import configure_logging
from shared.telemetry.pipeline import configure, flush
from shared.telemetry.spans import Span, current_traceparent, emit_session_root, emit_span, span

__all__ = [
    "Span",
    "configure",
    "configure_logging",
    "current_traceparent",
    "emit_session_root",
    "emit_span",
    "flush",
    "parse_traceparent",
    "session_context",
    "session_traceparent",
    "span",
]
