"""Trace identifiers: W3C trace contexts, and the ones that follow from a session's id.

Pure and light: the standard library only. Form: W3C Trace Context, ``00-<32 hex>-<16 hex>-<2 hex>``.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final

_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class TraceContext:
    """One point in a trace: trace id (32 hex digits), span id (16 hex digits), and whether it is recorded."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def child(self) -> TraceContext:
        """A new span of the same trace."""
        return TraceContext(self.trace_id, secrets.token_hex(8), self.sampled)


def parse_traceparent(text: str | None) -> TraceContext | None:
    """The context, or None where the text is none: a broken trace never stops the work that it describes."""
    match = _TRACEPARENT.fullmatch(text or "")
    if match is None or set(match[1]) == {"0"} or set(match[2]) == {"0"}:
        return None
    return TraceContext(match[1], match[2], bool(int(match[3], 16) & 1))


def new_trace() -> TraceContext:
    """A root of its own."""
    return TraceContext(secrets.token_hex(16), secrets.token_hex(8))


def session_context(session: str) -> TraceContext:
    """The root span of a session's trace. Anybody can compute it from the session id; nobody need be asked."""
    trace = hashlib.sha256(b"org.s2ps.session.trace:" + session.encode()).hexdigest()[:32]
    root = hashlib.sha256(b"org.s2ps.session.root:" + session.encode()).hexdigest()[:16]
    return TraceContext(trace, root)


def session_traceparent(session: str) -> str:
    """The trace context of a session's root span, as a ``traceparent``."""
    return session_context(session).traceparent
