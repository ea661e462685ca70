"""The time that an HTTP server tells with each of its answers (RFC 9110, 6.6.1), whoever asks."""

from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit

PATIENCE = 10.0  # seconds


def http_date(url: str) -> float | None:
    """Return the server's clock in seconds of the epoch; None where it does not answer, or tells no time.

    It is asked without any credentials: what it refuses is dated too. An answer that was kept on the way tells no time.
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
    import urllib.request  # only where something is in a bucket

    class Stay(urllib.request.HTTPRedirectHandler):
        """Another server's time is another server's."""

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
