"""ActivityNet Captions: timestamped sentences, joined into prompts of several actions in order, or one by one."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from dysenvdm.data.entries import Found
from dysenvdm.data.section import ActivityNetSource
from dysenvdm.data.sources.collecting import (
    Collector,
    check_folder,
    parse_json,
    read_text,
    shared_out,
    videos_below,
)
from planners.dsg import UserError

LAYOUT = "v_….mp4, .mkv or .webm, in that folder or in folders below it such as v1-2/train/"
Sentences = tuple[tuple[float, float, str], ...]
_CONNECTIVE = re.compile(r"(first|then|next|after that|afterwards|finally)\b[, ]*", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z']+")
_SMALL = {
    *("a", "an", "the", "he", "she", "it", "it's", "they", "we", "you", "his", "her", "its", "their", "this", "that"),
    *("these", "those", "one", "two", "three", "four", "several", "some", "many", "more", "most", "another", "other"),
    *("others", "all", "both", "different", "various", "people", "man", "men", "woman", "women", "boy", "boys", "girl"),
    *("girls", "kids", "children", "guys", "players", "someone", "somebody", "everyone", "words", "shots", "clips"),
    *("there", "there's", "in", "on", "at", "as", "by", "for", "from", "with", "after", "before", "when", "while"),
    *("once", "now", "also", "eventually", "suddenly", "soon", "later", "again"),
}
"""First words that lose their capital after "then"; another may be a name."""


def find(source: ActivityNetSource, held_out: bool) -> Found:
    """The videos of the training file, of the validation file, or a share. (See ``dysenvdm.data.sources.find``.)"""
    check_folder("data.source.root", source.root, LAYOUT)
    files, collector = videos_below(source.root), Collector()
    validation = held_out and source.validation is not None
    key, path = ("validation", source.validation) if validation else ("annotations", source.annotations)
    assert path is not None
    elsewhere = _content("validation", source.validation).keys() if source.validation and not held_out else ()
    for video, said in _content(key, path).items():
        if video in elsewhere:
            collector.reject(video, "duplicate", "it is also in the validation file, and held out")
            continue
        try:
            sentences = _sentences(said)
        except ValueError as error:
            collector.reject(video, "bad annotation", str(error))
            continue
        file, expected = files.get(video), f"{video}.mp4, .mkv or .webm"
        if source.single_sentences:
            for number, (start, end, text) in enumerate(sentences):
                collector.add(f"{video}#{number}", file, [text], expected=expected, span=(start, end))
        elif sentences:
            span = (sentences[0][0], max(end for _, end, _ in sentences))
            collector.add(video, file, [joined(sentences)], expected=expected, span=span, sentences=sentences)
        else:
            collector.add(video, file, [], expected=expected)
    found = collector.found()
    return found if source.validation else shared_out(found, source.validation_share, held_out)


def joined(sentences: Sentences) -> str:
    """One prompt of all sentences in their order: "First, a man runs. Then he jumps."; a single one as it is."""
    if len(sentences) == 1:
        return sentences[0][2]
    texts = [_continued(text) for _, _, text in sentences]
    return " ".join(["First, " + texts[0], *("Then " + text for text in texts[1:])])


def _continued(text: str) -> str:
    """A sentence as it goes on after a connective: without one of its own, its first word small, ended by a stop."""
    text = _CONNECTIVE.sub("", text, count=1) if _CONNECTIVE.match(text) else text
    first = _WORD.match(text)
    if first and first[0].lower() in _SMALL:
        text = first[0].lower() + text[first.end() :]
    return text if text.endswith((".", "!", "?")) else text + "."


def _sentences(said: Any) -> Sentences:
    """(start, end, sentence) by start; raises :class:`ValueError` with what is wrong."""
    if not isinstance(said, dict):
        raise ValueError("it is no object with timestamps and sentences")
    times, texts = said.get("timestamps"), said.get("sentences")
    if not isinstance(times, list) or not isinstance(texts, list) or len(times) != len(texts):
        raise ValueError("timestamps and sentences are not two lists of one length")
    parts = []
    for time, text in zip(times, texts, strict=True):
        numbers = isinstance(time, list) and len(time) == 2 and all(isinstance(t, int | float) for t in time)
        if not numbers or not isinstance(text, str):
            raise ValueError(f"{str(time)[:40]} and {str(text)[:40]!r} are not [start, end] and a sentence")
        start, end = map(float, time)
        if not (0 <= start < end and math.isfinite(end)):
            raise ValueError(f"the sentence {text.strip()[:40]!r} lasts from {start:g} to {end:g} s")
        if text.strip():
            parts.append((start, end, " ".join(text.split())))
    return tuple(sorted(parts, key=lambda part: part[:2]))


def _content(key: str, path: Path) -> dict[str, Any]:
    content = parse_json(f"data.source.{key}", path, read_text(f"data.source.{key}", path))
    if not isinstance(content, dict) or not content:
        raise UserError(f"data.source.{key}: {path} is no object of videos; is it ActivityNet Captions' JSON?")
    return content
