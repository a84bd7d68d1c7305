"""The options of ``dysenvdm generate``, in the panels of its ``--help``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dysenvdm.cli.planning import PLANNING

SAMPLING, VIDEO, INPUT, MODEL, MACHINE = "Sampling", "Video", "Pictures and edits", "Model", "Machine"

Prompt = Annotated[str | None, typer.Argument(help="What should happen; without it, the prompt of --dsg.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="The .mp4 file; with --batch or --count, a folder.")]
Planner = Annotated[str | None, typer.Option(help="A name from 'dysenvdm planners'.", rich_help_panel=PLANNING)]
Dsg = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Obey this scene graph instead of planning.", rich_help_panel=PLANNING),
]
NoPlan = Annotated[
    bool, typer.Option("--no-plan", help="Use the text alone, without any plan.", rich_help_panel=PLANNING)
]
Ticks = Annotated[
    int, typer.Option(min=1, max=1024, help="Length of the plan in time steps.", rich_help_panel=PLANNING)
]
Seed = Annotated[
    int,
    typer.Option(
        min=0, max=2**31 - 1, help="With --batch or --count, video i takes seed + i.", rich_help_panel=SAMPLING
    ),
]
Steps = Annotated[
    int | None, typer.Option(min=1, max=1000, help="Denoising steps; else the model's usual.", rich_help_panel=SAMPLING)
]
Scheduler = Annotated[
    str | None,
    typer.Option(help="ddim, dpmsolver++ or unipc; else the model's own.", rich_help_panel=SAMPLING),
]
Guidance = Annotated[
    float | None,
    typer.Option(
        min=0, max=100, help="Pull towards the text, 1 is none; else the model's usual.", rich_help_panel=SAMPLING
    ),
]
SceneMode = Annotated[
    str | None,
    typer.Option(
        metavar="aligned|broadcast|none|shuffled|prompts",
        help="What a frame sees of the scene graph: its moment, all, nothing, the wrong moment; with 'prompts' it "
        "reads sentences of its moment, which needs no trained scene adapter; else as the model was trained.",
        rich_help_panel=MODEL,
    ),
]
SceneGuidance = Annotated[
    float | None,
    typer.Option(
        min=0, max=100, help="Pull towards the scene graph; as --guidance unless given.", rich_help_panel=SAMPLING
    ),
]
ImaginedWeight = Annotated[
    float,
    typer.Option(
        min=0, max=4, help="How much imagined facts count: 0 nothing, 1 like stated ones.", rich_help_panel=SAMPLING
    ),
]
Negative = Annotated[str, typer.Option(metavar="TEXT", help="What should not be seen.", rich_help_panel=SAMPLING)]
Frames = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=4096,
        help="Else the trained length; beyond it, windows that overlap are used.",
        rich_help_panel=VIDEO,
    ),
]
Fps = Annotated[
    int | None,
    typer.Option(min=1, max=120, help="Frames per second of the file; else the trained.", rich_help_panel=VIDEO),
]
Size = Annotated[
    str | None, typer.Option(metavar="WxH", help="Pixels; else the model's own size.", rich_help_panel=VIDEO)
]
Window = Annotated[
    int | None,
    typer.Option(min=1, help="Frames denoised together; else the trained length.", rich_help_panel=VIDEO),
]
Overlap = Annotated[
    int | None,
    typer.Option(min=0, help="Frames that a window shares with the next; else half of it.", rich_help_panel=VIDEO),
]
Scale = Annotated[
    int, typer.Option(min=1, max=16, help="Write every pixel as a block of this side.", rich_help_panel=VIDEO)
]
Label = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Write these words into the frames' lower edge.", rich_help_panel=VIDEO),
]
Count = Annotated[
    int | None,
    typer.Option(min=1, max=1000, help="So many videos of the prompt; writes a folder.", rich_help_panel=VIDEO),
]
Batch = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="One prompt per line; writes a folder.", rich_help_panel=VIDEO),
]
Preview = Annotated[
    Path | None,
    typer.Option(metavar="FILE.png", help="Draw the video as it emerges, step by step.", rich_help_panel=VIDEO),
]
FirstFrame = Annotated[
    Path | None,
    typer.Option(metavar="IMAGE", help="The video begins with this picture.", rich_help_panel=INPUT),
]
FirstFrameFit = Annotated[
    str | None,
    typer.Option(
        metavar="crop|pad|stretch", help="What to do with a picture of another aspect.", rich_help_panel=INPUT
    ),
]
EditOf = Annotated[
    Path | None,
    typer.Option(
        metavar="VIDEO",
        help="With --dsg: this earlier video (.mp4 or its .json) with that graph's changes, all else kept.",
        rich_help_panel=INPUT,
    ),
]
Model = Annotated[str | None, typer.Option(metavar="NAME|FOLDER", help="The video model.", rich_help_panel=MODEL)]
Lora = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FOLDER[:SCALE]", help="Add a LoRA to the weights; may be given often.", rich_help_panel=MODEL
    ),
]
Dtype = Annotated[str, typer.Option(help="fp32, fp16 or bf16.", rich_help_panel=MACHINE)]
Device = Annotated[
    str, typer.Option(help="cpu, cuda or cuda:1; auto is a GPU where there is one.", rich_help_panel=MACHINE)
]
Offload = Annotated[
    str | None,
    typer.Option(
        metavar="model|sequential",
        help="Keep weights in RAM and move models, or single layers, to the GPU when needed.",
        rich_help_panel=MACHINE,
    ),
]
CompileBlocks = Annotated[
    bool,
    typer.Option("--compile", help="Compile the UNet with torch.compile.", rich_help_panel=MACHINE),
]
