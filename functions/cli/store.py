"""``s2ps store``: what operators do to the store itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click

from functions.cli.options import Where, where_options
from shared.adapters.store_setup.report import Report
from shared.adapters.store_setup.setup import set_up_store
from shared.errors import S2psError
from shared.settings import Settings, load_settings

_KINDS = ("auto", "aws", "ceph", "minio", "seaweedfs")


@click.group()
def store() -> None:
    """The object store."""


@store.command()
@click.option("--store-kind", type=click.Choice(_KINDS), default="auto", show_default=True, help="Which store it is.")
@click.option("--dry-run", is_flag=True, help="Look only, and say what would be done.")
@click.option("--renew", is_flag=True, help="Replace topic, webhook or subscription, whatever state it is in.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(min=0), default=0, show_default=True, metavar="SECONDS",
    help="Wait so long for a store that does not answer yet.",
)  # fmt: skip
@click.option("--strict", is_flag=True, help="Exit with 3 where something is left to be done by hand.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True,
    help="What to print.",
)  # fmt: skip
@where_options
def setup(
    where: Where, *, store_kind: str, dry_run: bool, renew: bool, wait_s: float, strict: bool, output: str
) -> None:
    """Set up the store of a cluster or run, or of S2PS_STORE_...: buckets, lifecycle rules, notifications.

    A second time changes nothing; what others set up on the store stays as it is. Exit code 1: something failed.
    """
    try:
        with _settings(where, store_kind) as settings:
            report = set_up_store(settings, kind=store_kind, apply=not dry_run, renew=renew, wait_s=wait_s)
    except S2psError as error:
        raise click.ClickException(str(error)) from None
    click.echo(shown(report, output))
    if report.count("failed"):
        raise SystemExit(1)
    if strict and report.count("manual"):
        raise SystemExit(3)


@contextmanager
def _settings(where: Where, store_kind: str) -> Iterator[Settings]:
    """Those of the place that is meant. AWS has no endpoint to name: where it is asked for, it is meant."""
    if store_kind == "aws" and where == Where():
        yield load_settings()
        return
    from functions.cli.places import opened

    with opened(where) as place:
        yield place.services.settings


def shown(report: Report, output: str) -> str:
    """The report as text: a table for people, JSON or YAML for programs."""
    if output == "table":
        return _table(report)
    document: dict[str, Any] = {
        "store": report.store,
        "applied": report.applied,
        "items": [asdict(item) for item in report.items],
    }
    if output == "json":
        return json.dumps(document, indent=2)
    import yaml

    return yaml.safe_dump(document, sort_keys=False).rstrip()


def _table(report: Report) -> str:
    rows = [("WHAT", "NAME", "STATE"), *((item.kind, item.name, item.state) for item in report.items)]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{what:<{widths[0]}}  {name:<{widths[1]}}  {state}" for what, name, state in rows]
    notes = [f"{item.kind} {item.name}: {item.note}" for item in report.items if item.note]
    head = f"Store: {report.store}" + ("" if report.applied else "; nothing was changed, this is what would be")
    return "\n".join([head, *lines, *([""] if notes else []), *notes])
