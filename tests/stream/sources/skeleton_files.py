"""Small valid files of every format, made from code."""

from pathlib import Path

import numpy as np

from stream.sources.recording import RecordingWriter
from stream.sources.synthetic import SyntheticSource
from stream.types import SkeletonFrame

DATA = Path(__file__).parents[2] / "data"
SAMPLES = Path(__file__).parents[3].parent / "shared" / "data" / "samples"
BODY_ID = 72057594037931101


def people(count: int, frames: int) -> list[SkeletonFrame]:
    """Frames of synthetic people."""
    with SyntheticSource("made", people=count, frames=frames) as source:
        return list(source)


def ntu(frames: int = 3, bodies: int = 2) -> bytes:
    lines = [str(frames)]
    for made in people(bodies, frames):
        lines.append(str(bodies))
        for body, joints in enumerate(made.joints):
            lines += [f"{BODY_ID + body} 0 1 1 1 1 0 0.02 -0.05 2", "25"]
            for v, (x, y, z) in enumerate(joints):
                lines.append(f"{x:.5f} {y:.5f} {z:.5f} 277.4 191.8 1036.2 519.1 -0.2 0.05 0.96 -0.12 {2 - v % 3}")
    return ("\r\n".join(lines) + "\r\n").encode()


def pku(frames: int = 3, bodies: int = 2, separator: str = " ") -> bytes:
    rows = []
    for made in people(bodies, frames):
        values = np.zeros(150)
        values[: bodies * 75] = made.joints.ravel()
        rows.append(separator.join(f"{value:.5f}" for value in values))
    return ("\n".join(rows) + "\n").encode()


def kinect_v1(frames: int = 3) -> bytes:
    return b"".join((DATA / "kinect_v1.csv").read_bytes().splitlines(keepends=True)[: frames + 1])


def kinect_v2(frames: int = 3) -> bytes:
    return b"".join((DATA / "kinect_v2.csv").read_bytes().splitlines(keepends=True)[:frames])


_BVH = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Spine
  {
    OFFSET 0 20 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT Neck
    {
      OFFSET 0 30 0
      CHANNELS 3 Zrotation Xrotation Yrotation
      JOINT Head
      {
        OFFSET 0 10 0
        CHANNELS 3 Zrotation Xrotation Yrotation
        End Site
        {
          OFFSET 0 20 0
        }
      }
    }
SIDES
  }
LEGS
}
MOTION
Frames: FRAMES
Frame Time: 0.02
"""
_ARM = """    JOINT {side}Arm
    {{
      OFFSET {x} 24 0
      CHANNELS 3 Zrotation Xrotation Yrotation
      JOINT {side}ForeArm
      {{
        OFFSET {x} 0 0
        CHANNELS 3 Zrotation Xrotation Yrotation
        JOINT {side}Hand
        {{
          OFFSET {x} 0 0
          CHANNELS 3 Zrotation Xrotation Yrotation
          End Site
          {{
            OFFSET {x} 0 0
          }}
        }}
      }}
    }}
"""
_LEG = """  JOINT {side}UpLeg
  {{
    OFFSET {x} -2 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT {side}Leg
    {{
      OFFSET 0 -40 0
      CHANNELS 3 Zrotation Xrotation Yrotation
      JOINT {side}Foot
      {{
        OFFSET 0 -40 0
        CHANNELS 3 Zrotation Xrotation Yrotation
        JOINT {side}ToeBase
        {{
          OFFSET 0 -6 14
          CHANNELS 0
          End Site
          {{
            OFFSET 0 0 6
          }}
        }}
      }}
    }}
  }}
"""
BVH_CHANNELS = 6 + 3 * 3 + 3 * 6 + 3 * 6


def bvh(frames: int = 3, turned: float = 0.0) -> bytes:
    """A T-pose in centimetres, facing +z and walking toward +z, turned by some degrees about y from the start."""
    arms = "".join(_ARM.format(side=side, x=x) for side, x in (("Left", 20), ("Right", -20)))
    legs = "".join(_LEG.format(side=side, x=x) for side, x in (("Left", 9), ("Right", -9)))
    text = _BVH.replace("SIDES\n", arms).replace("LEGS\n", legs).replace("FRAMES", str(frames))
    for i in range(frames):
        text += f"0 90 {10 * i} 0 0 {turned} " + " ".join(["0"] * (BVH_CHANNELS - 6)) + "\n"
    return text.encode()


def recording(path: Path, frames: int = 3, bodies: int = 2) -> bytes:
    """Write a recording to a new path and return its bytes."""
    with RecordingWriter(path) as writer:
        for made in people(bodies, frames):
            writer.write(made)
    return path.read_bytes()


def everything(folder: Path) -> dict[str, bytes]:
    """One valid file of each format, by file name."""
    return {
        "a.skeleton": ntu(),
        "b.txt": pku(),
        "c.csv": kinect_v1(),
        "d.csv": kinect_v2(),
        "e.bvh": bvh(),
        "f.pwr": recording(folder / "everything.pwr"),
    }
