"""To phones and chats, by Apprise: in plain words."""

from __future__ import annotations

import logging
import re

import apprise

from stream.config_sinks import AppriseSink
from stream.relay.base import REFUSALS, NotDelivered, Parcel, Refused, RelayError
from stream.secrets import hide

MAX_URLS = 20

_STATUS = re.compile(r"\berror[=:]\s*(\d{3})\b")


class AppriseRelay:
    """Tells every service of a list; those that took a message do not get it again because another one did not.

    Args:
        entry: the sink.
        urls: of the services, with white space between them.

    Raises:
        RelayError: one is none that Apprise knows.
    """

    def __init__(self, entry: AppriseSink, urls: str) -> None:
        self._name = entry.name
        self._services = [_service(url, number) for number, url in enumerate(urls.split(), 1)]
        if not 1 <= len(self._services) <= MAX_URLS:
            raise RelayError(f"{len(self._services)} addresses of services; expected 1 to {MAX_URLS}")
        self.target = f"Apprise ({', '.join(str(service.service_name) for service in self._services)})"
        self._told: set[int] = set()
        """Which services took the message that is on its way."""
        self._on_way = ""
        self._log = _Listener()
        logger = logging.getLogger("apprise")
        logger.handlers, logger.propagate = [self._log], False  # its texts hold addresses, which are secrets
        logger.setLevel(logging.WARNING)

    def tend(self) -> None:
        """Do nothing: a service is only tried with a message."""
        return

    def probe(self) -> bool:
        """Return False: it cannot be tried without a message."""
        return False

    def send(self, parcel: Parcel) -> None:
        """Tell all services that have not been told.

        Raises:
            NotDelivered: one of them did not take it.
            Refused: all that did not take it say that they never will.
        """
        if parcel.id != self._on_way:
            self._on_way, self._told = parcel.id, set()
        title, kind = _title(parcel), _kind(parcel)
        failed: list[str] = []
        codes: list[int | None] = []
        for number, service in enumerate(self._services):
            if number in self._told:
                continue
            self._log.status = None
            if service.notify(body=parcel.text, title=title, notify_type=kind):
                self._told.add(number)
            else:
                code = self._log.status
                codes.append(code)
                failed.append(f"{service.service_name}" + (f" (HTTP {code})" if code else ""))
        if failed:
            raise (Refused if set(codes) <= REFUSALS else NotDelivered)(f"not taken by {', '.join(failed)}")

    def close(self) -> None:
        """Do nothing: there is no connection."""
        return


class _Listener(logging.Handler):
    """Takes the status of a web service's answer out of what Apprise logs, which is the only place that has it."""

    status: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        found = _STATUS.search(record.getMessage())
        if found:
            self.status = int(found[1])


def _service(url: str, number: int) -> apprise.NotifyBase:
    hide(url)
    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if not isinstance(service, apprise.NotifyBase):
        raise RelayError(f"address {number} of the list (not shown) is none that Apprise knows; expected its URLs")
    return service


def _title(parcel: Parcel) -> str:
    event = parcel.event
    if event is None:
        return f"posewire: {parcel.topic}"
    over = {"start": "", "update": " goes on", "end": " is over"}[event.phase]
    return f"{event.severity}: {event.name}{over} ({parcel.source})"


def _kind(parcel: Parcel) -> apprise.NotifyType:
    event = parcel.event
    if event is None:
        return apprise.NotifyType.WARNING
    if event.phase == "end":
        return apprise.NotifyType.SUCCESS
    return {
        "info": apprise.NotifyType.INFO,
        "alert": apprise.NotifyType.WARNING,
        "critical": apprise.NotifyType.FAILURE,
    }[event.severity]
