"""What the tasks of a datastrip wrote so far, and which of it feeds the next one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from shared.errors import NotReadyError
from shared.tasktable.model import Task
from shared.tasktable.scheme import Mode, Producer, Scheme, Source

# Tasks that write products of a level, by a part of their names. What they write is told from the data of the
# processing, except at Level 0, where it is both.
LEVELS: Final = ("L0C", "L1A", "L1B", "L1C", "PVI")


@dataclass(frozen=True, slots=True)
class Made:
    """An output of a task of a mode, under an absolute path."""

    mode: str
    task: str
    file_type: str
    path: str
    level: str = ""
    is_file: bool = False


History = tuple[Made, ...]


def made_by(task: Task, mode: str, folder: str) -> Iterator[Made]:
    """The outputs of a task that later ones may read; ``folder`` is the one in which the task works."""
    level = next((level for level in LEVELS if level in task.name), "")
    for output in task.outputs:
        if output.file_type == "REPORT" or output.destination == "DB":
            continue
        path, is_file = (
            output_path(output.file_type, output.file_name_type, folder),
            output.file_name_type != "Directory",
        )
        if level:
            yield Made(mode, task.base_name, output.file_type, path, level, is_file)
        if level in {"", "L0C"}:
            yield Made(mode, task.base_name, output.file_type, path, "", is_file)


def output_path(file_type: str, file_name_type: str, folder: str) -> str:
    """Where a task that works in ``folder`` writes an output: a folder of the type's name, or an XML file in it."""
    path = f"{folder}/output/{file_type}"
    return path if file_name_type == "Directory" else f"{path}/{file_type.lower()}.xml"


def add(history: History, more: Iterable[Made]) -> History:
    """``history`` and ``more``, each output once, in its latest place."""
    new = tuple(dict.fromkeys(more))
    return tuple(made for made in history if made not in new) + new


def leave(history: History, mode: Mode, name: str) -> History:
    """What later modes may read of ``history`` once mode ``name`` is over."""
    return tuple(made for made in history if made.mode != name or made.file_type not in mode.exclude.get(made.task, ()))


def latest(history: History, source: Source) -> Made | None:
    """The last output of that type and level (and task, where one is named)."""
    for made in reversed(history):
        if (made.file_type, made.level) == (source.type, source.level) and source.task in {"", made.task}:
            return made
    return None


def feeders(history: History, scheme: Scheme, task: str, file_type: str) -> tuple[Made, ...]:
    """The outputs that feed input ``file_type`` of ``task``.

    By the producers of the scheme; for others, the last output of the type. A task of the same pool is none: the two
    run at the same time. (In the reference it may be one, as it happens.) NotReadyError where an output is missing.
    """
    producers = scheme.producers.get(task, {}).get(file_type)
    if producers is None:
        found = latest(history, Source(type=file_type))
        if found is None:
            raise NotReadyError(f"task {task}, input {file_type}: no earlier task wrote it")
        return (found,)
    return tuple(dict.fromkeys(made for producer in producers for made in _of(history, producer, task, file_type)))


def _of(history: History, producer: Producer, task: str, file_type: str) -> Iterator[Made]:
    for names in producer.tasks:
        for name in names.split("|"):
            found = latest(history, Source(type=producer.type, level=producer.level, task=name))
            if found is not None:
                yield found
                break
        else:
            raise NotReadyError(f"task {task}, input {file_type}: {names} has not written {producer.type}")
