"""From scores to events: one start, rate-limited updates, one end, with one id for life (docs/events.md)."""

from stream.events.engine import EventEngine
from stream.events.identity import event_id
from stream.events.permit import Permit
from stream.events.settings import EventSettings, Overrides, Rule
from stream.events.suppression import Suppression, Suppressions, Withheld

__all__ = [
    "EventEngine",
    "EventSettings",
    "Overrides",
    "Permit",
    "Rule",
    "Suppression",
    "Suppressions",
    "Withheld",
    "event_id",
]
