"""A verb and a noun for each text: what JPoSE and SynSE embed instead of the whole text.

Source: JPoSE (Wray et al., 2019) and SynSE (Gupta et al., 2021) split captions by their parts of speech with a tagger.
Here the class names of the public sets have words that were checked by hand (`words.toml`); any other text, such as a
user's prompt, is split by a small rule (see `verb_and_noun`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.methods.method import Facet

FILE = Path(__file__).parent / "words.toml"
SILENT_E = re.compile(r"(c|v|z|dg|u|[aeiou]s|[bcdfgkpstz]l|(cha|lu|ra)ng)$|^[^aeiouy]*[aeiouy][bdgklmnprst]$")
"""Stems that lost an "e" to "-ing" or "-ed": juggl-, rais-, and short ones that would double the last letter, mak-."""


def facet_texts(text: str, facets: Sequence[Facet]) -> tuple[str, ...]:
    """What is embedded of a text: itself for "whole", its verb and its noun."""
    verb, noun = verb_and_noun(text)
    parts: dict[Facet, str] = {"whole": text, "verb": verb, "noun": noun}
    return tuple(parts[facet] for facet in facets)


def verb_and_noun(text: str) -> tuple[str, str]:
    """A verb, in its base form, and a noun for a text.

    Texts that `words.toml` lists, in any case and with or without a subject, have the words that it gives. Of others, a
    subject ("a person", "two people"), auxiliaries and adverbs before the verb are dropped; the first word is the verb,
    with a particle that follows it or ends the action ("picks something up": pick up); the noun is the last of the
    first words in a row after it that are no article, pronoun, preposition or adverb ("waves a hand": hand; "falls to
    the floor": floor). "The back of" and its like are skipped; from "and" or "while" on, nothing is looked at. A facet
    without a word is the whole text.
    """
    listed = _listed().get(_normal(text))
    if listed is not None:
        return listed
    words = _without_subject(re.findall(r"[a-z][a-z'-]*", re.sub(r"\([^)]*\)", " ", text.lower())))
    if not words:
        return text, text
    verb, rest = base_form(words[0]), words[1:]
    listed = _listed().get(" ".join([verb, *rest]))
    if listed is not None:
        return listed
    end = next((place for place, word in enumerate(rest) if word in _known("ends")), len(rest))
    rest = rest[:end]
    place = _particle(verb, rest)
    if place is not None:
        verb = f"{verb} {rest[place]}"
        rest = rest[:place] + rest[place + 1 :]
    return verb, _noun(rest) or text


def base_form(verb: str) -> str:
    """The base form of a verb, by its ending: falls, falling and fell become fall, waving wave, hitting hit."""
    irregular: dict[str, str] = _file()["rule"]["irregular"]
    if verb in irregular:
        return irregular[verb]
    if verb.endswith("ies") and len(verb) > 4:
        return verb[:-3] + "y"
    if re.search(r"(ch|sh|ss|x|zz|o)es$", verb):
        return verb[:-2]
    if verb.endswith("s") and not verb.endswith("ss"):
        return verb[:-1]
    if verb.endswith("ied") and len(verb) > 4:
        return verb[:-3] + "y"
    if verb.endswith("ing") and len(verb) > 4 and verb not in _known("no_gerunds"):
        return _stem(verb[:-3])
    if verb.endswith("ed") and len(verb) > 4 and not verb.endswith("eed"):
        return _stem(verb[:-2])
    return verb


def _stem(stem: str) -> str:
    """A verb from what is left of it without "-ing" or "-ed"."""
    if len(stem) > 2 and stem[-1] == stem[-2] and stem[-1] not in "lszfeo":
        return stem[:-1]
    return stem + "e" if SILENT_E.search(stem) else stem


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


@cache
def _listed() -> dict[str, tuple[str, str]]:
    return {name: (verb, noun) for table in _file()["classes"].values() for name, (verb, noun) in table.items()}


@cache
def _known(kind: str) -> frozenset[str]:
    """The rule's words of one kind."""
    return frozenset(_file()["rule"][kind].split())


def _normal(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".!")


def _without_subject(words: list[str]) -> list[str]:
    """The words from the verb on."""
    start = 0
    while start < len(words) and words[start] in _known("before_people"):
        start += 1
    if start < len(words) and words[start] in _known("people"):
        words = words[start + 1 :]
    start = 0
    while start < len(words) - 1 and (words[start] in _known("auxiliaries") or _is_manner(words[start])):
        start += 1
    return words[start:]


def _is_manner(word: str) -> bool:
    return (word.endswith("ly") and len(word) > 4) or word in ("still", "suddenly")


def _particle(verb: str, rest: list[str]) -> int | None:
    """Where among the words after a verb its particle is: next to it, or after its object ("picks something up")."""
    on = _known("particles") | {"on"} if verb in ("put", "try", "switch", "turn") else _known("particles")
    for place, word in enumerate(rest):
        if word in on and (place == 0 or (place == len(rest) - 1 and rest[place - 1] not in _known("links"))):
            return place
    return None


def _noun(rest: list[str]) -> str:
    """The last of the first words in a row that can be a noun, or ""."""
    found = ""
    for place, word in enumerate(rest):
        after_link = place > 0 and rest[place - 1] in _known("links")
        partitive = rest[place + 1 : place + 2] == ["of"]
        adverb = _is_manner(word) or (word in _known("adverbs") and not after_link)
        if word in _known("links") or partitive or adverb:
            if found:
                return found
        else:
            found = word
    return found
