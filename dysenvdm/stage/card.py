"""The dataset card of an export: what it is, how it came about, and its counts, read off its own index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dysenvdm.stage.compositions import SPLITS

_TEXT = """---
license: apache-2.0
language: en
task_categories: [text-to-video]
pretty_name: Stage {stage_version}, {split}
---
# Stage, version {stage_version}: {clips} clips of {split}

Clips of a small drawn world in which people and animals act out scripts. From one seed come a caption, other captions
of the same meaning, the gold action plan, the gold dynamic scene graph, the boxes of everybody in every frame, and the
video. Everything is synthetic; nobody and nothing real is shown.

| | |
|---|---|
| clips | {clips}, numbers {first} to {last} of the split |
| video | {size} x {size} pixels, {lengths}, {fps} frames per second, H.264 in MP4 |
| words per caption | {words} |

## Files

- `NAME.mp4`, `NAME.txt` (a caption per line, the first is the clip's own) and `NAME.dsg.json` (the dynamic scene graph,
  format `dysenvdm.dsg/1`); a NAME is the clip's seed in the whole corpus.
- `index.jsonl`: a JSON object per clip. `caption`, `captions`, `style`, `phrasing`, `words`; `events` and `actors` (how
  many); `split`, `seed`, `stage_version`; `video`, `dsg`, `frames`, `fps`, `size`; `setting`, `weather`; `plan`
  (objects, attributes, and events in order of occurrence with ticks `[start, end)`), which speaks the caption's words,
  and `actions`, the world's own name for each event; `spans`: for each event the characters `[start, end)` of the
  caption that are its predicate, for each object those of its name; `boxes`: for each object x0, y0, x1, y1 in 0..1 of
  every frame.
- `sheet.png`: the first clips, frame by frame, over the timeline of their facts.
- `export.json`: the settings of this export.

`dysenvdm plan --input index.jsonl` plans its captions.

## Counts

{tables}
A caption is *single* with one event, *simultaneous* where some happen at the same time, *out of order* where one is
told before another that happens first (it may be both), *chained* otherwise. Styles: *plain*; *rich* has more
connectives, relative clauses and passives; *terse* has no articles.

## Splits

{splits}
`train`, `val` and `test` are drawn alike, from seeds of their own. The others are held out: in every clip of
`new-pairs` some actor does what no actor of its kind does in any other split; the others have more events, or more
actors, than any clip of `train`. They share words, looks, places, phrasings and single actions with `train`, but no
composition: no kind of actor with that action, no number of events, no number of actors.

## The same again

    {command}

writes this folder again, and goes on with it where it was stopped. Equal seeds and version give equal bytes of
`index.jsonl`, captions, scene graphs and frames on every machine. MP4 files are equal where the same build of libx264
encodes them; the same file decodes to the same frames everywhere.

## Licence

Apache-2.0, as the software that drew it.
"""


def card(settings: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> str:
    """The card of an export with these settings, whose index has these lines."""
    counts: dict[str, Counter[Any]] = {
        name: Counter() for name in ("events", "actors", "phrasing", "style", "frames", "words")
    }
    actions: Counter[str] = Counter()
    for line in lines:
        for name in ("events", "actors", "style", "frames", "words"):
            counts[name][line[name]] += 1
        counts["phrasing"].update(line["phrasing"])
        actions.update(line["actions"])
    tables = [
        _table(title, counts[name])
        for title, name in (("events", "events"), ("actors", "actors"), ("phrasing", "phrasing"), ("style", "style"))
    ]
    words, frames = sorted(counts["words"]), sorted(counts["frames"])
    total = counts["words"].total()
    mean = sum(words * clips for words, clips in counts["words"].items()) / total
    return _TEXT.format(
        **{key: settings[key] for key in ("stage_version", "split", "clips", "first", "size", "fps")},
        last=settings["first"] + settings["clips"] - 1,
        lengths=f"{frames[0]} frames" if len(frames) == 1 else f"{frames[0]} to {frames[-1]} frames",
        words=f"{words[0]} to {words[-1]}, {mean:.1f} on average",
        tables="\n".join([*tables, _table("action", actions, of="events")]),
        splits=_splits(),
        command=_command(settings),
    )


def _splits() -> str:
    rows = [f"| {split.name} | {_span(split.events)} | {_span(split.actors)} |" for split in SPLITS.values()]
    return "\n".join(("| split | events | actors |", "|---|---|---|", *rows, ""))


def _table(title: str, counts: Counter[Any], of: str = "clips") -> str:
    rows = [f"| {name} | {count} |" for name, count in sorted(counts.items(), key=lambda item: _rank(*item))]
    return "\n".join((f"| {title} | {of} |", "|---|---:|", *rows, ""))


def _rank(name: Any, count: int) -> tuple[int, str]:
    """Numbers by size, names by how many there are."""
    return (name, "") if isinstance(name, int) else (-count, name)


def _command(settings: Mapping[str, Any]) -> str:
    """The command that writes the export."""
    words = ["dysenvdm stage export FOLDER", f"--split {settings['split']}", f"--clips {settings['clips']}"]
    words += [f"--seed {settings['first']}", f"--size {settings['size']}", f"--fps {settings['fps']}"]
    words.append(f"--frames {settings['frames'] or 'as-needed'}")
    words += [f"--{name} {_span(settings[name])}" for name in ("events", "actors") if settings[name]]
    return " ".join(words)


def _span(counts: Sequence[int]) -> str:
    return f"{counts[0]}-{counts[-1]}" if len(counts) > 1 else str(counts[0])
