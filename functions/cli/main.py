"""The operator's console, installed as ``s2ps`` and as ``kn-s2ps``, so that ``kn s2ps`` finds it.

Exit codes: 0 done, 1 an error, 2 wrong usage; ``run`` has one more. Errors are one line on standard error. Commands
are imported when they are called for: a help text costs no import of a store, a processor or a simulator.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Final, NoReturn

import click

from functions.cli.safe import safe
from shared.errors import S2psError

COMPLETE: Final = "_S2PS_COMPLETE"
"""The variable by which a shell asks for completions, under either name of the program."""
INTERRUPTED: Final = 130

COMMANDS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "What stands where": {
        "sessions": ("functions.cli.reading:sessions", "Sessions, and how each stands."),
        "status": ("functions.cli.reading:status", "How one session stands: files, work items, account."),
        "products": ("functions.cli.reading:products", "Products on the shelf."),
        "work": ("functions.cli.working:work", "Work items, how each stands, and its slack."),
        "why": ("functions.cli.asking:why", "Why something is as it is, and what to do."),
        "watch": ("functions.cli.watching:watch", "Watch sessions until their accounts are closed."),
        "trace": ("functions.cli.tracing:trace", "The waterfall of a session, and its own time."),
        "plan": ("functions.cli.plan:plan", "Planned passes: seen, or missing."),
        "actions": ("functions.cli.actions:actions", "What operators did: who, when, why."),
        "account": ("functions.cli.account:account", "Are the accounts those that were closed?"),
        "drops": ("functions.cli.drops:drops", "What lay in the drop box, and what came of it."),
        "dead-letters": ("functions.cli.letters:dead_letters", "Events that nothing could handle."),
    },
    "Steer": {
        "retry": ("functions.cli.steering:retry", "Give failed work new attempts."),
        "park": ("functions.cli.steering:park", "Hold a session or a work item."),
        "release": ("functions.cli.steering:release", "Undo a hold, or go on with a parked session."),
        "replay": ("functions.cli.steering:replay", "Let an event happen again."),
        "submit": ("functions.cli.steering:submit", "Process a product on that was made elsewhere."),
    },
    "Tune": {
        "strategy": ("functions.cli.strategy:strategy", "The rules by which sessions are processed."),
        "rehearse": ("functions.rehearse.command:rehearse", "Rehearse a day of passes, and faults."),
    },
    "Set up": {
        "store": ("functions.cli.store:store", "Buckets, lifecycle and notifications of a store."),
        "version": ("functions.cli.version:version", "The version, and where it looks."),
        "completion": ("functions.cli.completion:completion", "Completion for a shell."),
    },
    "On this machine": {
        "run": ("functions.cli.demo:run", "Play a simulated pass through the whole service."),
        "up": ("functions.cli.local:up", "Bring a run up."),
        "down": ("functions.cli.local:down", "Bring a run down."),
        "simulate": ("shared.rehearsal.__main__:main", "Record a downlink session."),
        "station": ("shared.rehearsal.station:main", "Serve a recording as a station does."),
    },
}
_TARGETS: Final = {name: target for section in COMMANDS.values() for name, (target, _) in section.items()}
_OURS: Final = ("functions", "eventing", "shared")


class Console(click.Group):
    """The group of all commands: what they are called, how errors end, and what a missing library means."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(_TARGETS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        if cmd_name not in _TARGETS:
            return None
        module, _, attribute = _TARGETS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's
        """From the table above: no command is imported for it."""
        for section, commands in COMMANDS.items():
            with formatter.section(section):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and leave the process with an exit code; errors are told as ``kn`` tells them."""
        prog_name, complete_var = prog_name or called_as(sys.argv[0]), complete_var or COMPLETE
        for number, word in enumerate(sys.argv[1:] if args is None else args, 1):
            if not word.isascii() and not _is_text(word):
                _fail(f"argument {number}: expected text in UTF-8, found {word!a}", 2)
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx is not None else prog_name
            _fail(error.format_message(), error.exit_code, f"Run '{where} --help' for usage")
        except click.ClickException as error:
            _fail(error.format_message(), error.exit_code)
        except S2psError as error:
            _fail(str(error))
        except OSError as error:  # a full disk, a folder that may not be written; a closed pipe ends in click
            _fail(f"{error.filename or 'system'}: {error.strerror or error}")
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in _OURS:
                raise
            _fail(f"this command needs {error.name}, which is not installed here")
        except click.Abort:
            sys.exit(INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)


def _is_text(word: str) -> bool:
    """Whether what the system handed over is text: octets that are none stand in it as surrogates."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fail(message: str, code: int = 1, hint: str = "") -> NoReturn:
    first, *rest = message.strip().splitlines() or ["unknown"]
    click.echo(f"Error: {safe(first)}", err=True)
    for line in (*rest, hint):  # the tail of a log, where there is one
        if line:
            click.echo(safe(line), err=True)
    sys.exit(code)


def called_as(path: str) -> str:
    """The name that the program was called by, as its user typed it: ``kn`` runs ``kn-s2ps`` for ``kn s2ps``."""
    return "kn s2ps" if PurePath(path).stem == "kn-s2ps" else "s2ps"


@click.group(
    cls=Console, name="s2ps", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
def main() -> None:
    """Sentinel-2 downlink sessions to products: see what stands where, why, and steer it.

    It looks at the run of --run-dir; else at the cluster of -n, --context or --kubeconfig; else at the store of
    S2PS_STORE_ENDPOINT; else at the run in runs/default, where that is up; else at the cluster of kubectl's current
    context. `version` says where.
    """


if __name__ == "__main__":
    main()
