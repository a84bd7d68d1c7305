"""The houses' doors: who may import whom, read from the source; and what the quick commands load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSES = ("planners", "dysenvdm", "serving", "recipes")
ROOF = ("dysenvdm.cli", "dysenvdm.studies")
HEAVY = ("torch", "transformers", "diffusers", "outlines", "matplotlib", "numpy", "PIL", "av", "deepspeed", "openai")


def modules(house: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / house).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> set[str]:
    """Every module that a file imports, also inside functions; names from a package count as its modules."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def inside(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_the_walk_sees_imports_in_functions(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text("def f():\n    from planners import dsg\n    import torch.nn\n")
    assert imports(file) == {"planners", "planners.dsg", "torch.nn"}


def test_planners_import_neither_of_the_others_and_torch_only_in_engines_and_training() -> None:
    for module, path in modules("planners"):
        with_torch = inside(module, "planners.engines", "planners.finetune", "planners.reinforce")
        banned = ["dysenvdm", "serving", "recipes"] + ([] if with_torch else ["torch"])
        assert not [name for name in imports(path) if inside(name, *banned)], module


def test_below_its_roof_dysenvdm_imports_only_the_planners_data_model() -> None:
    for module, path in modules("dysenvdm"):
        if inside(module, *ROOF):
            continue
        for name in imports(path):
            assert not inside(name, "serving", *ROOF), f"{module} imports {name}"
            assert not inside(name, "planners") or inside(name, "planners.dsg"), f"{module} imports {name}"


def test_nothing_imports_the_roof() -> None:
    for house in HOUSES:
        for module, path in modules(house):
            if not inside(module, *ROOF):
                assert not [name for name in imports(path) if inside(name, *ROOF)], module


def test_recipes_hold_no_logic() -> None:
    for module, path in modules("recipes"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert all(isinstance(node, ast.Expr) for node in tree.body), module


@pytest.mark.parametrize(
    "arguments", [["--help"], ["generate", "--help"], ["dsg", "--help"], ["stage", "--help"], ["evaluate", "--help"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom dysenvdm.cli.main import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as end: assert not end.code, end.code\n"
        f"loaded = sorted(set(sys.modules) & set({HEAVY!r}))\nassert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
