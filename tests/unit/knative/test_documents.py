"""What the documents tell operators to type, against the console, kubectl and the settings that there are."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import pytest

from functions.cli.main import main
from shared.settings import Settings
from tests.support.manifests import ROOT, kubectl

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "functions/**/*.md", "knative/**/*.md", "shared/**/*.md")
    for path in ROOT.glob(pattern)
)
# Read beside the settings: who acts, where spans go, the stand-ins' orders, the tests' data.
BESIDE = {"S2PS_OPERATOR", "S2PS_STANDIN", "S2PS_TEST_DATA", "S2PS_TRACE_DIR"}
NOBODY = "--server=http://127.0.0.1:9"
"""Where kubectl finds no cluster: what it then complains of is the cluster, or before that the command."""


def code(path: Path) -> Iterator[str]:
    """Each line of a document's blocks of code, and each piece of code in its text."""
    fenced = False
    for line in path.read_text().replace("\\\n", " ").splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced:
            yield line
        elif line.startswith("    "):
            yield re.split(r"\s{3,}", line.strip())[0]
        else:
            yield from re.findall(r"`([^`]+)`", line)


def commands(path: Path, program: str) -> Iterator[list[str]]:
    """The words after each call of ``program``, whatever stands before and after it in its line."""
    for piece in code(path):
        for part in re.split(r"\\?\||;|&&", re.sub(r"\s# .*", "", piece)):
            called = re.match(
                rf"(?:\$ )?(?:xargs )?(?:\.venv/bin/|kn )?{program}\s+(?!is\b|\.{{3}})(\S.*)", part.strip()
            )
            if called is not None:
                yield shlex.split(re.sub(r"<[^>]*>|\.\.\.", "x", called[1]), comments=True)


def top() -> click.Context:
    """As the console makes it: a command keeps the names of the help option of the first context that asks for them."""
    return click.Context(main, info_name="s2ps", **main.context_settings)


def refused(words: list[str]) -> str:
    """Why the console does not know a command line; empty where it does. Nothing runs."""
    command: click.Command = main
    context = top()
    try:
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            name, *words = words
            found = command.get_command(context, name)
            if found is None:
                return f"no command {name}"
            command, context = found, click.Context(found, info_name=name, parent=context)
        _, left, _ = command.make_parser(context).parse_args(words)
        if left:
            return f"unexpected: {' '.join(left)}"
    except click.UsageError as error:
        return error.format_message()
    return ""


@pytest.mark.parametrize(
    "words", [["sesions"], ["store", "set-up"], ["sessions", "--opn"], ["work", "x"], ["replay", "x", "--reason"]]
)
def test_a_command_line_that_is_wrong_is_found(words: list[str]) -> None:
    assert refused(words) != ""


def test_every_command_of_the_console_that_is_told_is_there() -> None:
    told = [(path.name, words) for path in DOCUMENTS for words in commands(path, "s2ps")]
    wrong = {f"{name}: s2ps {' '.join(words)}": why for name, words in told if (why := refused(words))}
    assert wrong == {}
    assert len(told) > 100


def test_every_command_of_the_console_is_told() -> None:
    told = {words[0] for path in DOCUMENTS for words in commands(path, "s2ps")}
    told |= {piece for path in DOCUMENTS for piece in code(path)}
    assert set(main.list_commands(top())) - told == set()


def test_every_setting_that_is_told_is_one() -> None:
    known = {f"S2PS_{name.upper()}" for name in Settings.model_fields} | BESIDE
    told = {name for path in DOCUMENTS for name in re.findall(r"\bS2PS_[A-Z_]*[A-Z]\b", path.read_text())}
    assert told - known == set()


def test_kubectl_takes_every_command_that_is_told() -> None:
    """As far as to ask for a cluster: its options, and types beside names, it judges before."""
    program = kubectl()
    if program is None:
        pytest.skip("no kubectl beside this Python; `make unit` brings it")

    def said(words: list[str]) -> str:
        done = subprocess.run([program, NOBODY, *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stderr

    told = {
        tuple(words)
        for path in (ROOT / "docs" / "operations.md", *(ROOT / "knative" / "overlays").glob("*/README.md"))
        for words in commands(path, "kubectl")
        # What comes from the network or a file of the operator's, and what needs no cluster.
        if words[0] != "kustomize" and words[-1] != "-k"
        if not re.search(r"http|--from-[a-z-]*file|ca\.crt|<<", " ".join(words))
    }
    with ThreadPoolExecutor(4) as several:
        answers = dict(zip(told, several.map(lambda words: said(list(words)), told), strict=True))
    assert {" ".join(words): text for words, text in answers.items() if "refused" not in text} == {}
    assert len(told) > 20
    assert "refused" not in said(["wait", "--for=condition=Ready", "broker/s2ps", "trigger", "--all"])
