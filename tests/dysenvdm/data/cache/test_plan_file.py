"""Plans of a corpus from a file: every clip gets the graph of its caption, and what has none is never passed over."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from dysenvdm.backbones import build_vae
from dysenvdm.cli import check_data
from dysenvdm.cli.main import main
from dysenvdm.data.cache.filling import Ranks
from dysenvdm.data.cache.plan_file import PlanFile, check_planned
from dysenvdm.data.section import ScenesSection
from dysenvdm.training.caching import Caching, Prepared
from dysenvdm.training.frozen import FrozenParts
from dysenvdm.training.recipe import load_recipe
from planners.dsg import DynamicSceneGraph, UserError


def line(caption: str, label: str | None, **more: object) -> str:
    dsg = None if label is None else {"format": "dysenvdm.dsg/1", "prompt": caption, "ticks": 3,
                                      "objects": [{"id": "it", "label": label}], "facts": []}  # fmt: skip
    return json.dumps({"line": 1, "id": None, "prompt": caption, "status": "valid", "reason": None, "dsg": dsg, **more})


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., PlanFile]:
    def write(*files: list[str]) -> PlanFile:
        paths = [tmp_path / f"plans{i}.jsonl" for i in range(len(files))]
        for path, lines in zip(paths, files, strict=True):
            path.write_text("".join(f"{text}\n" for text in lines), encoding="utf-8")
        return PlanFile(paths)

    return write


def labels(file: PlanFile, *captions: str) -> list[str | None]:
    plans = file.plan(captions, ticks=8, seed=0)
    return [plan.dsg.objects[0].label if plan.dsg else None for plan in plans]


def test_a_line_is_found_by_its_caption_in_any_of_the_files(written: Callable[..., PlanFile]) -> None:
    many = [line(f"Clip {i}. Čaj \U0001f44b", f"thing {i}") for i in range(300)]
    file = written(many[:200], ["", *many[200:], line("Clip 7. Čaj \U0001f44b", "another")])
    asked = [f"Clip {i}. Čaj \U0001f44b" for i in (299, 0, 7, 200, 199)]
    assert labels(file, *asked, "  Clip 5. Čaj \U0001f44b ") == [f"thing {i}" for i in (299, 0, 7, 200, 199, 5)]
    assert list(file.lacking(asked)) == []


def test_what_has_no_plan_is_counted_and_named(written: Callable[..., PlanFile]) -> None:
    file = written([line("a", "dog"), line("b", None, reason="server said no"), line("c", None), line("c", "cat")])
    assert [(one.caption, one.reason) for one in file.lacking("abcd")] == [("b", "planning failed"), ("d", "no line")]
    assert labels(file, "c", "b", "d") == ["cat", None, None]
    assert [plan.degraded for plan in file.plan("bd", ticks=1, seed=0)] == ["server said no", "no line"]
    counted = r"2 of 4 captions have no plan \(1 without a line, 1 failed\), such as 'b', 'd'"
    with pytest.raises(UserError, match=rf"data\.scenes\.file: {counted}.*data\.scenes\.unplanned=empty"):
        check_planned(file, list("abcd"), "refuse")
    assert "4 captions" in str(check_planned(file, list("abcd"), "empty"))
    assert check_planned(file, ["a", "c"], "refuse") is None


def test_two_captions_of_one_hash_are_not_mixed_up(
    written: Callable[..., PlanFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dysenvdm.data.cache.plan_file._hash", lambda caption: 7)
    file = written([line("a", "dog"), line("b", "cat")])
    assert labels(file, "b", "a", "c") == ["cat", "dog", None]


def test_files_that_cannot_be_used_are_one_line(tmp_path: Path, written: Callable[..., PlanFile]) -> None:
    with pytest.raises(UserError, match=r"data\.scenes\.file: no file .*dysenvdm plan --input"):
        PlanFile([tmp_path / "absent.jsonl"])
    with pytest.raises(UserError, match=r"plans0\.jsonl line 2 is no line of dysenvdm plan --input"):
        list(written([line("a", "dog"), '{"caption": "b"}']).lacking("a"))
    with pytest.raises(UserError, match="no plans in"):
        list(written([""]).lacking("a"))
    broken = line("a", "dog").replace("dysenvdm.dsg/1", "dysenvdm.dsg/9")
    with pytest.raises(UserError, match=r"at byte 0, 'a': .*format"):
        written([broken]).plan("a", ticks=1, seed=0)
    half = tmp_path / "half.jsonl"
    half.write_text(line("a", "dog") + "\n" + line("b", "cat")[:40])  # whoever writes it is still at it
    assert [one.caption for one in PlanFile([half]).lacking("ab")] == ["b"]


def test_settings_that_contradict_a_file_are_refused() -> None:
    for wrong, message in (
        ({"from": "gold", "file": "p.jsonl"}, "set from: planned"),
        ({"from": "planned", "file": "p.jsonl", "planner": "vllm"}, "planner is for planning"),
        ({"from": "planned", "unplanned": "empty"}, "name it as file"),
    ):
        with pytest.raises(ValueError, match=message):
            ScenesSection.model_validate(wrong)
    assert ScenesSection.model_validate({"from": "planned", "file": "p.jsonl"}).file == (Path("p.jsonl"),)


def test_the_way_from_captions_to_training(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """check-data writes the captions, plan plans them, and what is trained on has these graphs; no planner loads."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    build_vae("micro").save_pretrained("vae")
    content = {
        "name": "micro",
        "phase": "denoiser",
        "run": "runs/micro",
        "data": {"frames": 8, "size": 32, "ticks": 4, "clips": 3, "validation_clips": 1, "workers": 0},
        "model": {"preset": "micro", "vae": "vae", "gate": 0.0, "max_tokens": 256},
        "train": {"steps": 2, "batch_size": 2, "lr": 1e-3},
    }
    Path("recipe.yaml").write_text(yaml.safe_dump(content))
    planned = ["data.scenes.from=planned", "data.scenes.file=plans.jsonl"]

    def prepared(*more: str) -> Prepared:
        recipe = load_recipe("recipe.yaml", [*planned, *more])
        return Caching(recipe, Ranks()).prepare(FrozenParts.open(recipe, torch.device("cpu")))

    check_data.check_data("recipe.yaml", output=Path("look"), limit=0, clips=1, workers=0, as_json=False)
    captions = [json.loads(text)["caption"] for text in Path("look/captions.jsonl").read_text().splitlines()]
    with pytest.raises(SystemExit) as left:
        main(["plan", "--input", "look/captions.jsonl", "-o", "plans.jsonl", "--planner", "rules", "--ticks", "4"])
    assert not left.value.code
    with pytest.raises(UserError, match=r"captions have no plan .*without a line"):  # the held-out clip's
        prepared()
    told = prepared("data.scenes.unplanned=empty")
    plans = {line["prompt"]: line["dsg"] for line in map(json.loads, Path("plans.jsonl").read_text().splitlines())}
    for clip in range(3):
        sample = told.corpus.told(clip)
        assert sample.caption in captions
        assert sample.dsg == DynamicSceneGraph.parse(plans[sample.caption])
    assert told.held_out[0].dsg.facts == ()
    Path("plans.jsonl").write_text("".join(Path("plans.jsonl").read_text().splitlines(keepends=True)[1:]))
    override = [*planned, "data.scenes.unplanned=refuse"]
    check_data.check_data("recipe.yaml", override, output=Path("again"), limit=0, clips=1, workers=0, as_json=False)
    report = json.loads(Path("again/report.json").read_text())
    assert report["plans"]["without"] == {"no line": 1}
    assert any("1 of" in problem and "unplanned.jsonl" in problem for problem in report["problems"])
    [lacking] = map(json.loads, Path("again/unplanned.jsonl").read_text().splitlines())
    assert lacking["caption"] == captions[0]
