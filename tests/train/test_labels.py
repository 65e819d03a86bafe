import re

from train.datasets.labels import BACKGROUND, SETS, action_of_label, default_prompts, load_actions
from train.datasets.people import Split, split_people


def test_actions_are_sentences_and_have_names_of_their_own() -> None:
    actions = load_actions()
    texts = [text for action in actions for text in action.texts]
    assert len({action.name for action in actions}) == len(actions)
    assert len(set(texts)) == len(texts)
    assert all(re.fullmatch(r"a person [\w ,-]+", text) for text in texts)
    assert set(BACKGROUND) <= {action.name for action in actions}


def test_each_label_means_one_action() -> None:
    actions = load_actions()
    labels = [label for action in actions for label in action.labels]
    assert len(set(labels)) == len(labels) == len(action_of_label())
    assert {name for name, _ in labels} == set(SETS)
    assert [action.name for action in actions if not action.mirrors] == [
        "draw tick", "draw c", "draw k", "form c", "form k", "form p",
    ]  # fmt: skip


def test_default_prompts_are_many_and_differ() -> None:
    prompts = default_prompts()
    assert len(set(prompts)) == len(prompts) >= 60
    assert "a person falls to the floor" in prompts


def test_people_are_split_whole_and_the_demos_people_only_test() -> None:
    people = [f"s{i}" for i in range(1, 13)]
    split = split_people("precog16", people)
    assert {person for person, part in split.items() if part is Split.TEST} == {"s10", "s11", "s12"}
    assert [person for person in people if split[person] is Split.VALIDATION] == ["s3", "s9"]
    other = split_people("utd_mhad", reversed(people))
    assert [person for person in people if other[person] is Split.VALIDATION] == ["s3", "s9"]
    assert [person for person in people if other[person] is Split.TEST] == ["s6", "s12"]
