"""The table of auxiliary types, as data."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import yaml
from pydantic import ValidationError

from shared.domain.auxiliary.types import TypeTable
from shared.errors import ConfigurationError

TABLE: Final = Path(__file__).parent / "types.yaml"


@cache
def load_types(path: Path = TABLE) -> TypeTable:
    """The table at ``path``. ConfigurationError naming the file and the field where it breaks the model."""
    try:
        return TypeTable.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: expected YAML: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{path}, {where}: {first['msg']}") from None
