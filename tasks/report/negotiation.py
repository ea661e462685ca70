"""Content negotiation by Accept and Accept-Encoding headers (RFC 9110, section 12)."""

import re
from collections.abc import Iterator

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

MOST = 64  # alternatives of a header that are read
OPEN_METRICS = "application/openmetrics-text"


def alternatives(header: str) -> list[tuple[str, str]]:
    """Return a header's alternatives, best first, as (name, original text).

    Refused ones (`q=0`) are left out; an invalid weight counts as 1.
    """
    return [(name, text) for weight, name, text in sorted(_read(header), key=lambda each: -each[0]) if weight]


def _read(header: str) -> Iterator[tuple[float, str, str]]:
    for text in header.split(",", MOST)[:MOST]:
        name, *parameters = (part.strip().lower() for part in text.split(";"))
        weights = [found[1] for each in parameters if (found := re.fullmatch(r"q\s*=\s*([01](?:\.[0-9]{0,3})?)", each))]
        if name:
            yield float(weights[0]) if weights else 1.0, name, text.strip()


def takes_gzip(header: str) -> bool:
    """Return whether an Accept-Encoding header allows gzip; `gzip` takes precedence over `*`."""
    said = {name: weight for weight, name, _ in _read(header)}
    return said.get("gzip", said.get("x-gzip", said.get("*", 0.0))) > 0


def metrics(registry: CollectorRegistry, accept: str) -> tuple[str, bytes]:
    """Return content type and text; an invalid Accept header gets plain text."""
    for name, text in alternatives(accept):
        if name == OPEN_METRICS:
            try:
                encode, kind = choose_encoder(text.lower())
                return kind, encode(registry)
            except (ValueError, TypeError, IndexError, AttributeError):
                continue
        if name in ("text/plain", "text/*", "*/*"):
            break
    encode, kind = choose_encoder("")
    return kind, encode(registry)
