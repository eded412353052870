"""``s2ps completion``: what a shell needs to complete commands, options, sessions and products."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

_SHELLS = ("bash", "zsh", "fish")
_PROGRAMS = ("s2ps", "kn-s2ps")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the completion for a SHELL, of both names of the program.

    For this shell: `source <(s2ps completion bash)`, `source <(s2ps completion zsh)`, or
    `s2ps completion fish | source`; for every one, in its start-up file.
    """
    from functions.cli.main import COMPLETE, main

    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"no completion for {shell}")
    for program in _PROGRAMS:
        # The base class's: that of bash starts a bash to ask for its version.
        click.echo(ShellComplete.source(made(main, {}, program, COMPLETE)))
