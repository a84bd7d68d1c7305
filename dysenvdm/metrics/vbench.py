"""Videos laid out as VBench reads them.

VBench's standard mode looks for ``<prompt>-<index>.mp4``, index 0 to 4, and takes the ending of whatever file it lists
first: no other file may lie there. Its custom_input mode takes the prompt from the file's name less ``-<index>``, or
from ``--prompt_file``, a JSON object of file names and prompts. Source: vbench 0.1.5, VBench.build_full_info_json.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dysenvdm.files import check_parent, folder_written_whole
from planners.dsg import UserError

VIDEOS, PROMPTS = "videos", "prompts.json"
_LONGEST = 255
"""Bytes of a file's name."""


def lay_out(files: Sequence[tuple[str, Path]], folder: Path) -> int:
    """Write ``folder/videos/<prompt>-<index>.mp4`` for (prompt, MP4) pairs and ``folder/prompts.json`` beside.

    Videos are linked where that is possible, else copied. Returns how many prompts cannot be a file's name (a slash,
    too long): their files are called ``prompt``, and VBench needs the prompt file. Raises :class:`UserError`.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: not empty; VBench would score what else lies there, give a new folder")
    check_parent(folder)
    index: Counter[str] = Counter()
    named: dict[str, str] = {}
    unfit = {prompt for prompt, _ in files if not _fits(prompt)}
    numbers = {prompt: i for i, prompt in enumerate(sorted(unfit))}
    with folder_written_whole(folder) as fresh:
        (fresh / VIDEOS).mkdir()
        for prompt, file in files:
            stem = f"prompt {numbers[prompt]:06d}" if prompt in unfit else prompt
            name = f"{stem}-{index[prompt]}.mp4"
            index[prompt] += 1
            named[name] = prompt
            try:
                os.link(file, fresh / VIDEOS / name)
            except OSError:
                shutil.copyfile(file, fresh / VIDEOS / name)
        (fresh / PROMPTS).write_text(json.dumps(named, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(unfit)


def _fits(prompt: str) -> bool:
    plain = "/" not in prompt and prompt.isprintable() and not prompt.startswith(".")
    return plain and len(f"{prompt}-0000.mp4".encode()) <= _LONGEST
