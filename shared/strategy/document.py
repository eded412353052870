"""A strategy as a YAML document: what is wrong with one is told by the place in it."""

from __future__ import annotations

from typing import Any, Final

import yaml
from pydantic import ValidationError

from shared.domain.strategy import Strategy
from shared.errors import BadInputError

MOST_BYTES: Final = 1 << 20


class _Loader(yaml.SafeLoader):
    """YAML without anchors, which could make a small document large, and without keys that stand twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not taken", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        known = set[str]()
        for key, _ in node.value:
            text = str(key.value)
            if text in known:
                raise yaml.constructor.ConstructorError(None, None, f"{text} stands twice", key.start_mark)
            known.add(text)
        return super().construct_mapping(node, deep)


def parse_strategy(body: bytes, name: str) -> Strategy:
    """The strategy of a document. BadInputError names the document, the place in it, and what was expected."""
    if len(body) > MOST_BYTES:
        raise BadInputError(name, f"at most {MOST_BYTES} bytes", len(body))
    try:
        document = yaml.load(body, _Loader)  # noqa: S506 - a SafeLoader, and stricter
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise BadInputError(f"{name}{line}", f"YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInputError(name, f"YAML: {str(error)[:200]}") from None
    if not isinstance(document, dict):
        raise BadInputError(name, "a mapping with name and rules", type(document).__name__)
    try:
        return Strategy.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)
        wrong = "; ".join(f"{_place(item['loc'], document)}: {_said(item['msg'])}" for item in first[:10])
        raise BadInputError(f"{name}, {wrong}", "a strategy as docs/strategy.md has it") from None


def _place(location: tuple[int | str, ...], document: dict[Any, Any]) -> str:
    """``rules.deep.then.levels.0``: rules by their names, where they have one."""
    parts = [str(part) for part in location]
    if len(location) > 1 and location[0] == "rules" and isinstance(location[1], int):
        try:
            parts[1] = str(document["rules"][location[1]]["name"])[:48]
        except (KeyError, IndexError, TypeError):
            parts[1] = str(location[1] + 1)
    return ".".join(parts) or "strategy"


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")


def format_strategy(strategy: Strategy) -> bytes:
    """A document that says what ``strategy`` says."""
    content = strategy.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120).encode()
