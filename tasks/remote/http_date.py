"""The time in the `Date` header of an HTTP server's answer (RFC 9110, 6.6.1)."""

from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit

PATIENCE = 10.0  # seconds


def http_date(url: str) -> float | None:
    """Return the server's clock in seconds since the epoch; None if it does not answer or sends no usable date.

    The request carries no credentials: a refusal has a date too. An answer out of a cache is not used.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        return None
    try:
        headers = _headers(url)
        if headers["Age"] is not None:
            return None
        return parsedate_to_datetime(str(headers["Date"])).timestamp()
    except (OSError, HTTPException, ValueError, OverflowError):
        return None


def _headers(url: str) -> Message:
    import urllib.request  # only needed if there is a bucket

    class Stay(urllib.request.HTTPRedirectHandler):
        """Follow no redirect: another server has another clock."""

        def redirect_request(self, *_: object) -> None:
            return None

    asked = urllib.request.Request(url, method="HEAD", headers={"Cache-Control": "no-cache"})  # noqa: S310
    try:
        with urllib.request.build_opener(Stay).open(asked, timeout=PATIENCE) as answer:
            found: Message = answer.headers
            return found
    except HTTPError as refused:
        with refused:
            return refused.headers
