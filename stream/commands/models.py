"""`posewire models pull`: the pose networks that cameras without skeletons of their own need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stream.commands.options import OptionError
from stream.console import make_console
from stream.vision.pose_model import DEFAULT, NETWORKS, PoseModelError, adopt, build, file_name, task_path


def pull_models(networks: Sequence[str], source: Path | None) -> int:
    """Fetch, build and keep pose networks, or keep a copy of a `.task` file; returns the exit code.

    A network that is there already is left as it is.

    Args:
        networks: of "lite", "full" and "heavy"; if none is given: the one that the file is named after, or "full".
        source: a `.task` file to take instead of building one; it is one network.

    Raises:
        OptionError: there is no such network, or the file's is not named.
        PosewireError: a network cannot be fetched, built or kept, or mediapipe is not installed.
    """
    unknown = [name for name in networks if name not in NETWORKS]
    if unknown:
        raise OptionError(f"{unknown[0]}: no pose network; expected {', '.join(NETWORKS[:-1])} or {NETWORKS[-1]}")
    console = make_console()
    if source is not None:
        named = list(networks) or [name for name in NETWORKS if source.name == file_name(name)]
        if len(named) != 1:
            raise OptionError(f"--from {source}: is one network; expected the name of one ({', '.join(NETWORKS)})")
        path = adopt(named[0], source)
        console.print(f"{named[0]}: {path}, a copy of {source}", soft_wrap=True)
        return 0
    for name in dict.fromkeys(networks or [DEFAULT]):
        try:
            path = task_path(name)
        except PoseModelError:
            console.print(f"{name}: fetching and building it ...", soft_wrap=True)
            path = build(name)
            console.print(f"{name}: {path} ({path.stat().st_size / 1e6:.1f} MB)", soft_wrap=True)
        else:
            console.print(f"{name}: {path} is there already", soft_wrap=True)
    return 0
