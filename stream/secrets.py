"""Passwords of cameras: where they come from, and how they are kept out of everything that is written.

A password is read when a camera is opened, joined with its URL for that moment only, and remembered by this process so
that `redact` finds it in any text. It never stands in the configuration, on a command line or in an error.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, quote_plus, unquote, urlsplit, urlunsplit

from stream.errors import SourceError

MASK = "***"
USER, PASSWORD = "{user}", "{password}"
"""What stands in a camera's URL for the user and the password, where they do not stand before the host."""
MAX_BYTES = 4096
"""Of a password file; what is longer is another kind of file."""

_NAMED = re.compile(rf"(\w[\w.-]*)[\]\s]*[=:](?!{re.escape(PASSWORD)}|$|[&;,/?#]|_[a-z]+=)", re.IGNORECASE)
"""A name before a value, such as `user_password=X`; not before an empty one, as in `password=_channel=1`."""
_SECRET_NAME = re.compile(
    r"passw|passphrase|passcode|pwd|psw|token|secret|credential|authoriz|signature"
    r"|(pas|pass|pw|key|auth|sig)(\b|[\d_])|(\b|_)pin(\b|_)",
    re.IGNORECASE,
)
"""In or at the end of a word: `api_key` is a secret's name, `videokeyframeinterval` is not."""
_SECRET_FOLDER = re.compile(rf"/(password|passwd|pwd|token|secret)/(?!{re.escape(PASSWORD)})[^/]", re.IGNORECASE)

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_hidden: set[str] = set()
_warned: set[str] = set()


def read_password(
    where: str, *, env: str = "", file: str = "", warn: bool = True, what: str = "the camera's password"
) -> str:
    """Return the password from an environment variable or a file, and have `redact` hide it from now on.

    One line end after it is not part of it. A file that others may read is taken, as containers mount their secrets
    so, but warned of once.

    Args:
        where: the source, for the error.
        env, file: the variable's name or the file's path; one of the two is given.
        warn: whether to; False where it is read again by another process, which warns.
        what: which secret it is, for the error.

    Raises:
        SourceError: it is not set, cannot be read, or is empty.
    """
    if env:
        origin, password = f"environment variable {env}", os.environ.get(env)
        if password is None:
            raise SourceError(where, f"{origin} is not set; expected {what}")
    else:
        origin, password = f"password file {file}", _from_file(where, Path(file), warn, what)
    password = password.removesuffix("\n").removesuffix("\r")
    if not password or not password.isprintable():
        raise SourceError(where, f"{origin} is empty or not one line of text; expected {what}")
    hide(password)
    return password


def _from_file(where: str, path: Path, warn: bool, what: str) -> str:
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SourceError(where, f"password file {path} is longer than {MAX_BYTES} bytes; expected {what}")
        text = content.decode()
    except OSError as error:
        raise SourceError(where, f"password file {path} cannot be read ({error.strerror}); expected {what}") from None
    except UnicodeDecodeError:  # which would quote the bytes
        raise SourceError(where, f"password file {path} is not UTF-8 text; expected {what}") from None
    if warn and os.name == "posix" and mode & 0o077 and str(path) not in _warned:
        _warned.add(str(path))
        _log.warning("password file %s can be read by others; expected mode 0600 (chmod 600)", path)
    return text


def hide(secret: str, *, user: str = "") -> None:
    """Have `redact` hide this secret in every form that it may take in a text.

    Args:
        secret: a password.
        user: whose it is: HTTP sends the two together in base64.
    """
    forms = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe=""), quote(secret)}
    forms |= {quote_plus(secret), base64.b64encode(f"{user}:{secret}".encode()).decode()}
    forms |= {re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), form) for form in forms}
    with _lock:
        _hidden.update(form for form in forms if form)


def redact(text: str) -> str:
    """Return the text with `***` for every secret that this process has read, wherever it stands: a password of one
    letter costs all texts that letter.
    """
    with _lock:
        forms = sorted(_hidden, key=len, reverse=True)  # the longer first: one may be part of another
    for form in forms:
        text = text.replace(form, MASK)
    return text


def with_credentials(url: str, user: str, password: str) -> str:
    """Return the URL with user and password, percent-encoded; use it at once and keep it nowhere.

    They take the places of `{user}` and `{password}`, or stand before the host where the URL has none of these.
    """
    if password:
        hide(password, user=user)
    name, word = quote(user, safe=""), quote(password, safe="")
    if USER in url or PASSWORD in url:
        return url.replace(USER, name).replace(PASSWORD, word)
    parts = urlsplit(url)
    login = name + (":" + word if password else "")
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}")) if login else url


def shown_url(url: str) -> str:
    """Return the URL as errors and logs name it: scheme, host, port and path, and the latter only if it holds no
    password; `{user}` and `{password}` stay as they are.
    """
    parts = urlsplit(url)
    path = f"/{MASK}" if holds_password(parts.path) else parts.path
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))


def holds_password(url: str) -> bool:
    """Whether a URL's path, query or fragment holds what is called a password, token or key: literally, not as
    `{password}`, and not empty.
    """
    plain = urlunsplit(("", "", *urlsplit(url)[2:]))
    while (decoded := unquote(plain)) != plain:  # whoever encodes a name twice does not hide it
        plain = decoded
    return any(_SECRET_NAME.search(name[1]) for name in _NAMED.finditer(plain)) or bool(_SECRET_FOLDER.search(plain))


class RedactingFilter(logging.Filter):
    """Keeps secrets out of log records; a filter of a handler sees all records that the handler writes."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(record.exc_info[1])).rstrip()
        if record.exc_text:
            record.exc_text = redact(record.exc_text)  # formatters take it as it is
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


def guard_outputs() -> None:
    """Keep secrets out of what this process writes by itself: the root logger's handlers and uncaught exceptions.

    Call it once, after the handlers have been set up.
    """
    for handler in logging.getLogger().handlers:
        handler.addFilter(RedactingFilter())

    def report(_kind: type[BaseException], value: BaseException | None, _trace: TracebackType | None) -> None:
        if value is not None and not isinstance(value, SystemExit):
            sys.stderr.write(redact("".join(traceback.format_exception(value))))

    sys.excepthook = report
    threading.excepthook = lambda hook: report(hook.exc_type, hook.exc_value, hook.exc_traceback)
