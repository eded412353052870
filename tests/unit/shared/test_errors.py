from __future__ import annotations

import pickle

import pytest

from shared.errors import AbsentError, BadInputError, ObjectAbsentError, PermanentError, RetryableError, S2psError


def test_bad_input_crosses_a_process_border_with_its_words() -> None:
    error = BadInputError("manifest.safe, size", "a number", "many")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    assert str(again) == str(error) == "manifest.safe, size: expected a number, found 'many'"
    assert isinstance(again, BadInputError)


def test_hostile_text_is_shown_harmless_and_short() -> None:
    text = str(BadInputError("name", "a name", "\x1b[2J" + "x" * 10_000))
    assert "\x1b" not in text
    assert len(text) < 200


@pytest.mark.parametrize("branch", [RetryableError, PermanentError, AbsentError])
def test_each_error_stands_in_exactly_one_branch(branch: type[S2psError]) -> None:
    others = {RetryableError, PermanentError, AbsentError} - {branch}
    for kind in branch.__subclasses__():
        assert not issubclass(kind, tuple(others))
    assert issubclass(ObjectAbsentError, AbsentError)
