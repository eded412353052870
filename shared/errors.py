"""The service's errors, as one tree that says what may be done about each.

::

    S2psError
    ├── RetryableError          the same call may succeed later: a dependency is down, a race was lost half-way
    │   ├── StoreUnavailableError      the object store did not answer, or answered 5xx
    │   ├── StationUnavailableError    the station did not answer, or answered 5xx
    │   └── NotReadyError              an input of this step is not there yet
    ├── PermanentError          the same call will fail for ever: bad input, bad configuration, a bug in a document
    │   ├── BadInputError              a file, event or document from outside breaks its format
    │   ├── ConfigurationError         a setting or a manifest of ours is wrong
    │   ├── IntegrityError             bytes differ from what their checksum, size or header promises
    │   └── RefusedError               an operator asks for what the state does not allow
    └── AbsentError             something asked for does not exist, and that is an answer
        └── ObjectAbsentError          no object under this key

The HTTP binding answers a RetryableError with 503, a PermanentError with 422, and makes any other exception a 500.
"""

from __future__ import annotations


class S2psError(Exception):
    """Root of the tree; never raised itself."""


class RetryableError(S2psError):
    """The same call may succeed later."""


class StoreUnavailableError(RetryableError):
    """The object store did not answer, or answered with a server error."""


class StationUnavailableError(RetryableError):
    """A station did not answer, or answered with a server error."""


class NotReadyError(RetryableError):
    """An input of this step is not there yet."""


class PermanentError(S2psError):
    """The same call will fail for ever."""


def _shown(found: object) -> str:
    try:
        return repr(found)[:120]
    except RecursionError:  # hostile JSON, nested as deep as its reader goes
        return f"a {type(found).__name__} nested too deeply"


class BadInputError(PermanentError):
    """Something from outside breaks its format.

    Args:
        what: the file, event or field that is wrong.
        expected: what was expected of it, in a few words.
        found: what was there instead, cut short; hostile text is shown by ``repr``.
    """

    def __init__(self, what: str, expected: str, found: object = None) -> None:
        self.what = what
        self.expected = expected
        self.found = found
        shown = "" if found is None else f", found {_shown(found)}"
        super().__init__(f"{what}: expected {expected}{shown}")

    def __reduce__(self) -> tuple[type[BadInputError], tuple[str, str, str | None]]:
        """Pickled by its arguments: processors raise it in worker processes. What was found crosses as text."""
        found = self.found if self.found is None or isinstance(self.found, str) else str(self.found)
        return type(self), (self.what, self.expected, found)


class ConfigurationError(PermanentError):
    """A setting or a manifest of ours is wrong."""


class IntegrityError(PermanentError):
    """Bytes differ from what their checksum, size or header promises."""


class RefusedError(PermanentError):
    """An operator asks for what the state of the ledger does not allow; the sentence says what would."""


class AbsentError(S2psError):
    """Something asked for does not exist, and that is an answer."""


class ObjectAbsentError(AbsentError):
    """No object under this key."""
