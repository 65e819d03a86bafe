"""MediaPipe's `.task` files: a stored zip of TFLite networks, each with metadata that says how pixels become numbers.

Source: https://ai.google.dev/edge/litert/models/metadata and the schemas that come with mediapipe.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from stream.vision import library

_METADATA = "TFLITE_METADATA"
_ALIGNMENT = 16
"""TFLite maps constants into memory where they are aligned, and copies them where they are not."""
_MEMBER_ALIGNMENT = 64
_LOCAL_HEADER = 30
"""Bytes before a member's name in a zip."""


def with_metadata(data: bytes, name: str, mean: float, std: float, outputs: int) -> bytes:
    """Add to a TFLite network how pixels become its numbers.

    Args:
        data: the network.
        name: what to call it.
        mean, std: what is taken from a pixel's value (0..255) and by what the rest is divided.
        outputs: how many tensors it returns.

    Raises:
        PosewireError: mediapipe is not installed.
    """
    schema = library("mediapipe.tasks.metadata.schema_py_generated", "rgb")
    flatbuffers = library("flatbuffers", "rgb")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(data), 0))
    constants = [b"" if one.data is None else bytes(bytearray(one.data)) for one in model.buffers]
    model.buffers = [_Buffer(one) for one in (*constants, _metadata(name, mean, std, outputs))]
    entry = schema.MetadataT()
    entry.name, entry.buffer = _METADATA, len(constants)
    model.metadata = [one for one in model.metadata or [] if one.name != _METADATA.encode()] + [entry]
    builder = flatbuffers.Builder(len(data) + 65536)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def packed(members: Mapping[str, bytes]) -> bytes:
    """A stored zip of the same bytes each time, whose members are aligned to be mapped into memory."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name)  # of 1980: a date would make other bytes
            entry.create_system = 3  # and so would the system that it is built on
            start = stream.tell() + _LOCAL_HEADER + len(name) + 4
            padding = -start % _MEMBER_ALIGNMENT
            entry.extra = b"\xff\xff" + padding.to_bytes(2, "little") + bytes(padding)
            archive.writestr(entry, data)
    return stream.getvalue()


class _Buffer:
    """A constant of a TFLite network, written so that it is aligned (the schema's own class does not see to it)."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def Pack(self, builder: Any) -> int:
        schema = library("mediapipe.tasks.metadata.schema_py_generated", "rgb")
        vector = None
        if self.data:
            builder.StartVector(1, len(self.data), _ALIGNMENT)
            builder.head -= len(self.data)
            builder.Bytes[builder.head : builder.head + len(self.data)] = self.data
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


def _metadata(name: str, mean: float, std: float, outputs: int) -> bytes:
    schema = library("mediapipe.tasks.metadata.metadata_schema_py_generated", "rgb")
    flatbuffers = library("flatbuffers", "rgb")
    unit = schema.ProcessUnitT()
    unit.optionsType, unit.options = schema.ProcessUnitOptions.NormalizationOptions, schema.NormalizationOptionsT()
    unit.options.mean, unit.options.std = [mean], [std]
    content = schema.ContentT()
    content.contentPropertiesType = schema.ContentProperties.ImageProperties
    content.contentProperties = schema.ImagePropertiesT()
    content.contentProperties.colorSpace = schema.ColorSpaceType.RGB
    image = schema.TensorMetadataT()
    image.name, image.processUnits, image.content, image.stats = "image", [unit], content, schema.StatsT()
    image.stats.min, image.stats.max = [(0.0 - mean) / std], [(255.0 - mean) / std]
    graph = schema.SubGraphMetadataT()
    graph.inputTensorMetadata = [image]
    graph.outputTensorMetadata = [schema.TensorMetadataT() for _ in range(outputs)]
    model = schema.ModelMetadataT()
    model.name, model.subgraphMetadata, model.minParserVersion = name, [graph], "1.0.0"
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"M001")
    return bytes(builder.Output())
