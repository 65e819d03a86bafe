"""The configuration file: defaults, and errors with their key paths, all at once."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from stream.config import BLOCKS, Config, ExamplesSection, Regressions
from stream.config_file import MAX_FILE, MAX_TOLD, ConfigError, load_config, parse_config
from stream.config_sources import KINDS, AzureKinectSource, FileSource, KinectV2Source, VideoSource

ROOT = Path(__file__).parents[2]


def write(folder: Path, text: str) -> Path:
    path = folder / "posewire.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_commented_file_holds_the_defaults_and_every_setting() -> None:
    path = ROOT / "config.toml"
    # Its relative paths count from its folder.
    assert load_config(path) == Config(
        examples=ExamplesSection(path=str(ROOT / "examples")), regressions=Regressions(path=str(ROOT / "regressions"))
    )
    data = tomllib.loads(path.read_text())
    text = path.read_text()
    for section, field in Config.model_fields.items():
        if section in (*BLOCKS, "sources", "sinks"):
            continue
        for key in field.annotation.model_fields:
            assert key in data[section] or f"# {key} = " in text, f"{section}.{key} is not in config.toml"


def test_the_commented_file_shows_every_kind_of_source_with_every_setting(tmp_path: Path) -> None:
    text = (ROOT / "config.toml").read_text().split("[[sources]]\n", 1)[1].split("\n\n[publish]")[0]
    blocks = [re.sub("^# ?", "", block, flags=re.M) for block in text.split("# [[sources]]\n")]
    assert [tomllib.loads(block)["kind"] for block in blocks] == [
        "video",
        "azure_kinect",
        "kinect_v2",
        "file",
        "synthetic",
    ]
    for block in blocks:
        data = tomllib.loads(block)
        model = KINDS[data["kind"]]
        assert list(data) == ["kind", "name", *[key for key in model.model_fields if key not in ("kind", "name")]]
        for key, field in model.model_fields.items():
            if not field.is_required() and field.default not in (None, ""):
                assert data[key] == field.default, f"{data['kind']}.{key}"
    # Each block loads once one input is chosen; what a child process is handed is the same again.
    chosen = [re.sub("^(camera|url|user|password_env|password_file) = .*$", "", block, flags=re.M) for block in blocks]
    config = load_config(write(tmp_path, "[[sources]]\n" + "\n[[sources]]\n".join(chosen)))
    kinds = [type(source) for source in config.sources]
    assert kinds[:4] == [VideoSource, AzureKinectSource, KinectV2Source, FileSource]
    assert parse_config(config.model_dump(mode="json"), tmp_path / "posewire.toml") == config


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config(None) == Config()
    (tmp_path / "config.toml").write_text("[node]\nname = 'here'\n")
    assert load_config(None).node.name == "here"


def test_all_errors_come_at_once_each_with_its_key(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [node]
        name = "two words"
        [model]
        device = "tpu"
        colour = 1
        [events]
        enter = 0.4
        exit = 0.6
        [publish]
        events = "tcp://0.0.0.0:5556"
        [[prompts]]
        text = "a person falls"
        enter = 3
        [[sources]]
        kind = "file"
        name = "cam1"
        [[sources]]
        kind = "camera"
        name = "cam2"
        """,
    )
    with pytest.raises(ConfigError) as error:
        load_config(path)
    lines = str(error.value).splitlines()
    keys = [line.removeprefix(f"{path}: ").split(": ")[0] for line in lines]
    assert keys == [
        "node.name",
        "model.device",
        "model.colour",
        "events",
        "prompts[0].enter",
        "sources[0].path",
        "sources[1]",
        "publish.events",
    ]
    assert all("\n" not in line and len(line) < 400 for line in lines)
    assert "unknown setting" in lines[2]
    assert "0.0.0.0" in lines[-1]


def test_another_file_by_mistake_is_refused_at_once_and_of_many_errors_some_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"larger than {MAX_FILE} bytes; expected a configuration file"):
        load_config(write(tmp_path, "# a\n" * MAX_FILE))
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, "".join(f"k{number} = 1\n" for number in range(MAX_TOLD + 7))))
    lines = str(error.value).splitlines()
    assert len(lines) == MAX_TOLD + 1
    assert lines[-1].endswith(": 7 more errors")


VIDEO = "[[sources]]\nkind = 'video'\nname = 'a'\n"
AZURE = "[[sources]]\nkind = 'azure_kinect'\nname = 'a'\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[prompts]]\ntext = 'a b c'\n[[prompts]]\ntext = 'a b c'", "two prompts have the name 'a_b_c'"),
        ("prompts = []", "there is no prompt"),
        (
            "[[sources]]\nkind = 'synthetic'\nname = 'a'\n[[sources]]\nkind = 'synthetic'\nname = 'a'",
            "two sources have the name 'a'",
        ),
        ("[publish]\nevents = 'tcp://127.0.0.1:1'\nquery = 'tcp://127.0.0.1:1'", "must be different"),
        ("[publish]\nevents = ''", "need an address"),
        ("[events]\nneeded = 4\nof = 3", "needed (4) is above of (3)"),
        ("[windows\n", "not a TOML file"),
        ("[windows]\nstride = 0", "windows.stride"),
        ("windows = 3", "windows"),
        ("[windows]\nstrid = 3", "windows.strid: unknown setting; did you mean windows.stride? expected stride, min_"),
        ("[events]\nstride = 3", "events.stride: unknown setting; did you mean windows.stride? expected enter, exit"),
        ("stride = 3", "stride: unknown setting; did you mean windows.stride? expected node, model, "),
        ("[window]\nstride = 3", "window: unknown setting; did you mean windows? expected node, model, "),
        ("[[prompts]]\ntext = 'a person falls'\nseverty = 'info'", "did you mean prompts.severity? expected text, "),
        (
            "[[sources]]\nkind = 'synthetic'\nname = 'a'\nspeed = 3",
            "sources[0].speed: unknown setting; did you mean sources.speed? expected name, kind, people, fps, seed",
        ),
        (
            "[[sources]]\nkind = 'camera'\nname = 'a'",
            "sources[0]: kind is 'camera'; expected file, video, azure_kinect, kinect_v2 or synthetic",
        ),
        (
            "[[sources]]\nname = 'a'",
            "sources[0]: kind is missing; expected file, video, azure_kinect, kinect_v2 or synthetic",
        ),
        (VIDEO, "sources[0]: no input; expected exactly one of camera, url and path"),
        (VIDEO + "camera = 0\npath = 'a.mp4'", "sources[0]: camera and path; expected exactly one of camera, url and"),
        (VIDEO + "camera = 0\nurl = 'rtsp://h/s'\npath = 'a.mp4'", "camera and url and path; expected exactly one"),
        (VIDEO + "camera = -1", "sources[0].camera: Input should be greater than or equal to 0, got -1"),
        (VIDEO + "camera = true", "sources[0].camera: Input should be a valid integer, got True"),
        (VIDEO + "url = 'ftp://h/s'", "sources[0].url: expected rtsp, rtsps, http or https, such as rtsp://"),
        (VIDEO + "url = 'camera.local'", "sources[0].url: expected rtsp, rtsps, http or https, such as rtsp://"),
        (
            VIDEO + "url = 'rtsp://h:port/s'",
            "sources[0].url: not a URL; expected one such as rtsp://camera.local/stream",
        ),
        (VIDEO + "path = 'rtsp://h/s'", "sources[0].path: a URL; expected the path of a file, or `url`"),
        (VIDEO + "camera = 0\nuser = 'a'", "sources[0]: user, password_env and password_file need a url"),
        (
            VIDEO + "url = 'rtsp://h/s'\npassword_env = 'P'",
            "sources[0]: a password without a user; expected `user` too",
        ),
        (
            VIDEO + "url = 'rtsp://h/{user}/{password}'\nuser = 'a'",
            "{password} in the url, and nothing to take its place; expected `password_env` or `password_file` too",
        ),
        (VIDEO + "url = 'rtsp://h/{user}'", "{user} in the url, and nothing to take its place; expected `user` too"),
        (
            VIDEO + "url = 'rtsp://h/{user}'\nuser = 'a'\npassword_env = 'P'",
            "`password_env` or `password_file` has no place in the url; expected {password} in it too",
        ),
        (
            VIDEO + "url = 'rtsp://h/s'\nuser = 'a'\npassword_env = 'P'\npassword_file = 'p'",
            "sources[0]: password_env and password_file; expected one of them",
        ),
        (VIDEO + "camera = 0\nloop = true", "sources[0]: speed and loop need a path: cameras have their own speed"),
        (VIDEO + "camera = 0\npose = 'huge'", "sources[0].pose: Input should be 'lite', 'full' or 'heavy', got 'huge'"),
        (VIDEO + "camera = 0\nfps = 30", "sources[0].fps: unknown setting; "),
        (AZURE + "speed = 2.0", "sources[0]: speed and loop need a path: a sensor has its own speed"),
        (AZURE + "device = 1\npath = 'a.mkv'", "sources[0]: device and path; expected one of them"),
        (AZURE + 'library = "a\\u0000b"', "sources[0].library: expected the path of a file or folder"),
        ("[capture]\nstall_s = 0", "capture.stall_s: Input should be greater than or equal to 0.5, got 0"),
        ('[node]\nstate = "a\\u0000b"', "node.state: expected the path of a file or folder"),
        ("[[sources]]\nkind = 'synthetic'\nname = 'a'\nseed = -1", "sources[0].seed"),
        ("[[sources]]\nkind = 'synthetic'\nname = 'a'\nseed = 9223372036854775808", "sources[0].seed"),
        ('[[sources]]\nkind = "file"\nname = "a"\npath = "b\\u0000c"', "sources[0].path: expected the path"),
        ('[model]\npath = "b\\u0000c"', "model.path: expected the path"),
        ("[events]\nenter = 0.1\nexit = 0.2\nneeded = 4\nof = 3", "exit <= enter; needed (4) is above of (3)"),
        ("[windows]\nstride = '8'", "windows.stride: Input should be a valid integer, got '8'"),
        ("[windows]\nstride = true", "windows.stride: Input should be a valid integer, got True"),
        ("[events]\nhold_s = '1'", "events.hold_s: Input should be a valid number, got '1'"),
        ("[background]\nbank = 'no'", "background.bank: Input should be a valid boolean, got 'no'"),
        ("[[prompts]]\ntext = '     '", "prompts[0].text: nothing but white space"),
        ("[background]\ntexts = ['    ']", "background.texts[0]: nothing but white space"),
        ("node.name" + 5000 * ".a" + " = 1", "node.name: Input should be a valid string, got {"),
        ("[windows]\nstride = 0x" + 5000 * "f", "windows.stride: "),
        ("[windows]\nstride = " + 5000 * "9", "cannot be read (Exceeds the limit"),
        ("a = " + 3000 * "[", "not a TOML file: nested too deeply"),
    ],
)
def test_each_error_says_what_is_wrong(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, text))
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (VIDEO + "url = 'rtsp://admin:hunter2@h/s'", "sources[0].url: holds a user or password; expected `user` and"),
        (VIDEO + "url = 'rtsp://admin:12#hunter2@h/s'", "sources[0].url: holds a user or password"),
        (VIDEO + "url = 'rtsp://admin:1/hunter2@h/s'", "sources[0].url: holds a user or password"),
        (VIDEO + "url = 'rtsp:/admin:hunter2@h/s'", "sources[0].url: holds a user or password"),
        (VIDEO + "url = 'http://h/video?user=admin&pwd=hunter2'", "sources[0].url: holds a user or password"),
        (VIDEO + "url = 'rtsp://h/user=admin&password=hunter2&channel=1'", "sources[0].url: holds a user or password"),
        (VIDEO + "url = 'rtsp://h/user=a_password=hunter2_channel=1_stream=0.sdp'", "holds a user or password"),
        (VIDEO + "url = 'http://h/?p%2577=hunter2'", "holds a user or password"),
        (VIDEO + "url = 'http://h/#apiKey:hunter2'", "holds a user or password"),
        (VIDEO + "url = 'http://h/?login[auth]=hunter2'", "holds a user or password"),
        (VIDEO + "url = 'http://h/token/hunter2/1'", "holds a user or password"),
        (VIDEO + "url = 'http://h/{hunter2}'", "sources[0].url: holds braces; expected no others than {user} and"),
        (VIDEO + "url = 'rtsp://{password}/s'", "sources[0].url: holds braces"),
        (VIDEO + "url = ['hunter2']", "sources[0].url: Input should be a valid string"),
        (VIDEO + "path = 'rtsp://admin:hunter2@h/s'", "sources[0].path: a URL"),
        (
            VIDEO + "camera = 'rtsp://admin:hunter2@h/s'",
            "sources[0].camera: Input should be a valid integer, got an add",
        ),
        (VIDEO + "url = 'rtsp://h/s'\npassword = 'hunter2'", "sources[0].password: unknown setting; did you mean"),
        (
            VIDEO + "url = 'rtsp://h/s'\nuser = 'a'\npassword_env = 'hunter2!'",
            "not the name of an environment variable",
        ),
        (VIDEO + "url = 'rtsp://h/s'\nuser = 'a'\npassword_file = ['hunter2']", "password_file: Input should be a val"),
        ("sources = 'rtsp://admin:hunter2@h/s'", "sources: Input should be a valid tuple, got an address (not shown)"),
    ],
)
def test_a_password_in_the_wrong_place_is_refused_and_not_shown(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, text))
    assert expected in str(error.value)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://h/user={user}&password={password}&channel=1",
        "rtsp://h/user={user}_password={password}_channel=1_stream=0.sdp",
        "http://h/token/{password}/s?u={user}",
    ],
)
def test_urls_have_places_for_user_and_password(tmp_path: Path, url: str) -> None:
    config = load_config(write(tmp_path, VIDEO + f"url = '{url}'\nuser = 'a'\npassword_env = 'P'\n"))
    assert isinstance(config.sources[0], VideoSource)
    assert config.sources[0].url == url


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://auth:554/axis-media/media.amp?videokeyframeinterval=10&resolution=640x480",
        "rtsp://h/cam/realmonitor?channel=1&subtype=0",
        "rtsp://h/user=admin&password=&channel=1",
        "rtsp://h/user=admin_password=_channel=1_stream=0.sdp",
        "http://h/passage/?keyint=5&author=3&spinning=1",
    ],
)
def test_urls_without_a_password_are_taken(tmp_path: Path, url: str) -> None:
    assert load_config(write(tmp_path, VIDEO + f"url = '{url}'")).sources


def test_errors_show_the_beginning_of_a_long_value_and_stay_on_one_line(tmp_path: Path) -> None:
    long = 5000 * "x"
    text = f'[model]\ndevice = "{long}"\n"{long}\\n" = 1\n[[sources]]\nkind = "{long}"'
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, text))
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert all(len(line) < 300 + len(str(tmp_path)) for line in lines)


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "\ufeff[node]\nname = 'here'\n")).node.name == "here"


def test_whole_numbers_do_for_fractions(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "[events]\nhold_s = 1\n")).events.hold_s == 1.0


def test_a_path_with_a_nul_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(Path("a\0b"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")


def test_paths_count_from_the_files_folder(tmp_path: Path) -> None:
    path = write(tmp_path, "[[sources]]\nkind = 'file'\nname = 'a'\npath = 'b/c.csv'\n[model]\npath = 'm'")
    config = load_config(path)
    assert isinstance(config.sources[0], FileSource)
    assert config.sources[0].path == str(tmp_path / "b/c.csv")
    assert config.model.path == str(tmp_path / "m")
    text = "[node]\nstate = 's'\n" + VIDEO + "url = 'rtsp://h/s'\nuser = 'u'\npassword_file = 'secret'\n"
    config = load_config(write(tmp_path, text + AZURE.replace("'a'", "'b'") + "library = 'lib'\n"))
    camera, sensor = config.sources
    assert isinstance(camera, VideoSource)
    assert isinstance(sensor, AzureKinectSource)
    assert (camera.url, camera.path) == ("rtsp://h/s", None)
    assert camera.password_file == str(tmp_path / "secret")
    assert sensor.library == str(tmp_path / "lib")
    assert config.node.state == str(tmp_path / "s")
