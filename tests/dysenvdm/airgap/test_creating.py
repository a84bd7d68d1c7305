"""`bundle create`: what pip resolves lies in the bundle, and a killed call goes on without fetching anything twice."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from dysenvdm.airgap import creating, resolving
from dysenvdm.airgap.comparing import compare
from dysenvdm.airgap.creating import create
from dysenvdm.airgap.installer.layout import read_manifest
from dysenvdm.airgap.installer.prefix import install
from dysenvdm.airgap.installer.verify import problems, verify
from dysenvdm.airgap.volumes import parse_size
from dysenvdm.airgap.wheels import Wheel, expand_platforms, machine_of, needs
from planners.dsg import UserError

Order = Callable[..., Any]


def quiet(line: str) -> None:
    pass


def test_the_bundle_holds_what_was_resolved_and_where_it_is_from(made: dict[str, Path]) -> None:
    manifest = read_manifest(made["plain"])
    assert [(item["name"], item["version"]) for item in manifest["packages"]] == [
        ("dysenvdm", "0.1.0"),
        ("tiny-part", "1.0"),  # 2.0 is there, the constraints say 1.0
    ]
    assert manifest["packages"][0]["requires"] == ["tiny-part"]
    assert manifest["target"]["machine"] == platform.machine()
    by_path = {item["path"]: item for item in manifest["files"]}
    assert by_path["wheels/tiny_part-1.0-py3-none-any.whl"]["licence"] == "MIT"
    assert by_path["models/tiny-model/model.safetensors"]["source"] == "a test"
    assert "recipes/tiny/recipe.yaml" in by_path
    # Neither paths nor hosts of the machine that made it.
    text = (made["plain"] / "manifest.json").read_text() + (made["plain"] / "sbom.cdx.json").read_text()
    assert str(made["plain"].parents[1]) not in text
    assert "file:" not in text


def test_a_bundle_in_volumes_is_the_same_bundle(made: dict[str, Path]) -> None:
    plain, split = (read_manifest(made[form]) for form in ("plain", "volumes"))
    assert not compare(plain, split)
    assert plain["name"] == split["name"]
    assert len(split["volumes"]["parts"]) > 2
    for part in split["volumes"]["parts"]:
        assert (made["volumes"] / part["path"]).stat().st_size == part["size"] <= 10_000
    assert not (made["volumes"] / "wheels").exists()


def test_the_bill_of_materials_is_valid_and_has_packages_and_models(made: dict[str, Path]) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (made["plain"] / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = {item["name"]: item for item in json.loads(text)["components"]}
    assert components["tiny-model"]["type"] == "machine-learning-model"
    assert components["tiny-part"]["purl"] == "pkg:pypi/tiny-part@1.0"
    hashes = {item["path"]: item["sha256"] for item in read_manifest(made["plain"])["files"]}
    assert components["tiny-part"]["hashes"] == [
        {"alg": "SHA-256", "content": hashes["wheels/tiny_part-1.0-py3-none-any.whl"]}
    ]


@pytest.mark.usefixtures("world")
def test_sources_are_built_and_a_killed_call_goes_on(
    order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    pip = resolving.pip

    def counted(arguments: list[str]) -> None:
        calls.append(arguments[0])
        if arguments[0] == "wheel" and calls.count("wheel") == 1:
            raise KeyboardInterrupt
        pip(arguments)

    monkeypatch.setattr(resolving, "pip", counted)
    monkeypatch.setattr(creating, "AT_ONCE", 1)
    wanted = order(tmp_path / "b", extras=("more",))
    with pytest.raises(KeyboardInterrupt):
        create(wanted, quiet)
    assert calls == ["install", "download", "wheel"]
    assert not (tmp_path / "b" / "manifest.json").exists()
    assert problems(verify(tmp_path / "b"))
    (tmp_path / "b" / "wheels" / "stale-1.0-py3-none-any.whl").write_bytes(b"x")
    manifest = create(wanted, quiet)
    assert calls == ["install", "download", "wheel", "wheel"]  # neither resolved nor fetched again
    built = next(item for item in manifest.files if item.path.startswith("wheels/tinysource"))
    assert built.source == "built from source, a local folder or index, tinysource-3.0.tar.gz"
    assert not problems(verify(tmp_path / "b"))


@pytest.mark.usefixtures("world")
def test_listed_packages_come_as_listed_and_are_installed(order: Order, tmp_path: Path) -> None:
    listed = tmp_path / "engine.txt"
    listed.write_text("# what it asks for is on no index, and not needed\ntiny-engine\ntiny-part\n")
    manifest = create(order(tmp_path / "b", listed=(listed,)), quiet)
    assert [item.name for item in manifest.packages] == ["dysenvdm", "tiny-engine", "tiny-part"]
    assert not problems(verify(tmp_path / "b"))
    install(tmp_path / "b", tmp_path / "prefix", None, quiet)
    python = tmp_path / "prefix" / "current" / "venv" / "bin" / "python"
    said = subprocess.check_output([python, "-c", "import tiny_engine; print(tiny_engine.VALUE)"], text=True)
    assert said == "4\n"


@pytest.mark.usefixtures("world")
def test_a_list_that_contradicts_the_extras_is_refused(order: Order, tmp_path: Path) -> None:
    listed, pins = tmp_path / "engine.txt", tmp_path / "pins.txt"
    listed.write_text("tiny-part==1.0\n")
    pins.write_text("")
    asked = order(tmp_path / "b", listed=(listed,))
    with pytest.raises(UserError, match=r"tiny-part: the extras take 2\.0, a list 1\.0; pin it"):
        create(replace(asked, wanted=replace(asked.wanted, constraints=pins)), quiet)


@pytest.mark.usefixtures("world")
def test_a_folder_of_something_else_is_left_alone(order: Order, tmp_path: Path, made: dict[str, Path]) -> None:
    (tmp_path / "file").write_text("x")
    before = {path: path.stat().st_mtime_ns for path in made["plain"].rglob("*")}
    with pytest.raises(UserError, match="not empty"):
        create(order(tmp_path), quiet)
    with pytest.raises(UserError, match="a finished bundle"):
        create(order(made["plain"]), quiet)
    assert before == {path: path.stat().st_mtime_ns for path in made["plain"].rglob("*")}
    (tmp_path / "b").mkdir()
    creating._begin(order(tmp_path / "b"))
    with pytest.raises(UserError, match="was begun with other options"):
        create(order(tmp_path / "b", extras=("more",)), quiet)


@pytest.mark.usefixtures("world")
def test_what_is_missing_is_said(
    order: Order, tmp_path: Path, tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="no such extra; there are: more"):
        create(order(tmp_path / "a", extras=("vlm",)), quiet)
    with pytest.raises(UserError, match="no model of that name"):
        create(order(tmp_path / "b", models=("absent",)), quiet)
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(UserError, match=r"pip install failed.*depends on tiny-part>=1"):
        create(order(tmp_path / "c"), quiet)


@pytest.mark.usefixtures("world")
def test_a_model_that_is_not_as_recorded_is_not_copied(
    order: Order, tmp_path: Path, tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    shutil.copytree(tiny_store, tmp_path / "home")
    weights = tmp_path / "home" / "models" / "tiny-model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    monkeypatch.setenv("DYSENVDM_HOME", str(tmp_path / "home"))
    with pytest.raises(UserError, match=r"model\.safetensors: SHA-256 is"):
        create(order(tmp_path / "b"), quiet)


def test_markers_are_read_for_the_target() -> None:
    def wheel(name: str, *lines: str) -> Wheel:
        return Wheel(Path(name), name, "1.0", "MIT", tuple(map(Requirement, lines)), 1, ())

    root = wheel("dysenvdm", 'old; python_version < "3.12"', 'arm; platform_machine == "aarch64"', 'b[c]; extra == "x"')
    b = wheel("b", 'd; extra == "c"')
    assert needs([root, wheel("old")], "dysenvdm", (), "3.11", "x86_64") == {"dysenvdm": ["old"], "old": []}
    assert needs([root], "dysenvdm", (), "3.12", "x86_64") == {"dysenvdm": []}
    with pytest.raises(UserError, match=r"needs arm.*on Python 3\.12, aarch64, but it is not among the wheels"):
        needs([root], "dysenvdm", (), "3.12", "aarch64")
    with pytest.raises(UserError, match='b needs d; extra == "c"'):
        needs([root, b], "dysenvdm", ("x",), "3.12", "x86_64")
    found = needs([root, b, wheel("d")], "dysenvdm", ("x",), "3.12", "x86_64")
    assert found == {"dysenvdm": ["b"], "b": ["d"], "d": []}
    with pytest.raises(UserError, match=r"needs old>=2.*but 1\.0 is there"):
        needs([wheel("dysenvdm", "old>=2"), wheel("old")], "dysenvdm", (), "3.12", "x86_64")


def test_a_platform_brings_the_older_ones_that_it_runs() -> None:
    found = expand_platforms(["manylinux_2_18_x86_64"])
    assert found[:3] == ("manylinux_2_18_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
    assert "manylinux1_x86_64" in found
    assert "manylinux_2_28_x86_64" not in found
    assert machine_of(found) == "x86_64"
    assert expand_platforms(["any"]) == ("any",)


def test_pip_resolves_for_another_python_and_platform(order: Order, tmp_path: Path, made: dict[str, Path]) -> None:
    wanted = resolving.Wanted((), "3.13", ("manylinux_2_28_aarch64",), None)
    assert "--python-version" in wanted.pip_target()
    assert not wanted.native
    assert resolving.Wanted((), resolving.this_python(), (), None).native


@pytest.mark.usefixtures("world")
def test_a_bundle_for_another_python_and_platform(order: Order, tmp_path: Path) -> None:
    from dataclasses import replace

    made_here = order(tmp_path / "b")
    target = resolving.Wanted((), "3.13", expand_platforms(["manylinux_2_28_aarch64"]), made_here.wanted.constraints)
    manifest = create(replace(made_here, wanted=target), quiet)
    assert (manifest.target.python, manifest.target.machine) == ("3.13", "aarch64")
    assert not problems(verify(tmp_path / "b"))


@pytest.mark.parametrize(
    ("text", "size"), [("4G", 2**32), ("700MB", 700 * 2**20), ("10", 10), ("1 k", None), ("0", None)]
)
def test_sizes(text: str, size: int | None) -> None:
    if size is None:
        with pytest.raises(UserError, match="give a number of bytes"):
            parse_size(text)
    else:
        assert parse_size(text) == size


def test_our_own_wheel_is_built_without_a_trace_in_the_tree(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "dysenvdm").mkdir(parents=True)
    (tree / "dysenvdm" / "__init__.py").write_text("")
    (tree / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "dysenvdm"\nversion = "9.0"\n[tool.setuptools]\npackages = ["dysenvdm"]\n'
    )
    before = sorted(tree.rglob("*"))
    (tmp_path / "out").mkdir()
    wheel = resolving.build_own_wheel(tree, tmp_path / "out")
    assert wheel.name == "dysenvdm-9.0-py3-none-any.whl"
    assert sorted(tree.rglob("*")) == before


def test_verifying_as_a_script_needs_no_library(made: dict[str, Path]) -> None:
    for path in made.values():
        command = [sys.executable, "-I", "-S", str(path / "install.py"), "--verify"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not problems(verify(path)), "the script left something in the bundle"
