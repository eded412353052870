"""Lists of an OData v4 service, page by page: by ``@odata.nextLink`` where the service gives one, else by ``$skip``.

Source: OData 4.01 Part 1 (server-driven paging: the link is opaque, and relative to the request where it is no whole
URL) and Part 2 (``$top``, ``$skip``). Services in operation ignore ``$top``, ``$skip`` or both, cap a page below what
was asked for, sort as they like, give a link where nothing follows, and publish while they are read. So a page that is
short is not taken for the last one; one that brings nothing new is. Each item comes once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

from shared.errors import BadInputError

Item = Mapping[str, Any]
Fetch = Callable[[str], Any]
"""The JSON document at a URL."""

MOST_PAGES: Final = 2000
_SAFE: Final = "$,'()/:*"


def query_url(url: str, options: Mapping[str, str]) -> str:
    """``url`` with query options, percent-encoded: a blank is ``%20``, which all services read, and never ``+``."""
    return f"{url}?" + "&".join(f"{quote(key, safe='$')}={quote(value, safe=_SAFE)}" for key, value in options.items())


def items(
    fetch: Fetch, url: str, options: Mapping[str, str], top: int, *, most_pages: int = MOST_PAGES
) -> Iterator[Item]:
    """Each item of the list at ``url`` once, known by its ``Id``, in the service's order; at most ``top`` in a page.

    BadInputError where an answer is no OData list, a link leads to another host, or there is no end. The pages are
    fetched as they are needed: what ``fetch`` raises comes after the items of earlier pages.
    """
    seen: set[str] = set()
    asked: set[str] = set()
    here, skipped = query_url(url, {**options, "$top": str(top)}), 0
    for _ in range(most_pages):
        asked.add(here)
        page, link = _page(fetch(here), here)
        new = [(key, item) for item in page if (key := _identity(item)) not in seen]
        for key, item in new:
            if key not in seen:  # twice in one page
                seen.add(key)
                yield item
        skipped += len(page)
        if link is not None:
            if link in asked:
                return
            here = link
        elif not new:
            return
        else:
            here = query_url(url, {**options, "$top": str(top), "$skip": str(skipped)})
    raise BadInputError(f"list {url}", f"an end within {most_pages} pages")


def without_paging(fetch: Fetch) -> Fetch:
    """``fetch`` for a service that rejects ``$top`` and ``$skip``: it is asked without, and for each address once."""
    asked: set[str] = set()

    def whole(url: str) -> Any:
        address, _, query = url.partition("?")
        options = [each for each in query.split("&") if each and not each.startswith(("$top=", "$skip="))]
        plain = "?".join([address, "&".join(options)] if options else [address])
        if plain in asked:
            return {"value": []}
        asked.add(plain)
        return fetch(plain)

    return whole


def _page(document: Any, here: str) -> tuple[list[Item], str | None]:
    found = document.get("value") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise BadInputError(f"answer of {here}", "an object with a list named value", type(document).__name__)
    for item in found:
        if not isinstance(item, dict):
            raise BadInputError(f"answer of {here}, value", "a list of objects", item)
    link = document.get("@odata.nextLink")
    if link is None or link == "":
        return found, None
    if not isinstance(link, str):
        raise BadInputError(f"answer of {here}, @odata.nextLink", "a URL", link)
    absolute = joined(here, link)
    if origin(absolute) != origin(here):
        # It would be asked with our credentials.
        raise BadInputError(f"answer of {here}, @odata.nextLink", "a link to the same host", link)
    return found, absolute


def joined(here: str, link: str) -> str:
    """Where ``link``, found in an answer of ``here``, leads to. BadInputError where it is no URL."""
    try:
        return urljoin(here, link)
    except ValueError as error:
        raise BadInputError("link in an answer", "a URL", str(error)) from None


def origin(url: str) -> tuple[str, str]:
    """Scheme, and host with port: where credentials for ``url`` belong. BadInputError where it is no URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadInputError("link in an answer", "a URL", str(error)) from None
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, f"{parts.hostname}:{port or default}"


def _identity(item: Item) -> str:
    """What tells an item from others; of one without an ``Id``, all that it says."""
    found = item.get("Id", item.get("@odata.id"))
    return str(found) if found is not None else repr(sorted(item.items(), key=str))
