"""To a web address: POST of JSON, signed as Standard Webhooks has it (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError, SSLError

from stream.config_sinks import WebhookSink
from stream.relay.base import REFUSALS, NotDelivered, Parcel, Refused, RelayError

MIN_KEY, MAX_KEY = 24, 64
"""Bytes of a key, as the specification has it."""
KEY_PREFIX = "whsec_"

_MAX_ANSWER = 64 << 10


def signing_key(secret: str) -> bytes:
    """Return the key of a secret: base64, with or without `whsec_` before it.

    Raises:
        RelayError: it is none; it is not quoted.
    """
    try:
        key = base64.b64decode(secret.removeprefix(KEY_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not MIN_KEY <= len(key) <= MAX_KEY:
        raise RelayError(
            f"the secret is no key; expected {KEY_PREFIX} and base64 of {MIN_KEY} to {MAX_KEY} random bytes"
        )
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the header `webhook-signature` of a message.

    Args:
        key: see `signing_key`.
        message_id, timestamp: the headers `webhook-id` and `webhook-timestamp` (s since 1970).
        body: as it is sent.
    """
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


class WebhookRelay:
    """Posts to one address, without following redirects; certificates are checked.

    Args:
        entry: the sink.
        url: its address.
        secret: see `signing_key`.

    Raises:
        RelayError: the secret or the address is none, or there are no certificates to trust.
    """

    def __init__(self, entry: WebhookSink, url: str, secret: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RelayError("no address; expected one such as https://example.org/alarms")
        self.target = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._url, self._key, self._seconds = url, signing_key(secret), entry.timeout_s
        try:
            context = ssl.create_default_context(cafile=entry.ca_file or None)
        except (OSError, ssl.SSLError):
            raise RelayError(f"{entry.ca_file}: no certificates; expected a PEM file with those to trust") from None
        timeout = urllib3.Timeout(connect=entry.timeout_s, read=entry.timeout_s)
        self._pool = urllib3.PoolManager(1, retries=False, ssl_context=context, timeout=timeout)
        self._agent = f"posewire/{version('posewire')}"

    def tend(self) -> None:
        """Do nothing: an address is only tried with a message."""
        return

    def probe(self) -> bool:
        """Return False: it cannot be tried without a message."""
        return False

    def send(self, parcel: Parcel) -> None:
        """Post a message and wait for the answer.

        Raises:
            NotDelivered: there is none, or it is not 2xx and may change.
            Refused: the answer is that this message is wrong.
        """
        now = int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": self._agent,
            "webhook-id": parcel.id,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(self._key, parcel.id, now, parcel.body),
            "posewire-topic": parcel.topic,
        }
        try:
            answer = self._pool.request(
                "POST", self._url, body=parcel.body, headers=headers, redirect=False, preload_content=False
            )
        except (HTTPError, ValueError) as error:  # whose own texts hold the address
            raise NotDelivered(self._reason(error)) from None
        with suppress(HTTPError):  # what counts is the status, which is there
            self._read(answer)
        answer.close()  # of one that was read to its end the connection is kept
        self._judge(answer.status, answer.headers.get("retry-after"))

    def close(self) -> None:
        """Disconnect."""
        self._pool.clear()

    def _read(self, answer: urllib3.BaseHTTPResponse) -> None:
        """Read an answer, but not one without an end, however slowly it comes."""
        until, size = time.monotonic() + self._seconds, 0
        while size < _MAX_ANSWER and time.monotonic() < until and (part := answer.read1(_MAX_ANSWER)):
            size += len(part)

    def _judge(self, status: int, retry_after: str | None) -> None:
        if 200 <= status < 300:
            return
        if status in REFUSALS:
            raise Refused(f"answered {status} to a message")
        raise NotDelivered(f"answered {status}; expected 200 to 299", _seconds(retry_after))

    def _reason(self, error: Exception) -> str:
        cause = error.__cause__ or error.__context__
        if isinstance(error, NewConnectionError):  # which is a ConnectTimeoutError too
            return f"cannot connect ({getattr(cause, 'strerror', None) or 'no such host'})"
        if isinstance(error, ReadTimeoutError | ConnectTimeoutError):
            return f"no answer within {self._seconds:g} s"
        if isinstance(error, SSLError):
            inner = error.args[0] if error.args and isinstance(error.args[0], ssl.SSLError) else cause
            why = getattr(inner, "verify_message", "") or getattr(inner, "reason", "") or "TLS failed"
            return f"no trusted connection ({why})"
        return f"no whole answer ({type(error).__name__})"


def _seconds(retry_after: str | None) -> float | None:
    """What `Retry-After` says (RFC 9110, 10.2.3): seconds, or a date."""
    if not retry_after:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after.strip()[:9])
    try:
        return parsedate_to_datetime(retry_after).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
