"""The parts of the watch for anomalies that a configuration names, loaded and joined."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import ModelError
from stream.anomaly import AnomalyWatch
from stream.anomaly_file import Anomalies, NormalFile
from stream.anomaly_views import AnomalyView, GraphView, PointView
from stream.config import Config
from stream.daemon.state_folder import state_path
from stream.pipeline import PipelineSettings
from stream.types import Float32Array

if TYPE_CHECKING:
    from models.recogniser import Recogniser

POINTS = Path(__file__).parents[1] / "models" / "weights" / "pointset"
NORMAL = "normal.safetensors"
"""File of what is normal, in the state folder."""


def make_anomalies(
    config: Config, recogniser: Recogniser, settings: PipelineSettings, vectors: Float32Array
) -> Anomalies:
    """The configured watch for anomalies, whether it is switched on or not; it knows of nothing normal yet.

    Args:
        config: what to watch for.
        recogniser: the model that the pipeline encodes windows with.
        settings: of the pipeline.
        vectors: (K, D) of the texts of `[anomaly]`.

    Raises:
        ModelError: the encoder cannot be used.
        StateError: there is no place for the file of what is normal.
    """
    section = config.anomaly
    view = _view(section.encoder, recogniser)
    path = Path(section.normal) if section.normal else state_path(config.node) / NORMAL
    watch = AnomalyWatch(view, section.prompts, vectors, section.settings(settings.events))
    return Anomalies(watch, NormalFile(path, view.space))


def _view(encoder: str, recogniser: Recogniser) -> AnomalyView:
    if encoder == "graph":
        from models.graph_anomaly import GraphAnomaly

        return GraphView(GraphAnomaly(recogniser))
    from models.pointset_model import load_pointset

    points = load_pointset(POINTS)
    if points.text_model != recogniser.text_model:
        raise ModelError(
            f"anomaly.encoder points: its texts are of {points.text_model}, those of model.path of "
            f"{recogniser.text_model}; expected the same, or graph"
        )
    return PointView(points)
