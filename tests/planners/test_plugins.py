"""The registry: built-ins by the public hook, third-party plugins, and what happens when one is broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dysenvdm.cli.planning import check_planner
from planners import plugins
from planners.contracts import PlanResult, Progress
from planners.dsg import DynamicSceneGraph, UserError
from planners.hookspecs import Register, hookimpl


class EchoPlanner:
    """Plans nothing; keeps the options it was built with."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def plan(
        self, prompts: Sequence[str], *, ticks: int, seed: int, on_progress: Progress | None = None
    ) -> list[PlanResult]:
        raise AssertionError((prompts, ticks, seed, on_progress))


DISTRIBUTION = Path(__file__).parents[1] / "planner_plugin"


def module(**functions: object) -> ModuleType:
    made = ModuleType("plugin")
    vars(made).update(functions)
    return made


def plugin(name: str) -> ModuleType:
    @hookimpl
    def register_planners(register: Register) -> None:
        register(name, f"{name} helps", "nothing", EchoPlanner)

    return module(register_planners=register_planners)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that these plugins are installed; a value that is an exception is raised when the plugin is loaded."""

    def install(**installed: object) -> None:
        def load(entry: EntryPoint) -> object:
            value = installed[entry.name]
            if isinstance(value, Exception):
                raise value
            return value

        entries = [EntryPoint(name, "module:object", "dysenvdm.planners") for name in installed]
        monkeypatch.setattr(EntryPoint, "load", load)
        monkeypatch.setattr(plugins, "entry_points", lambda *, group: [e for e in entries if e.group == group])

    return install


def test_the_default_planner_is_built_in_and_first() -> None:
    assert plugins.planner_names()[0] == plugins.DEFAULT_PLANNER
    info = plugins.planner_info()[0]
    assert info.plugin == "built-in"
    assert "models import" in info.needs


def test_a_plugins_planner_is_listed_and_gets_its_options(install: Callable[..., None]) -> None:
    install(acme=plugin("acme-planner"))
    assert "acme-planner" in plugins.planner_names()
    planner = plugins.get_planner("acme-planner", depth=3)
    assert isinstance(planner, EchoPlanner)
    assert planner.options == {"depth": 3}


def test_an_unknown_planner_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(UserError, match=r"'nobody': no such planner; there are: .*smollm2"):
        plugins.get_planner("nobody")


def test_a_plugin_that_does_not_load_is_named_and_the_others_work(install: Callable[..., None]) -> None:
    install(bad=ImportError("no module named soup"), good=plugin("good-planner"))
    assert "good-planner" in plugins.planner_names()
    assert plugins.broken_plugins() == {"bad": "ImportError: no module named soup"}


def test_a_plugin_whose_hook_fails_is_named_and_registers_nothing(install: Callable[..., None]) -> None:
    @hookimpl
    def register_planners(register: Register) -> None:
        register("half", "half done", "nothing", EchoPlanner)
        raise RuntimeError("out of soup\nsecond line")

    install(bad=module(register_planners=register_planners), good=plugin("good-planner"))
    assert plugins.broken_plugins() == {"bad": "RuntimeError: out of soup"}
    assert "half" not in plugins.planner_names()
    assert {"good-planner", "smollm2"} <= set(plugins.planner_names())


def test_a_plugin_with_an_unknown_hook_is_named(install: Callable[..., None]) -> None:
    @hookimpl
    def register_planets(register: Register) -> None:
        raise AssertionError(register)

    install(space=module(register_planets=register_planets), good=plugin("good-planner"))
    assert "register_planets" in plugins.broken_plugins()["space"]
    assert "good-planner" in plugins.planner_names()


def test_a_plugin_whose_hook_is_not_marked_is_named(install: Callable[..., None]) -> None:
    def register_planners(register: Register) -> None:
        raise AssertionError(register)

    install(plain=module(register_planners=register_planners), good=plugin("good-planner"))
    assert plugins.broken_plugins() == {
        "plain": "it has no hook; write @hookimpl above its register_planners, see docs/plugins.md"
    }
    assert "good-planner" in plugins.planner_names()


def test_where_a_planner_is_missing_the_broken_plugins_are_named(install: Callable[..., None]) -> None:
    install(bad=ImportError("no module named soup"))
    said = r"no such planner; there are: .*; plugin 'bad' could not be used: ImportError: no module named soup$"
    with pytest.raises(UserError, match=rf"^planner 'mine': {said}"):
        plugins.get_planner("mine")
    with pytest.raises(UserError, match=rf"^--planner 'mine': {said}"):
        check_planner("mine", {})


def test_a_plugin_that_takes_a_used_name_is_named_and_all_others_go_on(install: Callable[..., None]) -> None:
    install(one=plugin("twin"), two=plugin("twin"), thief=plugin("smollm2"), good=plugin("good-planner"))
    assert {"twin", "good-planner", "smollm2"} <= set(plugins.planner_names())
    broken = plugins.broken_plugins()
    assert len({"one", "two"} & set(broken)) == 1
    assert "'smollm2' has the name of one of 'built-in'" in broken["thief"]
    assert plugins.planner_info()[0].plugin == "built-in"


# -- a real second distribution ----------------------------------------------------------------------------------------

SCRIPT = "girl > walk to > box; girl > jump over > box, dog > run"


def dysenvdm(site: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    code = "from dysenvdm.cli.main import main; main()"
    root = Path(__file__).parents[2]
    path = os.pathsep.join(map(str, (site, root)))
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)


def test_the_second_distributions_planner_is_listed_and_plans(second_distribution: Path, tmp_path: Path) -> None:
    listed = dysenvdm(second_distribution, "planners")
    assert "takes a script" in listed.stdout, listed.stderr
    done = dysenvdm(second_distribution, "plan", "--planner", "script", SCRIPT, "-o", tmp_path / "plan.json")
    assert done.returncode == 0, done.stderr
    said = {
        (fact.subject, fact.label, fact.object, fact.start)
        for fact in DynamicSceneGraph.load(tmp_path / "plan.json").facts
    }
    assert said == {("girl", "walk to", "box", 0), ("girl", "jump over", "box", 4), ("dog", "run", None, 4)}
    refused = dysenvdm(second_distribution, "plan", "--planner", "script", "a girl walks", "-o", tmp_path / "no.json")
    assert refused.returncode == 2
    assert "is not 'agent > action > target'" in refused.stderr


def test_the_document_is_that_very_distribution() -> None:
    text = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
    for language, name in (("python", "script_planner.py"), ("toml", "pyproject.toml")):
        [block] = re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)
        assert block == (DISTRIBUTION / name).read_text(encoding="utf-8")
    assert len((DISTRIBUTION / "script_planner.py").read_text(encoding="utf-8").splitlines()) < 60


# -- options -----------------------------------------------------------------------------------------------------------


def test_options_are_converted_where_a_plugins_annotations_are_understood(install: Callable[..., None]) -> None:
    def strange(depth: Unknown = 1, **others: Any) -> EchoPlanner:  # type: ignore[name-defined]  # noqa: F821
        return EchoPlanner(depth=depth, **others)

    @hookimpl
    def register_planners(register: Register) -> None:
        register("strange", "helps", "nothing", strange)
        register("echo", "helps", "nothing", EchoPlanner)

    install(acme=module(register_planners=register_planners))
    assert plugins.check_options("strange", {"depth": "3", "x": "y"}) == {"depth": "3", "x": "y"}
    assert plugins.check_options("echo", {"depth": "3"}) == {"depth": "3"}
    assert plugins.check_options("smollm2", {"imagine": "false", "temperature": "1"}) == {
        "imagine": False,
        "temperature": 1.0,
    }
    with pytest.raises(
        UserError,
        match=r"'smollm2': takes no option 'base_url'; it takes: model, device, imagine, window, temperature, ",
    ):
        plugins.get_planner("smollm2", base_url="http://here")
