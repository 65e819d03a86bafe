"""The unit file is one that systemd understands."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from running_daemon import ROOT


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "posewire.service").read_text()
    unit = tmp_path / "posewire.service"
    unit.write_text(text.replace("ExecStart=/opt/posewire/bin/posewire", f"ExecStart={shutil.which('true')}"))
    result = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert (result.returncode, [line for line in result.stderr.splitlines() if "posewire" in line]) == (0, [])


def test_the_service_finds_the_pose_network_where_its_steps_put_it() -> None:
    lines = (ROOT / "deploy" / "posewire.service").read_text().splitlines()
    settings = dict(
        line.removeprefix("Environment=").split("=", 1) for line in lines if line.startswith("Environment=")
    )
    data = settings["XDG_DATA_HOME"]
    assert data.startswith("/opt/posewire/")  # not in a home, which the service does not see, nor where it may write
    pull = f"XDG_DATA_HOME={data} /opt/posewire/bin/posewire models pull"
    assert any(line.startswith("#") and pull in line for line in lines)
    assert settings["XDG_CACHE_HOME"] == "%C/posewire"
    assert "CacheDirectory=posewire" in lines


def test_the_image_has_the_pose_network_where_its_user_looks() -> None:
    lines = (ROOT / "deploy" / "Containerfile").read_text().splitlines()
    data = lines.index("ENV XDG_DATA_HOME=/opt/posewire/share")
    pull = lines.index("RUN /opt/posewire/bin/posewire models pull")
    last = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
    assert last < data < pull < lines.index("USER posewire")


def test_the_image_holds_all_that_the_package_is_made_of() -> None:
    lines = (ROOT / "deploy" / "Containerfile").read_text().splitlines()
    copied = {word for line in lines if line.startswith("COPY") and "--from" not in line for word in line.split()[1:-1]}
    assert copied >= {"constraints.txt", "pyproject.toml", "stream", "models", "train"}
    assert all((ROOT / name).exists() for name in copied)
