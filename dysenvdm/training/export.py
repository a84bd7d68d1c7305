"""What leaves a run: a model folder from any of its checkpoints, in safetensors; without GPUs, ranks or the run itself.

Averages lie in the checkpoint's own safetensors files, whatever ZeRO stage and number of ranks wrote them. Only
``raw`` weights come from DeepSpeed's pickles, so take them from runs of your own.
"""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from dysenvdm.files import disk_trouble, folder_written_whole
from dysenvdm.models import PORTABLE
from dysenvdm.training.checkpoint_files import Checkpoint, RankFile, best_of, differing_keys, find_checkpoints
from dysenvdm.training.groups import parameter_groups
from dysenvdm.training.loop import build_phase
from dysenvdm.training.recipe import Recipe, load_recipe
from dysenvdm.training.run_folder import say
from planners.dsg import UserError

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def export_run(
    run: Path, target: Path, *, step: int | None = None, best: bool = False, raw: bool = False, dtype: str | None = None
) -> Checkpoint:
    """Write what ``run`` trains into the new folder ``target``; returns the checkpoint that it is of.

    That is the newest complete one, the one of ``step``, or the ``best`` by the recipe's ``log.keep_best``; of its
    averaged weights or the ``raw`` ones. Raises :class:`UserError`.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target}: is there already; choose another folder or remove it")
    chosen = choose_checkpoint(run, step=step, best=best)
    recipe = checkpoint_recipe(chosen, run)
    torch.manual_seed(recipe.seed)  # what is not trained was drawn after the same seed
    phase = build_phase(recipe, torch.device("cpu"))
    if dtype is not None:
        if not hasattr(phase, "export_dtype"):
            raise UserError(f"--dtype: what phase {recipe.phase!r} exports has one precision only; leave it out")
        phase.export_dtype = DTYPES[dtype]
    load_weights(phase.module, raw_weights(chosen, phase.module, recipe) if raw else chosen.average(), chosen)
    with disk_trouble(target), torch.no_grad(), folder_written_whole(target) as fresh:
        phase.export(fresh, chosen.step)
        refuse_pickles(fresh)
    return chosen


def choose_checkpoint(run: Path, *, step: int | None = None, best: bool = False) -> Checkpoint:
    """The newest complete checkpoint of a run folder, that of a step, or the best; raises :class:`UserError`."""
    if not (run / "recipe.yaml").is_file():
        raise UserError(f"{run}: no run's folder (no recipe.yaml in it); give the folder that a recipe's `run` names")
    whole, faults = find_checkpoints(run)
    if not whole:
        detail = "; ".join(faults.values()) or "it has not come to its first one"
        raise UserError(f"{run}: no complete checkpoint ({detail})")
    if step is not None:
        if step in faults:
            raise UserError(f"{faults[step]}; choose another --step")
        chosen = {checkpoint.step: checkpoint for checkpoint in whole}.get(step)
        if chosen is None:
            raise UserError(f"--step {step}: no such checkpoint; there are {', '.join(str(c.step) for c in whole)}")
        return chosen
    if best:
        rule = checkpoint_recipe(whole[-1], run).log.keep_best
        if rule is None:
            raise UserError(f"--best: the recipe of {run} does not say what is best; set log.keep_best, or use --step")
        found = best_of(whole, rule.name, lowest=rule.lowest)
        if found is None:
            raise UserError(f"--best: no checkpoint of {run} was validated by {rule.name!r}; use --step")
        return found
    for newer in sorted(step for step in faults if step > whole[-1].step):
        say(f"{faults[newer]}; step {whole[-1].step} is taken instead")
    return whole[-1]


def checkpoint_recipe(checkpoint: Checkpoint, run: Path) -> Recipe:
    """The recipe as it was then, in the folder where the run lies now, ended at the checkpoint's step."""
    recipe = load_recipe(checkpoint.folder / "recipe.yaml", [])
    train = recipe.train.model_copy(update={"steps": checkpoint.step})
    return recipe.model_copy(update={"run": run, "train": train})


def load_weights(module: torch.nn.Module, weights: dict[str, Tensor], checkpoint: Checkpoint) -> None:
    """Put a checkpoint's weights and buffers into the module they are of; raises :class:`UserError` for another one."""
    parameters = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    theirs, ours = ({name: tuple(t.shape) for name, t in tensors.items()} for tensors in (weights, parameters))
    differences = differing_keys(theirs, ours)
    if differences:
        raise UserError(f"{checkpoint.folder} is of another architecture: {differences}")
    buffers = dict(module.named_buffers())
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
        for name, value in RankFile.read(checkpoint.rank_files[0]).buffers.items():
            buffers[name].copy_(value)
    module.float().eval()


def raw_weights(checkpoint: Checkpoint, module: torch.nn.Module, recipe: Recipe) -> dict[str, Tensor]:
    """The trained weights of ``module`` as they stood at the checkpoint's step, in fp32 as the optimizer keeps them."""
    folder, trained = checkpoint.folder, checkpoint.shapes()
    if any(folder.glob("*_optim_states.pt")):
        from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint as consolidated

        with redirect_stdout(StringIO()):
            weights = consolidated(str(folder.parent), tag=folder.name, exclude_frozen_parameters=True)
    else:
        kept = torch.load(folder / "mp_rank_00_model_states.pt", map_location="cpu", weights_only=False)
        weights = kept["module"]
        masters = (kept["optimizer"] or {}).get("fp32_groups")  # of 16-bit weights without ZeRO, in the groups' order
        if masters is not None:
            names = {id(parameter): name for name, parameter in module.named_parameters()}
            groups = parameter_groups(module, recipe.train)
            weights = {
                names[id(parameter)]: value
                for group, values in zip(groups, masters, strict=True)
                for parameter, value in zip(group["params"], values, strict=True)
            }
    return {name: cast(Tensor, weights[name]).float() for name in trained}


def refuse_pickles(folder: Path) -> None:
    """Raise :class:`UserError` where a folder that leaves a run holds anything but safetensors, JSON and text."""
    foreign = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in PORTABLE]
    if foreign:
        names = ", ".join(str(path.relative_to(folder)) for path in foreign)
        raise UserError(f"{names}: neither safetensors nor text; only those may leave a run, so nothing is written")
