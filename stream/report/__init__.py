"""The self-contained HTML report of a replay: skeletons, scores over time and events in one file."""

from stream.report.builder import ReportBuilder, ReportError

__all__ = ["ReportBuilder", "ReportError"]
