from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.topics import Topic, TopicError, check_name, prefix, slug


def test_topic_reads_back():
    topic = Topic("alarm", "cam1", "fall")
    assert topic.encode() == b"alarm/cam1/fall/"
    assert Topic.parse(topic.encode()) == topic


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"alarm",
        b"alarm/cam1/fall",
        b"alarm/cam1/",
        b"/cam1/fall/",
        b"alarm//fall/",
        b"a/b/c/d/",
        b"a/b/c//",
        b"alarm/cam 1/fall/",
        b"alarm/cam1/fall\n/",
        b"alarm/c\xff/fall/",
        b"alarm/" + b"x" * 65 + b"/fall/",
    ],
)
def test_malformed_topic(data: bytes):
    with pytest.raises(TopicError):
        Topic.parse(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_topic_or_an_error(data: bytes):
    try:
        topic = Topic.parse(data)
    except TopicError:
        return
    assert topic.encode() == data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", b""),
        ("alarm", b"alarm/"),
        ("alarm/", b"alarm/"),
        ("alarm/cam1", b"alarm/cam1/"),
        ("alarm/cam1/fall/", b"alarm/cam1/fall/"),
    ],
)
def test_prefix_closes_every_level(text: str, expected: bytes):
    assert prefix(text) == expected


def test_prefix_of_one_camera_does_not_match_another():
    assert Topic("alarm", "cam1", "fall").encode().startswith(prefix("alarm/cam1"))
    assert not Topic("alarm", "cam10", "fall").encode().startswith(prefix("alarm/cam1"))


@pytest.mark.parametrize("text", ["alarms", "/", "alarm//fall", "alarm/cam1/fall/x", "alarm/cam 1", "ALARM"])
def test_prefix_that_matches_nothing(text: str):
    with pytest.raises(TopicError, match="topic"):
        prefix(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [("a person falls", "a_person_falls"), ("Fall!", "fall"), ("tête-à-tête", "tete-a-tete"), ("  x  ", "x")],
)
def test_slug(text: str, name: str):
    assert slug(text) == name


@given(st.text())
def test_slug_of_any_text_is_a_name(text: str):
    assert check_name(slug(text)) == slug(text)


def test_slugs_of_texts_without_ascii_or_too_long_differ():
    assert slug("走路") != slug("跌倒")
    assert slug("x" * 100) != slug("x" * 101)


def test_name_error_says_whose_it_is():
    with pytest.raises(TopicError, match="source 'cam 1'"):
        check_name("cam 1", "source")
