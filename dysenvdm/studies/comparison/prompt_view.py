"""The report's part for each prompt: every planner's scene graph over time, its videos, a few of its figures."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dysenvdm.sheet import SOURCE_COLOURS
from dysenvdm.studies.comparison.html import swatch, tag, text, timeline
from dysenvdm.studies.comparison.writing import number
from planners.dsg import DynamicSceneGraph

EMBEDDED_BYTES = 48_000_000
"""Videos of more bytes together stay files beside the page."""
NOTED = ("event F1", "order", "triplet recall", "events shown", "own events shown", "tokens out", "seconds")
"""Columns that stand beside a plan."""


class Videos:
    """The videos of a comparison as addresses: in the page where all together are small enough, else beside it."""

    def __init__(self, results: Mapping[str, Any], folder: Path) -> None:
        self.folder = folder
        named = [video["file"] for told in results["prompts"] for video in _videos_of(told) if video["file"]]
        self.count = len(set(named))
        self.bytes = sum((folder / name).stat().st_size for name in named)
        self.embedded = self.bytes <= EMBEDDED_BYTES

    def address(self, name: str) -> str:
        if not self.embedded:
            return name
        return f"data:video/mp4;base64,{base64.b64encode((self.folder / name).read_bytes()).decode()}"

    def told(self) -> str:
        """Where they are, in a sentence."""
        size, limit = f"{self.bytes / 1e6:.1f} MB", f"{EMBEDDED_BYTES / 1e6:.0f} MB"
        if not self.count:
            return "No videos were made."
        if self.embedded:
            return f"The {self.count} videos ({size}; up to {limit} would do so) are inside this page."
        return (
            f"The {self.count} videos ({size}, more than {limit}) are files beside this page: keep its folder 'videos' "
            "with it."
        )


def _videos_of(told: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if told["gold"] and told["gold"]["video"]:
        yield told["gold"]["video"]
    for outcome in told["planners"].values():
        yield from outcome["videos"]


def prompts_view(results: Mapping[str, Any], videos: Videos) -> str:
    """All prompts, closed, with a field to find some of them."""
    about = (
        "Open a prompt to see every planner's scene graph over time and the videos made from it. A bar's colour says "
        "where a fact comes from:"
    )
    count = tag("span", f"{len(results['prompts'])} shown", id="found", role="status", class_="soft")
    find = '<input id="find" type="search" autocomplete="off">'
    return "".join(
        (
            tag("p", about),
            tag("ul", *(tag("li", swatch(source), source) for source in SOURCE_COLOURS), class_="legend"),
            tag("div", tag("label", "Find in prompts", for_="find"), find, count, class_="find"),
            *(_prompt(told, videos) for told in results["prompts"]),
        )
    )


def _prompt(told: Mapping[str, Any], videos: Videos) -> str:
    gold = [_gold_card(told["gold"], videos)] if told["gold"] else []
    cards = gold + [_card(label, outcome, videos) for label, outcome in told["planners"].items()]
    scores = [
        f"{label} {number(right / judged)}"
        for label, outcome in told["planners"].items()
        for right, judged in [outcome["parts"].get("event F1", (0, 0))]
        if judged
    ]
    line = tag("span", text(f"event F1: {'; '.join(scores)}"), class_="soft") if scores else ""
    several = sum(card.count("<video") for card in cards) > 1
    play = tag("button", "Play all from the start", type="button", class_="act") if several else ""
    return tag(
        "details",
        tag("summary", f"{told['number']}. {text(told['prompt'])}", line),
        play,
        tag("div", *cards, class_="side"),
        data_prompt=told["prompt"],
    )


def _card(label: str, outcome: Mapping[str, Any], videos: Videos) -> str:
    parts = ((name, outcome["parts"].get(name, (0, 0))) for name in NOTED)
    figures = (tag("dt", name) + tag("dd", number(right / of)) for name, (right, of) in parts if of)
    return tag(
        "section",
        tag("h3", text(label)),
        tag("p", text(outcome["status"]), class_="soft"),
        tag("p", text(outcome["degraded"]), class_="bad") if outcome["degraded"] else "",
        timeline(DynamicSceneGraph.parse(outcome["dsg"])),
        *(_video(video, label, videos) for video in outcome["videos"]),
        tag("dl", *figures),
    )


def _gold_card(gold: Mapping[str, Any], videos: Videos) -> str:
    return tag(
        "section",
        tag("h3", "Gold"),
        tag("p", "what is right", class_="soft"),
        timeline(DynamicSceneGraph.parse(gold["dsg"])),
        _video(gold["video"], "gold", videos, "the Stage clip as it is drawn") if gold["video"] else "",
    )


def _video(video: Mapping[str, Any], label: str, videos: Videos, caption: str = "") -> str:
    caption = caption or f"seed {video['seed']}"
    if not video["file"]:
        return tag("p", f"no video: {text(video['error'])}", class_="bad")
    shown = tag(
        "video", controls=True, muted=True, loop=True, playsinline=True, preload="none",
        aria_label=f"{label}, {caption}", src=videos.address(video["file"]),
    )  # fmt: skip
    return shown + tag("p", caption, class_="soft")
