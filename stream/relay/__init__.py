"""Carries the daemon's messages on: to an MQTT broker, a web address, phones (docs/sinks.md)."""
