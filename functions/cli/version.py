"""``s2ps version``: the version of the client, and where it looks."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import Final

import click

from functions.cli.options import Shape, Where, shape_options, where_options
from shared.errors import S2psError

_PACKAGE: Final = "s2-production-service"


@click.command()
@where_options
@shape_options
def version(where: Where, shape: Shape) -> None:
    """The version of this program, and where its commands look. Nowhere is no error."""
    from functions.cli.output import show_one
    from functions.cli.places import opened
    from functions.cli.safe import safe

    found: dict[str, str] = {"version": client_version(), "looks": "nowhere"}
    try:
        with opened(where) as place:
            settings = place.services.settings
            found |= {
                "looks": place.kind,
                "place": place.name,
                "namespace": place.namespace,
                "store": settings.store_endpoint or f"AWS, {settings.store_region}",
                "store_kind": settings.store_kind,
                "ledger": settings.bucket_ledger,
                "processor_set": settings.processor_set,
            }
    except S2psError as error:
        if where.run_dir is not None or where.cluster:
            raise  # asked for by name
        found["reason"] = str(error)

    def lines() -> None:
        for name, text in found.items():
            if text:
                click.echo(f"{name.replace('_', ' ').capitalize() + ':':<15} {safe(text)}")

    show_one(shape, "Version", found, lines, found["version"])


def client_version() -> str:
    """The version of this program; that of no package where the code runs from a folder."""
    try:
        return installed(_PACKAGE)
    except PackageNotFoundError:
        return "unknown"
