"""An Auxiliary Data Interface Delivery Point (AUXIP) on OData v4: what was published, and its bytes.

``Products?$filter=PublicationDate ge <time>`` in pages, ``Products(<id>)/$value`` for the bytes. Source: the interface
as the Auxiliary Data Gathering Service provides it, and what clients of such services have met: see ``odata_paging``;
services that reject ``ge`` are asked by ``gt`` from a moment earlier; fields that are null; dates with any number of
decimals.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.adapters.odata import ODataService, RejectedQueryError
from shared.adapters.odata_paging import Item, items
from shared.errors import BadInputError

_log: Final = logging.getLogger(__name__)
_IDENTITY: Final = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
_HEX: Final = re.compile(r"[0-9A-Fa-f]+", re.ASCII)
_MOMENT: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class AuxiliaryProduct:
    """One product as listed. ``published``, ``size`` and digests are None or empty where the service does not say."""

    id: str
    name: str
    published: datetime | None = None
    size: int | None = None
    md5: str = ""
    sha256: str = ""


class AuxipSource:
    """The AUXIP ``name`` whose service root is ``url``. ``name_prefix``: of the products asked for; empty for all."""

    def __init__(self, name: str, url: str, service: ODataService, *, page: int = 500, name_prefix: str = "S2") -> None:
        self.name = name
        self._products = f"{url.rstrip('/')}/Products"
        self._service, self._page, self._prefix = service, page, name_prefix
        self._exclusive = False

    def published(self, since: datetime) -> Iterator[AuxiliaryProduct]:
        """Each product published at ``since`` or later, and those of no date that the service lists with them.

        Errors may come after some products were given.
        """
        given = False
        try:
            for product in self._list(since):
                given = True
                yield product
        except RejectedQueryError:
            if given or self._exclusive:
                raise
            _log.info("AUXIP %s rejects ge, asked by gt from now on", self.name)
            self._exclusive = True
            yield from self._list(since)

    def read(self, product: str, *, start: int = 0) -> Iterator[bytes]:
        """The bytes of the product of this id. ObjectAbsentError where it is not (any more)."""
        if not _IDENTITY.fullmatch(product):
            raise BadInputError(f"AUXIP {self.name}, product id", "a plain id", product)
        return self._service.read(f"{self._products}({product})/$value", start=start)

    def _list(self, since: datetime) -> Iterator[AuxiliaryProduct]:
        after = f"gt {_literal(since - _MOMENT)}" if self._exclusive else f"ge {_literal(since)}"
        named = f" and startswith(Name,'{self._prefix}')" if self._prefix else ""
        options = {"$filter": f"PublicationDate {after}{named}", "$orderby": "PublicationDate asc"}
        for item in items(self._service.get_json, self._products, options, self._page):
            product = _product(item)
            if product is None:
                _log.warning("AUXIP %s lists a product without id or name, passed over: %.200r", self.name, item)
            else:
                yield product


def _literal(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def _product(item: Item) -> AuxiliaryProduct | None:
    identity, name = item.get("Id"), item.get("Name")
    if not isinstance(identity, str) or not isinstance(name, str) or not _IDENTITY.fullmatch(identity):
        return None
    size = item.get("ContentLength")
    digests = _digests(item.get("Checksum"))
    return AuxiliaryProduct(
        id=identity,
        name=name,
        published=_date(item.get("PublicationDate")),
        size=size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
        md5=digests.get("MD5", ""),
        sha256=digests.get("SHA256", ""),
    )


def _date(value: Any) -> datetime | None:
    if not isinstance(value, str) or not value.isascii():
        return None
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _digests(value: Any) -> dict[str, str]:
    """Checksums by algorithm, as ``MD5`` and ``SHA256``; only those that are hexadecimal and of the right length."""
    found: dict[str, str] = {}
    for each in value if isinstance(value, list) else ():
        if isinstance(each, dict) and isinstance(each.get("Value"), str) and isinstance(each.get("Algorithm"), str):
            algorithm = each["Algorithm"].upper().replace("-", "")
            if len(each["Value"]) == {"MD5": 32, "SHA256": 64}.get(algorithm) and _HEX.fullmatch(each["Value"]):
                found[algorithm] = each["Value"].lower()
    return found
