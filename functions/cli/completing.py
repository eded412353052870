"""What a shell may complete: sessions and products. In bounded time, and silent where nothing can be asked."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from itertools import islice
from types import FrameType
from typing import TYPE_CHECKING, Final

import click

from functions.cli.options import Where

if TYPE_CHECKING:
    from shared.bootstrap import Services

LIMIT_S: Final = 3.0
_MOST: Final = 200


class _TimeIsUp(BaseException):
    """No library may take this for one of its own errors."""


@contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _ask(ctx: click.Context, read: Callable[[Services], Iterable[str]]) -> list[str]:
    given = {name: ctx.params.get(name) for name in ("run_dir", "namespace", "context", "kubeconfig")}
    try:
        with _bounded(LIMIT_S), redirect_stderr(StringIO()):
            from functions.cli.places import opened

            with opened(Where(**given)) as place:
                return list(islice(read(place.services), _MOST))
    except (Exception, _TimeIsUp):  # noqa: BLE001  a shell that completes shows no error of ours
        return []


def complete_session(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Sessions that begin with ``incomplete``."""

    def read(services: Services) -> Iterable[str]:
        folders = services.store.folders(services.settings.bucket_ledger, f"sessions/{incomplete}")
        return [folder.removeprefix("sessions/").rstrip("/") for folder in folders]

    return _ask(ctx, read)


def complete_anything(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Sessions and products that begin with ``incomplete``."""

    def read(services: Services) -> Iterable[str]:
        from functions.cli.named import product_keys, product_name

        return [
            name for key in product_keys(services, incomplete) if (name := product_name(key)).startswith(incomplete)
        ]

    found = complete_session(ctx, param, incomplete)
    return found if len(incomplete) < 2 else [*found, *_ask(ctx, read)]
