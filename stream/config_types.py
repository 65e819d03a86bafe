"""Types of values in the configuration."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

from stream.errors import PosewireError
from stream.topics import check_name

# Strict: "8" is no number and "yes" no truth value; a whole number does for a fraction.
Integer = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Flag = Annotated[bool, Strict()]
Probability = Annotated[Number, Field(ge=0, le=1)]
Seconds = Annotated[Number, Field(ge=0, le=3600)]
LongSeconds = Annotated[Number, Field(ge=0, le=86_400)]
Margin = Annotated[Number, Field(ge=-2, le=2)]


def topic_name(name: str) -> str:
    """`check_name` as pydantic wants it: it collects ValueErrors only."""
    try:
        return check_name(name)
    except PosewireError as error:
        raise ValueError(str(error)) from error


def repeated(names: Iterable[str]) -> list[str]:
    """Names that there are more than once, sorted."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


def file_path(path: str) -> str:
    if not path or "\0" in path:
        raise ValueError("expected the path of a file or folder")
    return path


def _optional_path(path: str) -> str:
    return file_path(path) if path else path


def _variable(name: str) -> str:
    # Not quoted: someone may have put the secret itself there.
    if name and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("not the name of an environment variable; expected one such as CAMERA_PASSWORD")
    return name


def _description(text: str) -> str:
    if not text.strip():
        raise ValueError("nothing but white space; expected a description such as 'a person falls'")
    return text


Name = Annotated[str, AfterValidator(topic_name)]
FilePath = Annotated[str, AfterValidator(file_path)]
OptionalPath = Annotated[str, Field(max_length=4096), AfterValidator(_optional_path)]
VariableName = Annotated[str, Field(max_length=200), AfterValidator(_variable)]
Description = Annotated[str, Field(min_length=3, max_length=300), AfterValidator(_description)]


class Section(BaseModel):
    """A table of the configuration: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
