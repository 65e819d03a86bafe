"""The `[[sources]]` blocks of the configuration, one class for each kind of source."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from stream.config_types import FilePath, Flag, Integer, Name, Number, OptionalPath, Section, VariableName
from stream.secrets import PASSWORD, USER, holds_password

URL_SCHEMES = ("rtsp", "rtsps", "http", "https")


def _stream_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("not a URL; expected one such as rtsp://camera.local/stream") from None
    # Not quoted: whoever reads the message may not be whom the password is for. A password with a slash or a number
    # sign in it is no longer the password to a parser: hence any @.
    if "@" in url or holds_password(url):
        raise ValueError(
            "holds a user or password; expected `user` and `password_env` or `password_file` instead, "
            f"and {USER} and {PASSWORD} where the camera wants them in its path"
        )
    if set("{}") & set(url.replace(USER, "").replace(PASSWORD, "") + parts.netloc):
        raise ValueError(f"holds braces; expected no others than {USER} and {PASSWORD} in the path")
    if parts.scheme not in URL_SCHEMES or not parts.hostname:
        raise ValueError(
            f"expected {', '.join(URL_SCHEMES[:-1])} or {URL_SCHEMES[-1]}, such as rtsp://camera.local/stream"
        )
    return url


def _no_url(path: str) -> str:
    # Not quoted either: a file that is not there would be named in an error, password and all.
    if "://" in path:
        raise ValueError("a URL; expected the path of a file, or `url`")
    return path


class _Source(Section):
    name: Name


class FileSource(_Source):
    """A recorded skeleton file, played at its own speed (times `speed`)."""

    kind: Literal["file"]
    path: FilePath
    speed: Annotated[Number, Field(gt=0, le=1000)] = 1.0
    loop: Flag = False


class SyntheticSource(_Source):
    """Stick people that walk and wave, for trying things out."""

    kind: Literal["synthetic"]
    people: Integer = Field(1, ge=1, le=6)
    fps: Annotated[Number, Field(gt=0, le=240)] = 30.0
    seed: Integer = Field(0, ge=0, lt=2**63)


class VideoSource(_Source):
    """Joints that are estimated from RGB images: of a webcam, a network camera or a video file.

    Attributes:
        camera, url, path: which of the three; exactly one is given. Where the camera wants user and password in the
            URL's path, `{user}` and `{password}` stand for them.
        user, password_env, password_file: of a network camera; the password itself never stands in the configuration.
        joints: "3d" places people in metres before the camera, "2d" gives image coordinates.
        pose: size of the pose network.
        max_people: of how many people at once the joints are estimated.
        fov_deg: horizontal angle of view; what metres are worth depends on it.
        speed, loop: of a video file, as in `FileSource`.
    """

    kind: Literal["video"]
    camera: Integer | None = Field(None, ge=0, le=99)
    url: Annotated[str, Field(max_length=2000), AfterValidator(_stream_url)] | None = None
    path: Annotated[FilePath, AfterValidator(_no_url)] | None = None
    user: Annotated[str, Field(max_length=200)] = ""
    password_env: VariableName = ""
    password_file: OptionalPath = ""
    joints: Literal["3d", "2d"] = "3d"
    pose: Literal["lite", "full", "heavy"] = "full"
    max_people: Integer = Field(6, ge=1, le=20)
    fov_deg: Annotated[Number, Field(ge=20, le=150)] = 60.0
    speed: Annotated[Number, Field(gt=0, le=1000)] = 1.0
    loop: Flag = False

    @model_validator(mode="after")
    def _one_input(self) -> VideoSource:
        given = [name for name in ("camera", "url", "path") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"{' and '.join(given) or 'no input'}; expected exactly one of camera, url and path")
        if self.url is None and (self.user or self.password_env or self.password_file):
            raise ValueError("user, password_env and password_file need a url")
        if self.password_env and self.password_file:
            raise ValueError("password_env and password_file; expected one of them")
        self._check_login(self.url or "")
        if self.path is None and (self.loop or self.speed != 1.0):
            raise ValueError("speed and loop need a path: cameras have their own speed")
        return self

    def _check_login(self, url: str) -> None:
        password = self.password_env or self.password_file
        if USER not in url and PASSWORD not in url:
            if password and not self.user:
                raise ValueError("a password without a user; expected `user` too")
            return
        for given, place, setting in (
            (self.user, USER, "`user`"),
            (password, PASSWORD, "`password_env` or `password_file`"),
        ):
            if place in url and not given:
                raise ValueError(f"{place} in the url, and nothing to take its place; expected {setting} too")
            if given and place not in url:
                raise ValueError(f"{setting} has no place in the url; expected {place} in it too")


class AzureKinectSource(_Source):
    """An Azure Kinect (or an Orbbec Femto Bolt by its K4A wrapper), or an MKV recording of one.

    Attributes:
        device: number of the sensor.
        path: a recording instead of a device.
        library: folder of the k4a libraries, where those of pyk4a-bundle are not to be used.
        joints: "color" estimates them on the colour image and lifts them through depth, "k4abt" takes those of
            Microsoft's closed body tracker, "auto" the latter where it is installed.
        pose, max_people: as in `VideoSource`.
        speed, loop: of a recording, as in `FileSource`.
    """

    kind: Literal["azure_kinect"]
    device: Integer = Field(0, ge=0, le=99)
    path: FilePath | None = None
    library: OptionalPath = ""
    joints: Literal["auto", "color", "k4abt"] = "auto"
    pose: Literal["lite", "full", "heavy"] = "full"
    max_people: Integer = Field(6, ge=1, le=20)
    speed: Annotated[Number, Field(gt=0, le=1000)] = 1.0
    loop: Flag = False

    @model_validator(mode="after")
    def _one_input(self) -> AzureKinectSource:
        if self.path is not None and self.device:
            raise ValueError("device and path; expected one of them")
        if self.path is None and (self.loop or self.speed != 1.0):
            raise ValueError("speed and loop need a path: a sensor has its own speed")
        return self


class KinectV2Source(_Source):
    """A Kinect v2: Microsoft's 25 joints on Windows; colour and depth by libfreenect2 elsewhere.

    Attributes:
        device: number of the sensor.
        pose, max_people: as in `VideoSource`, where joints are estimated.
    """

    kind: Literal["kinect_v2"]
    device: Integer = Field(0, ge=0, le=99)
    pose: Literal["lite", "full", "heavy"] = "full"
    max_people: Integer = Field(6, ge=1, le=20)


SourceEntry = Annotated[
    FileSource | SyntheticSource | VideoSource | AzureKinectSource | KinectV2Source, Field(discriminator="kind")
]
KINDS: dict[str, type[Section]] = {
    "file": FileSource,
    "video": VideoSource,
    "azure_kinect": AzureKinectSource,
    "kinect_v2": KinectV2Source,
    "synthetic": SyntheticSource,
}
"""The class of each `kind`."""
PATHS = ("path", "password_file", "library")
"""Settings of sources that are paths."""
SECRETS = ("url", "user", "password_env", "password_file")
"""Settings of sources whose wrong values no message shows: people put passwords into them."""
