"""A text-to-video folder in ModelScope's layout with random weights: tiny for tests, or of the full architecture."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any, Literal

Size = Literal["tiny", "full"]

UNETS: dict[Size, dict[str, Any]] = {
    "tiny": {
        "sample_size": 8,
        "block_out_channels": (16, 32),
        "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
        "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"),
        "layers_per_block": 1,
        "cross_attention_dim": 32,
        "attention_head_dim": 8,
        "norm_num_groups": 8,
    },
    "full": {"sample_size": 32},  # diffusers' defaults are ModelScope's 1.4 B parameters
}
VAES: dict[Size, dict[str, Any]] = {
    "tiny": {"block_out_channels": (8, 16), "norm_num_groups": 4},
    "full": {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2},
}
TEXT_ENCODERS: dict[Size, dict[str, Any]] = {
    "tiny": {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4},
    "full": {
        "vocab_size": 49408,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 23,
        "num_attention_heads": 16,
        "hidden_act": "gelu",
    },
}


def write_random_backbone(folder: Path, size: Size = "tiny", dtype: str = "float32") -> None:
    """Write the folder; its tokenizer knows single letters only."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, UNet3DConditionModel
    from diffusers.pipelines.deprecated.text_to_video_synthesis import TextToVideoSDPipeline
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    vocabulary = _write_tokenizer(folder / "tokenizer")
    written = {path: path.read_bytes() for path in (folder / "tokenizer").iterdir()}
    marks = {"bos_token_id": vocabulary["<|startoftext|>"], "eos_token_id": vocabulary["<|endoftext|>"]}
    text_config = {"vocab_size": len(vocabulary), **TEXT_ENCODERS[size], **marks, "pad_token_id": 0}
    levels = len(VAES[size]["block_out_channels"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        with torch.device("meta"):
            unet = UNet3DConditionModel(**UNETS[size])
        unet = unet.to(getattr(torch, dtype)).to_empty(device="cpu")
        for parameter in unet.parameters():  # all, as some start at zero and would hide a difference
            torch.nn.init.normal_(parameter, std=0.1 if size == "tiny" else 0.02)
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            scaling_factor=0.18215,
            **VAES[size],
        )
        text_encoder = CLIPTextModel(CLIPTextConfig(**text_config))
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    pipe = TextToVideoSDPipeline(vae, text_encoder, tokenizer, unet, scheduler)
    pipe.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size="10GB")
    for path in (folder / "tokenizer").iterdir():  # as ModelScope's has it, not as newer libraries write it
        path.unlink()
    for path, content in written.items():
        path.write_bytes(content)
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\nRandom weights.\n", encoding="utf-8")


def _write_tokenizer(folder: Path) -> dict[str, int]:
    folder.mkdir(parents=True)
    letters = [letter + end for letter in string.ascii_lowercase + ".,'" for end in ("", "</w>")]
    vocabulary = {token: i for i, token in enumerate(["!", *letters, "<|startoftext|>", "<|endoftext|>"])}
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": "!"}
    for name, content in (("vocab.json", vocabulary), ("tokenizer_config.json", settings)):
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return vocabulary
