"""Errors of models and checkpoints that a user can act on: one line that says what is wrong and what was expected."""

from __future__ import annotations


class ModelError(Exception):
    """Base of the errors that end a command with one line: a model, its files or its text cannot be used."""


class CheckpointError(ModelError):
    """A checkpoint folder is missing, damaged, or not one that this version can run."""


class TextModelMissing(ModelError):
    """Text has to be embedded, and the text model is not installed or cannot be found."""
