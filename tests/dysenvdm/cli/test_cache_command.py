"""``dysenvdm cache``: it says what there is, and what is wrong in one line."""

from pathlib import Path

import pytest
import yaml

from dysenvdm.cli.main import main


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    content = {
        "name": "micro",
        "phase": "autoencoder",
        "run": str(tmp_path / "runs" / "micro"),
        "data": {"frames": 8, "size": 32, "clips": 3, "cache": True, "validation_clips": 1, "workers": 0},
        "model": {"preset": "micro"},
        "train": {"steps": 2, "batch_size": 2, "lr": 1e-3},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main(["cache", *map(str, arguments)])
    return int(end.value.code or 0)


def test_it_says_what_is_kept_and_mends_what_is_damaged(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(recipe) == 0
    assert "frames: 3 in 1 shards" in capsys.readouterr().err
    [path] = (recipe.parent / "runs" / "cache").glob("frames-*/000000.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert command(recipe, "--set", "data.validation_clips=1") == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path}: ")
    mend = said.partition("dysenvdm cache ")[2].split()
    assert mend == [str(recipe), "--set", "data.validation_clips=1", "--repair"]
    assert command(*mend) == 0
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.cache=false", "nothing to cache; set data.cache to true"),
        ("data.caching.shards=3", "data.caching.shards"),
        ("data.scenes.planner=3", "data.scenes.planner"),
    ],
)
def test_what_cannot_be_cached_is_one_line(
    recipe: Path, override: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(recipe, "--set", override) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (recipe.parent / "runs").exists()
