"""What the documents say is what the commands do."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest

from dysenvdm.cli.main import COMMANDS
from dysenvdm.cli.reference import markdown
from planners import builtin
from planners.dsg import DynamicSceneGraph

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_command_line_page_is_current() -> None:
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == markdown(), "run: make docs"


def test_the_readme_begins_with_the_doors_and_names_every_command() -> None:
    head = README.splitlines()[:5]
    assert any(line.startswith("make demo") for line in head)
    assert any(line.startswith("make test") for line in head)
    for command in COMMANDS:
        assert f"`dysenvdm {command}" in README, command


def test_the_readmes_scene_graph_is_valid() -> None:
    [example] = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    assert len(DynamicSceneGraph.from_json(example).facts) == 3


def test_every_file_that_the_readme_links_to_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


@pytest.mark.parametrize(("factory", "begin", "end"), [("openai", "ChatGPT", "Replay"), ("vllm", "vLLM", "A server")])
def test_a_planners_options_are_documented_with_their_defaults(factory: str, begin: str, end: str) -> None:
    page = (ROOT / "docs" / "planners.md").read_text(encoding="utf-8")
    table = page[page.index(f"## {begin}") : page.index(f"## {end}")]
    documented = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", table, re.MULTILINE))
    parameters = inspect.signature(getattr(builtin, factory)).parameters
    assert documented.keys() == parameters.keys()
    for name, parameter in parameters.items():
        if parameter.default is not None:
            assert json.loads(documented[name]) == parameter.default, name


def test_the_readmes_pins_are_those_of_the_model_store() -> None:
    from dysenvdm.models import KNOWN

    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name, known in KNOWN.items():
        pin = f"{known.distribution}=={known.version}"
        assert pin in README
        assert f"{name}:{pin}" in makefile


def test_the_page_on_generation_names_every_option_of_its_own_and_none_that_does_not_exist() -> None:
    page = (ROOT / "docs" / "generation.md").read_text(encoding="utf-8").partition("## Figures")[0]
    reference = markdown()
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)) - {"--help"}
    assert named <= set(re.findall(r"--[a-z][a-z-]+", reference))
    section = reference[reference.index("## dysenvdm generate") : reference.index("## dysenvdm plan")]
    options = set(re.findall(r"--[a-z][a-z-]+", " ".join(re.findall(r"^\| `([^`]+)`", section, re.MULTILINE))))
    of_other_pages = {"--output", "--planner", "--planner-option", "--base-url", "--no-plan", "--model"}
    assert options - named == of_other_pages
