import pickle
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from models.errors import CheckpointError
from models.ntu import prepare, stretch
from models.shiftgcn import ShiftGCN
from models.teacher import Teacher, read_tensors
from stream.sources.ntu import NtuSkeleton

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
Tensors = dict[str, np.ndarray]


def tensors_of() -> Tensors:
    torch.manual_seed(0)
    return {name: value.numpy().copy() for name, value in ShiftGCN(6).state_dict().items()}


def write(path: Path, tensors: Tensors) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **tensors)
    elif path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        state = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
        torch.save(
            state, path, _use_new_zipfile_serialization=path.suffix == ".pth"
        )  # the authors' .pt is a legacy one
    return path


def test_every_format_gives_the_same_network(tmp_path: Path) -> None:
    clips = [
        np.random.default_rng(i).normal(0, 0.3, (3, t, 25, 2)).astype(np.float32) for i, t in enumerate((8, 12, 8))
    ]
    found = []
    for suffix in (".npz", ".safetensors", ".pt", ".pth"):
        path = write(tmp_path / f"weights{suffix}", tensors_of())
        teacher = Teacher.load(path, bf16=False)
        assert teacher.classes == 6
        assert teacher.digest == sha256(path.read_bytes()).hexdigest()
        found.append(teacher.judge(clips))
    for other in found[1:]:
        np.testing.assert_array_equal(other.posterior, found[0].posterior)
    np.testing.assert_allclose(found[0].posterior.sum(axis=1), 1, rtol=1e-5)
    assert found[0].features.shape == (3, 256)
    alone = Teacher.load(tmp_path / "weights.npz", bf16=False).judge(clips[1:2])
    np.testing.assert_allclose(alone.features[0], found[0].features[1], atol=1e-5)


def set_value(name: str, value: Any) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        tensors[name].flat[0] = value

    return change


def swap(name: str, array: np.ndarray) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.update({name: array})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda tensors: tensors.pop("fc.bias"), "no 'fc.bias'"),
        (lambda tensors: tensors.pop("l3.tcn1.shift_in.ypos"), r"lacks 1 tensors, the first 'l3.tcn1.shift_in.ypos'"),
        (swap("l11.gcn1.bn.bias", np.zeros(3, np.float32)), "1 tensors too many, the first 'l11.gcn1.bn.bias'"),
        (swap("fc.weight", np.zeros((6, 64), np.float32)), r"fc.weight is \(6, 64\); expected \(6, 256\)"),
        (swap("fc.weight", np.zeros((6, 256), np.int64)), "fc.weight is of int64; expected torch.float32"),
        (set_value("l1.gcn1.Linear_weight", np.nan), "not finite"),
        (set_value("l2.gcn1.shift_in", 5), "no permutation of its 1600 places"),
        (set_value("l2.tcn1.shift_in.xpos", 0.5), "not supported"),
        (set_value("l2.tcn1.shift_in.ypos", 1e9), "beyond 64"),
        (set_value("data_bn.running_var", -1.0), "negative variances"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, damage: Callable[[Tensors], Any], message: str) -> None:
    tensors = tensors_of()
    damage(tensors)
    path = write(tmp_path / "weights.npz", tensors)
    with pytest.raises(CheckpointError, match=message) as caught:
        Teacher.load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


class Harmful:
    """What a hostile pickle may hold."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (eval, ("1 / 0",))


def test_what_is_no_file_of_tensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("weights")
    (tmp_path / "text.safetensors").write_text("weights")
    (tmp_path / "text.pt").write_text("weights")
    (tmp_path / "list.bin").write_text("weights")
    (tmp_path / "code.pt").write_bytes(pickle.dumps({"fc.bias": Harmful()}))
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    torch.save({"fc.bias": "text"}, tmp_path / "names.pth")
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(70 * 2**20, np.uint8))
    whole = write(tmp_path / "whole.npz", tensors_of()).read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    names = [path for path in sorted(tmp_path.iterdir()) if path.name != "whole.npz"]
    assert len(names) == 10
    for path in [*names, tmp_path / "missing.npz"]:
        with pytest.raises(CheckpointError) as caught:
            read_tensors(path)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)


def test_the_genuine_recording_of_drinking_is_recognised() -> None:
    weights = SHARED / "teacher" / "ntu120_ShiftGCN_joint_xsub.npz"
    recording = SHARED / "samples" / "ntu_local_only" / "S001C001P001R001A001.skeleton"
    if not (weights.is_file() and recording.is_file()):
        pytest.skip("needs ../shared: published weights and an NTU RGB+D recording, which may not be passed on")
    with NtuSkeleton(recording, "ntu") as source:
        frames = list(source)
    joints = np.stack([frame.joints[0] for frame in frames])
    seen = np.stack([frame.confidence[0] for frame in frames])
    looped = np.arange(300) % len(joints)
    clips = [prepare([(joints[looped], seen[looped])]), prepare([(stretch(joints, 64), stretch(seen, 64))])]
    for bf16 in (False, True):
        posterior = Teacher.load(weights, bf16=bf16).judge(clips).posterior
        assert posterior.argmax(axis=1).tolist() == [0, 0]
        assert posterior[0, 0] > 0.99
        assert posterior[1, 0] > 0.95
