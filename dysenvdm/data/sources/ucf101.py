"""UCF-101: the official lists, class names told as captions."""

from __future__ import annotations

import re

from dysenvdm.data.entries import Found
from dysenvdm.data.section import Ucf101Source
from dysenvdm.data.sources.collecting import Collector, Folders, check_folder, read_text
from dysenvdm.data.sources.ucf101_classes import ACTORS, DOINGS

LAYOUT = "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi and so on, as UCF101.rar unpacks"
_LINE = re.compile(r"([^/\s]+)/(v_[^/\s]+)\.avi(\s+\d+)?")
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def find(source: Ucf101Source, held_out: bool) -> Found:
    """The clips of the split's train list, or of its test list. (See the door, ``dysenvdm.data.sources.find``.)"""
    check_folder("data.source.root", source.root, LAYOUT)
    name = f"{'test' if held_out else 'train'}list{source.split:02}.txt"
    folders, collector = Folders(), Collector()
    for number, line in enumerate(read_text("data.source.lists", source.lists / name).splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            collector.reject(f"{name}:{number}", "bad annotation", f"{line.strip()[:60]!r} is not Class/v_….avi")
            continue
        category, clip = match[1], match[2]
        inside, flat = (source.root / place / f"{clip}.avi" for place in (category, ""))
        collector.add(
            clip, folders.file(inside) or folders.file(flat), captions_of(category), expected=f"{category}/{clip}.avi"
        )
    return collector.found()


def captions_of(category: str) -> tuple[str, ...]:
    """How a class is told: ``HorseRiding`` -> "A person is riding a horse.", …, "Horse riding."

    A class that is not one of UCF-101's is told by its words alone.
    """
    words = _CAPITAL.sub(" ", category).lower()
    name = f"{words.capitalize()}."
    if category not in DOINGS:
        return (f"A video of {words}.", name)
    actor, doing = ACTORS.get(category, "a person"), DOINGS[category]
    verb = "are" if actor.endswith("s") else "is"
    return (
        f"{actor[0].upper()}{actor[1:]} {verb} {doing}.",
        f"A video of {actor} {doing}.",
        f"{actor[0].upper()}{actor[1:]} {doing}.",
        name,
    )
