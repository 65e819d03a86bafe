import numpy as np
import pytest

from models import words
from models.words import base_form, facet_texts, verb_and_noun
from train.datasets.described import load_descriptions
from train.datasets.labels import SETS, load_actions

PROMPTS = {
    "a person falls to the floor": ("fall", "floor"),
    "a person waves a hand": ("wave", "hand"),
    "a person is waving a hand": ("wave", "hand"),
    "A person slowly raises an arm.": ("raise", "arm"),
    "someone picks something up": ("pick up", "something"),
    "the man picks up a box from the floor": ("pick up", "box"),
    "two people shake hands": ("shake", "hands"),
    "a person strikes with the back of the fist": ("strike", "fist"),
    "a person puts on a coat": ("put on", "coat"),
    "a person takes off the shoes": ("take off", "shoes"),
    "a person lies on the floor": ("lie", "floor"),
    "a person lying on the ground": ("lie", "ground"),
    "a person climbs over a fence": ("climb over", "fence"),
    "a person sits on a chair and reads": ("sit", "chair"),
    "a person hits another person": ("hit", "person"),
    "kicking a door": ("kick", "door"),
    "an elderly woman is falling down the stairs": ("fall down", "stairs"),
    "a person points a finger forward": ("point", "finger"),
    # Listed once the subject is gone and the verb has its base form.
    "a person drinks water": ("drink", "water"),
    "a person sits down": ("sit down", "body"),
}


@pytest.mark.parametrize("vocabulary", ["ntu120", "pku51", "own"])
def test_every_class_has_a_verb_and_a_noun(vocabulary):
    for description in load_descriptions(vocabulary):
        verb, noun = words._listed()[description.name.lower()]
        assert verb
        assert noun
        assert verb_and_noun(description.name) == (verb, noun)


def test_every_label_of_the_training_sets_is_listed():
    labels = {label for action in load_actions() for dataset, label in action.labels if dataset in SETS}
    assert len(labels) > 100
    assert labels <= set(words._listed())


@pytest.mark.parametrize("vocabulary", ["ntu120", "pku51"])
def test_no_two_classes_of_a_dataset_have_the_same_words(vocabulary):
    pairs = [verb_and_noun(description.name) for description in load_descriptions(vocabulary)]
    assert len(set(pairs)) == len(pairs)


def test_labels_of_known_sets():
    assert verb_and_noun("drink water") == ("drink", "water")
    assert verb_and_noun("Sitting down") == ("sit down", "body")
    assert verb_and_noun("Thumbs up") == ("raise", "thumb")


@pytest.mark.parametrize(("prompt", "expected"), PROMPTS.items())
def test_prompts(prompt, expected):
    assert verb_and_noun(prompt) == expected


def test_a_facet_without_a_word_is_the_whole_text():
    assert verb_and_noun("a person crawls") == ("crawl", "a person crawls")
    assert verb_and_noun("a person runs away") == ("run away", "a person runs away")
    assert verb_and_noun("") == ("", "")
    assert verb_and_noun("一个人") == ("一个人", "一个人")
    assert verb_and_noun("a person") == ("a person", "a person")


def test_any_text_has_both():
    rng = np.random.default_rng(0)
    known = ["a", "person", "is", "up", "of", "and", "the", "waving", "hand", "(x)", "on", "slowly", "12", "it's", "-"]
    for _ in range(200):
        text = " ".join(rng.choice(known, rng.integers(1, 7)))
        assert all(verb_and_noun(text))


def test_facets_in_the_order_asked_for():
    assert facet_texts("drink water", ("whole",)) == ("drink water",)
    assert facet_texts("drink water", ("verb", "noun")) == ("drink", "water")
    assert facet_texts("drink water", ("noun", "whole", "verb")) == ("water", "drink water", "drink")


FORMS = {
    "wave": "waves waving waved",
    "fall": "falls falling fell fallen",
    "hit": "hits hitting",
    "stop": "stops stopping stopped",
    "make": "makes making made",
    "push": "pushes pushing pushed",
    "carry": "carries carrying carried",
    "swing": "swings swinging swung",
    "bring": "brings brought bring",
    "juggle": "juggles juggling juggled",
    "raise": "raises raising raised",
    "go": "goes going went",
    "lie": "lies lying lay",
    "roll": "rolls rolling rolled",
    "crawl": "crawls crawling crawled",
    "dance": "dances dancing danced",
    "punch": "punches punching punched",
    "open": "opens opening opened",
    "type": "types typing typed",
    "lunge": "lunges lunging lunged",
    "kneel": "kneels kneeling knelt",
    "press": "presses pressing pressed",
    "look": "looks looking looked",
    "cook": "cooks cooking cooked",
    "fly": "flies flying flew",
    "sneeze": "sneezes sneezing sneezed",
}


@pytest.mark.parametrize(("verb", "form"), [(verb, form) for verb, forms in FORMS.items() for form in forms.split()])
def test_base_forms(verb, form):
    assert base_form(form) == verb
    assert base_form(verb) == verb
