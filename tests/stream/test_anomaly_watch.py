"""Anomalies in the pipeline: scores, events, what is learnt, and that the batches change nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from poses import frame, person

from models.anomaly import NormalModel
from models.normal_file import save_normals
from models.pointset import PointSet
from models.pointset_model import PointSetManifest, save_pointset
from stream.anomaly import LEARN_S, PERSON, SCENE, UNUSUAL, NormalLearner
from stream.config import Config
from stream.config_file import ConfigError, load_config, parse_config
from stream.service import Service, load_service
from stream.sources.files import open_source
from stream.types import NANOSECONDS, NO_TRACK, Event, EventKind, Phase, Scores, SkeletonFrame, Space

DEMO = Path(__file__).parents[2] / "stream" / "demo"
STRIKES, WAVES = DEMO / "Seq1_10.csv", DEMO / "Ges01_wavehand.csv"
TEXTS = ["a person punches", "a person kicks"]


def config(folder: Path, **anomaly: object) -> Config:
    section = {"enabled": True, "encoder": "graph", "prompts": TEXTS, "scope": ["person", "scene"], **anomaly}
    content = {"model": {"device": "cpu"}, "examples": {"path": ""}, "anomaly": section, "node": {"state": "state"}}
    return parse_config(content, folder / "posewire.toml")


def frames_of(path: Path, name: str = "cam") -> list[SkeletonFrame]:
    with open_source(path, name) as source:
        return list(source)


def play(service: Service, frames: list[SkeletonFrame], batch: int = 64) -> tuple[list[Event], list[Scores]]:
    outputs = []
    for start in range(0, len(frames), batch):
        outputs += service.pipeline.push(frames[start : start + batch])
    for name in dict.fromkeys(one.source for one in frames):
        outputs += service.pipeline.end_source(name)
    events = [one for one in outputs if isinstance(one, Event) and one.kind is EventKind.ANOMALY]
    return events, [one for one in outputs if isinstance(one, Scores)]


def learnt(service: Service, *paths: Path) -> dict[str, NormalModel]:
    assert service.anomalies is not None
    watch = service.anomalies.watch
    watch.learner = learner = NormalLearner(watch.dim)
    for path in paths:
        play(service, frames_of(path, path.stem))
    watch.learner = None
    return learner.models


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return load_service(config(tmp_path_factory.mktemp("service")))


def test_a_strike_is_an_anomaly_of_the_person_and_of_the_scene_and_a_wave_is_none(service: Service) -> None:
    events, scores = play(service, frames_of(STRIKES))
    starts = [event for event in events if event.phase is Phase.START]
    ends = [event for event in events if event.phase is Phase.END]
    assert {event.track for event in starts} == {1, NO_TRACK}
    assert {event.id for event in starts} == {event.id for event in ends}
    assert {event.name for event in events} == {"anomaly"}
    assert {event.prompt for event in events} <= set(TEXTS)
    assert all(event.severity == "alert" for event in events)
    assert max(one.anomaly or 0.0 for one in scores) > 0.9
    events, scores = play(service, frames_of(WAVES))
    assert not events
    assert all(one.anomaly is not None and one.anomaly < 0.2 for one in scores)


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_the_batches_that_frames_come_in_change_no_event(tmp_path: Path, batch: int) -> None:
    expected, _ = play(load_service(config(tmp_path)), frames_of(STRIKES), 64)
    found, _ = play(load_service(config(tmp_path)), frames_of(STRIKES), batch)
    assert [(one.id, one.phase, one.t, one.prompt) for one in found] == [
        (one.id, one.phase, one.t, one.prompt) for one in expected
    ]
    np.testing.assert_allclose([one.score for one in found], [one.score for one in expected], atol=1e-4)


def test_moved_in_time_by_whole_slots_everything_moves_with_it(tmp_path: Path) -> None:
    shift = 8 * 40_000_000 * 1000
    plain, _ = play(load_service(config(tmp_path)), frames_of(STRIKES))
    moved = [
        SkeletonFrame(f.source, f.seq, f.t + shift, f.layout, f.joints, f.confidence, f.track_ids, f.space)
        for f in frames_of(STRIKES)
    ]
    later, _ = play(load_service(config(tmp_path)), moved)
    assert [(one.phase, one.track, one.t + shift) for one in plain] == [(one.phase, one.track, one.t) for one in later]


def test_what_was_learnt_as_normal_is_no_anomaly_any_more(tmp_path: Path) -> None:
    service = load_service(config(tmp_path))
    assert service.anomalies is not None
    assert "nothing is learnt as normal" in service.description
    before, _ = play(service, frames_of(STRIKES))
    normals = learnt(service, *sorted(DEMO.glob("Seq1_1*.csv")))
    assert {name: model.count > 1 for name, model in normals.items()} == {PERSON: True, SCENE: True}
    service.anomalies.watch.exchange(normals)
    after, scores = play(service, frames_of(STRIKES))
    assert len(after) < len(before)
    assert all(one.anomaly is not None and 0 <= one.anomaly <= 1 for one in scores)


def test_the_scores_by_kind(tmp_path: Path) -> None:
    found = {}
    for kind in ("product", "ood", "prompt"):
        service = load_service(config(tmp_path, score=kind))
        assert service.anomalies is not None
        service.anomalies.watch.exchange(learnt(service, WAVES))
        found[kind] = np.array([one.anomaly for one in play(service, frames_of(STRIKES))[1]])
    np.testing.assert_allclose(found["product"], found["ood"] * found["prompt"], rtol=1e-5)


def test_what_is_like_no_text_says_so(tmp_path: Path) -> None:
    service = load_service(config(tmp_path, score="ood", enter=0.0, exit=0.0))
    assert service.anomalies is not None
    watch = service.anomalies.watch
    watch.exchange(learnt(service, WAVES))
    watch._view.space.similarity = lambda features, _: np.zeros(len(features), np.float32)  # type: ignore[method-assign]
    events, _ = play(service, frames_of(STRIKES))
    assert {event.prompt for event in events} == {UNUSUAL}


def test_other_settings_of_events_reach_anomalies_too_but_for_their_own(tmp_path: Path) -> None:
    service = load_service(config(tmp_path))
    before, _ = play(service, frames_of(STRIKES))
    assert before
    content = config(tmp_path).model_dump(mode="json") | {"events": {"min_s": 60.0, "enter": 0.01, "exit": 0.01}}
    service = service.revised(parse_config(content, tmp_path / "posewire.toml"))
    service.put_in_force()
    assert not play(service, frames_of(STRIKES))[0]
    watched = service.anomalies.watch._settings.events if service.anomalies else None
    assert watched is not None
    assert (watched.min_s, watched.enter, watched.margin) == (60.0, 0.5, 0.0)


def test_the_scope_says_of_whom_events_are(tmp_path: Path) -> None:
    for scope, tracks in ((["person"], {1}), (["scene"], {NO_TRACK})):
        service = load_service(config(tmp_path, scope=scope))
        events, scores = play(service, frames_of(STRIKES))
        assert {event.track for event in events} == tracks
        assert all(one.anomaly is not None for one in scores)


def test_it_counts_where_and_when_it_is_asked_for(tmp_path: Path) -> None:
    def load(rest: dict[str, object], **anomaly: object) -> Service:
        section = {"enabled": True, "prompts": TEXTS, **anomaly}
        content = {"model": {"device": "cpu"}, "examples": {"path": ""}, "anomaly": section, "node": {"state": "state"}}
        return load_service(parse_config(content | rest, tmp_path / "posewire.toml"))

    zones = {
        "zones": [
            {"name": "here", "floor": [[-9, 0], [9, 0], [9, 9], [-9, 9]]},
            {"name": "far", "floor": [[90, 0], [99, 0], [99, 9], [90, 9]]},
        ]
    }
    for limits, told in (({"zone": "here"}, True), ({"zone": "far"}, False), ({"outside": "here"}, False)):
        events, scores = play(load(zones, **limits), frames_of(STRIKES))
        assert bool(events) is told, limits
        assert max(one.anomaly or 0.0 for one in scores) > 0.9
    two = load({}, sources=["cam"], scope=["person", "scene"])
    assert play(two, frames_of(STRIKES))[0]
    events, scores = play(two, frames_of(STRIKES, "gym"))
    assert events == []
    assert all(one.anomaly is None for one in scores)


@pytest.mark.parametrize(("needs", "scope"), [({"prompt": "anomaly"}, "person"), ({"after": "anomaly"}, "scene")])
def test_a_rule_may_ask_for_an_anomaly(tmp_path: Path, needs: dict[str, str], scope: str) -> None:
    rules = [{"name": "odd", "for_s": 0.2, **needs}]
    section = {"enabled": True, "prompts": TEXTS, "scope": [scope]}
    content = {"model": {"device": "cpu"}, "examples": {"path": ""}, "anomaly": section, "node": {"state": "state"}}
    service = load_service(parse_config(content | {"rules": rules}, tmp_path / "posewire.toml"))
    outputs = [one for frame in frames_of(STRIKES) for one in service.pipeline.push([frame])]
    starts = [one for one in outputs if isinstance(one, Event) and one.phase is Phase.START]
    odd, anomaly = (next(one for one in starts if one.name == name) for name in ("odd", "anomaly"))
    assert odd.t - anomaly.t >= 0.2 * NANOSECONDS
    assert odd.track == anomaly.track


def test_switched_off_there_are_neither_scores_nor_events(tmp_path: Path) -> None:
    service = load_service(config(tmp_path, enabled=False))
    assert service.anomalies is None
    events, scores = play(service, frames_of(STRIKES))
    assert not events
    assert all(one.anomaly is None for one in scores)


def test_when_everybody_has_left_the_scenes_event_ends(tmp_path: Path) -> None:
    service = load_service(config(tmp_path, scope=["scene"]))
    whole = frames_of(STRIKES)
    strikes = [one for one in whole if one.t <= whole[0].t + 3 * NANOSECONDS]
    last = strikes[-1].t
    empty = [frame(last + 33_000_000 * n, seq=len(strikes) + n) for n in range(1, 120)]
    events = [
        one
        for one in service.pipeline.push([*strikes, *empty])
        if isinstance(one, Event) and one.kind is EventKind.ANOMALY
    ]
    assert [event.phase for event in events if event.phase is not Phase.UPDATE] == [Phase.START, Phase.END]
    assert events[-1].t < empty[-1].t


def test_samples_of_a_track_are_a_windows_length_apart_and_of_another_track_their_own() -> None:
    learner = NormalLearner(2)
    features = np.array([1, 2], np.float32)
    for t in range(0, 10 * NANOSECONDS, NANOSECONDS // 4):
        learner.take(PERSON, "cam", 1, t, features + t)
        learner.take(PERSON, "cam", 2, t, features + t)
    assert learner.models[PERSON].count == 2 * 10 / LEARN_S
    learner.take(PERSON, "cam", 1, 0, features)  # the clock began anew
    assert learner.models[PERSON].count == 2 * 10 / LEARN_S + 1
    learner.forget("cam", 2)
    learner.take(PERSON, "cam", 2, 9 * NANOSECONDS, features)
    learner.take(PERSON, "other", 2, 9 * NANOSECONDS, features)
    assert learner.models[PERSON].count == 2 * 10 / LEARN_S + 3
    again = NormalLearner(2, learner.models)
    assert again.models[PERSON].count == learner.models[PERSON].count


def test_a_file_is_taken_up_while_it_runs_and_one_of_no_use_is_told_of(tmp_path: Path) -> None:
    service = load_service(config(tmp_path, normal="normal.safetensors"))
    path = tmp_path / "normal.safetensors"
    assert service.anomalies is not None
    assert service.anomalies.file.path == path
    assert service.anomalies.refresh() is None
    normals = learnt(service, WAVES)
    digest = service.recogniser.digest
    save_normals(path, normals, digest)
    assert service.anomalies.refresh() == (
        f"normal is what {normals[PERSON].count} windows of people and {normals[SCENE].count} of scenes showed"
    )
    assert service.anomalies.refresh() is None
    save_normals(path, normals, "b" * 64)
    assert "another model" in (service.anomalies.refresh() or "")
    save_normals(path, {PERSON: normals[PERSON]}, digest)
    assert "expected what is normal of people and scenes" in (service.anomalies.refresh() or "")
    save_normals(path, {name: NormalModel(normals[PERSON].dim) for name in (PERSON, SCENE)}, digest)
    assert "too little" in (service.anomalies.refresh() or "")
    path.unlink()
    assert "nothing is learnt as normal" in (service.anomalies.refresh() or "")


def test_a_name_that_can_be_no_files_is_told_of_as_nothing_learnt(tmp_path: Path) -> None:
    service = load_service(config(tmp_path, normal="n" * 300))
    assert "nothing is learnt as normal" in service.description


def test_points_give_scores_in_a_stream_whatever_the_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"width": 16, "blocks": 1, "features": 24, "classes": 1}
    torch.manual_seed(0)
    network = PointSet(**sizes, text_dim=384)
    manifest = PointSetManifest(
        format=1, architecture="pointset", arguments={**sizes, "text_dim": 384}, text_model="all-MiniLM-L6-v2",
        labels=("one",), texts=(), label_of=(), training={}, terms="none",
    )  # fmt: skip
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    save_pointset(tmp_path / "points", manifest, weights, np.zeros((0, 384), np.float32))
    monkeypatch.setattr("stream.anomaly_parts.POINTS", tmp_path / "points")
    found = []
    for batch in (1, 100):
        service = load_service(config(tmp_path, encoder="points", score="ood", enter=0.0, exit=0.0))
        assert service.anomalies is not None
        normals = learnt(service, WAVES)
        assert min(model.count for model in normals.values()) > 1
        service.anomalies.watch.exchange(normals)
        events, scores = play(service, frames_of(STRIKES), batch)
        assert {event.track for event in events} == {1, NO_TRACK}
        found.append([one.anomaly or 0.0 for one in scores])
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)
    assert all(0 <= score <= 1 for score in found[0])


def test_people_in_images_have_scores_that_no_unit_changes(tmp_path: Path) -> None:
    found = []
    for unit in (1.0, 0.001):
        service = load_service(config(tmp_path))
        frames = []
        for one in frames_of(STRIKES):
            pixels = (one.joints * np.array([-300, -300, 0]) + [640, 360, 0]) * unit
            frames.append(replace(one, joints=pixels.astype(np.float32), space=Space.IMAGE2D))
        found.append([one.anomaly or 0.0 for one in play(service, frames)[1]])
    assert len(found[0]) > 10
    np.testing.assert_allclose(found[0], found[1], atol=0.02)
    assert max(found[0]) > 0.5


def test_two_people_give_one_scene_and_two_scores(service: Service) -> None:
    frames = [frame(n * 33_333_333, person(-0.8), person(0.8), ids=(1, 2), seq=n, source="two") for n in range(90)]
    events, scores = play(service, frames)
    assert not events
    assert len({one.track for one in scores}) == 2
    assert all(one.anomaly is not None for one in scores)


def test_wrong_settings_are_told_of_with_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "posewire.toml"
    path.write_text("[anomaly]\nenter = 0.2\nexit = 0.6\n")
    with pytest.raises(ConfigError, match=r"anomaly: exit \(0.6\) is above enter"):
        load_config(path)
    path.write_text('[anomaly]\nprompts = []\nscope = []\nscore = "sum"\nencoder = "tree"\n')
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert {line.split(": ")[1] for line in str(error.value).splitlines()} == {
        "anomaly.prompts",
        "anomaly.scope",
        "anomaly.score",
        "anomaly.encoder",
    }
    path.write_text('[anomaly]\nprompts = ["a person falls", "a person falls"]\n')
    with pytest.raises(ConfigError, match="two prompts are the same"):
        load_config(path)
