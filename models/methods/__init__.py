"""The papers' methods by the names of their recipes."""

from __future__ import annotations

from importlib import import_module

from models.errors import ModelError
from models.methods.method import Batch, Facet, Matcher, Method

__all__ = ["METHODS", "Batch", "Facet", "Matcher", "Method", "method_class"]

METHODS = {
    "devise": "models.methods.devise:DeViSE",
    "relationnet": "models.methods.relationnet:RelationNet",
    "revise": "models.methods.revise:ReViSE",
    "jpose": "models.methods.jpose:JPoSE",
    "cada-vae": "models.methods.cada_vae:CADAVAE",
    "synse": "models.methods.synse:SynSE",
    "smie": "models.methods.smie:SMIE",
    "pgfa": "models.methods.pgfa:PGFA",
}
"""Module and class of each method, in the order of the papers' tables."""


def method_class(name: str) -> type[Method]:
    """The class of a method.

    Raises:
        ModelError: there is none of that name.
    """
    if name not in METHODS:
        raise ModelError(f"recipe {name!r}: expected one of {', '.join(METHODS)}")
    module, kind = METHODS[name].split(":")
    found: type[Method] = getattr(import_module(module), kind)
    return found
