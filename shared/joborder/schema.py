"""The XML schema of job orders, for tools that speak it, and the check by it where lxml is installed.

The reader does not need it: it is at least as strict, which the tests hold it to, and runs without lxml.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from shared.errors import BadInputError
from shared.xmltree import parse_tree

if TYPE_CHECKING:
    from lxml import etree


def schema_document() -> bytes:
    """``joborder.xsd``, as it is packaged."""
    return files("shared.joborder").joinpath("joborder.xsd").read_bytes()


@cache
def _schema() -> etree.XMLSchema:
    from lxml import etree

    return etree.XMLSchema(etree.fromstring(schema_document()))


def check_by_schema(document: bytes, what: str = "job order") -> None:
    """Raise BadInputError, with ``what`` and the element, where the schema refuses ``document``.

    Read within the same bounds as any document from outside, and without its stray namespaces.
    """
    import xml.etree.ElementTree as ET

    from lxml import etree

    schema = _schema()
    # Through our own bounded parser first: what lxml sees has no document type and no entity.
    plain = etree.fromstring(ET.tostring(parse_tree(document, what)))
    if not schema.validate(plain):
        log: Any = schema.error_log  # which the stubs leave empty
        first = log[0]
        raise BadInputError(f"{what}, {first.path}", "a document that joborder.xsd accepts", first.message)
