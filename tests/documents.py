"""The commands of the documents. A block of them is run by tests/slow/test_docs_commands.py unless the line above it
says why not, or what else does: ``<!-- not run: REASON -->``, ``<!-- run by FILE -->``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
REASONS = (
    "installs software",
    "needs a network",
    "needs a GPU",
    "needs several machines",
    "needs a running server",
    "needs files of yours",
    "takes long",
)
_BLOCK = re.compile(r"(?:^<!-- ([^\n]*) -->\n)?^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block; ``mark`` is the comment above it."""

    page: Path
    line: int
    language: str
    text: str
    mark: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> Iterator[list[str]]:
        """The words of every simple command, its setting of variables left out."""
        joined = self.text.replace("\\\n", " ")
        for line in joined.splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"\w+=.*", words[0]):
                words.pop(0)
            command: list[str] = []
            for word in [*words, "&&"]:
                if word not in ("&&", "||", "|", ";"):
                    command.append(word)
                elif command:
                    yield command
                    command = []


def blocks() -> list[Block]:
    """Every block of README.md and docs/*.md, in the order in which their commands are run."""
    found = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            line = text[: match.start()].count("\n") + (2 if match[1] else 1)
            found.append(Block(page, line, match[2], match[3], match[1]))
    return found


def command_blocks() -> list[Block]:
    return [block for block in blocks() if block.language in ("sh", "bash")]
