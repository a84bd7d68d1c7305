"""`bundle verify` finds every harm, and names it."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dysenvdm.airgap.installer.content import file_problems, model_problems, wheel_problems
from dysenvdm.airgap.installer.layout import FIELDS, KINDS, BundleError, is_safe_path, read_manifest
from dysenvdm.airgap.installer.verify import problems, verify
from dysenvdm.airgap.manifest import BundledModel, BundleFile, Kind, Manifest, Package, Part, Target, Volumes


def found(bundle: Path, key: Path | None = None) -> str:
    return "\n".join(row.found for row in problems(verify(bundle, key)))


def files_below(bundle: Path) -> list[Path]:
    return sorted(path for path in bundle.rglob("*") if path.is_file())


def test_a_bundle_as_made_is_right(bundle: Path, key: Path) -> None:
    rows = verify(bundle, key.with_suffix(".pub"))
    assert [row.what for row in rows] == ["manifest", "signature", "files", "hashes", "content", "lock"]
    assert {row.level for row in rows} == {"ok"}


def test_every_flipped_bit_is_found(bundle: Path, key: Path) -> None:
    chance = random.Random(0)
    for path in [*files_below(bundle), *chance.choices(files_below(bundle), k=10)]:
        data = bytearray(path.read_bytes())
        place = chance.randrange(len(data) * 8)
        data[place // 8] ^= 1 << place % 8
        whole = path.read_bytes()
        path.write_bytes(data)
        # Bits of a signature that no reader looks at (a hint, white space) may change; all else must be found.
        if path.name != "manifest.json.sig":
            assert problems(verify(bundle, key.with_suffix(".pub"))), (path, place)
        path.write_bytes(whole)
    assert not found(bundle, key.with_suffix(".pub"))


@pytest.mark.parametrize("harm", ["truncated", "longer", "removed", "swapped"])
def test_every_harmed_file_is_named(bundle: Path, harm: str) -> None:
    for path in files_below(bundle):
        relative = path.relative_to(bundle).as_posix()
        if relative.startswith("manifest.json"):
            continue
        whole = path.read_bytes()
        if harm == "removed":
            path.unlink()
        elif harm == "swapped":
            path.write_bytes(whole[::-1] if whole != whole[::-1] else b"x" * len(whole))
        else:
            path.write_bytes(whole[:-1] if harm == "truncated" else whole + b"x")
        assert relative in found(bundle), relative
        path.write_bytes(whole)


def _add_file(bundle: Path) -> None:
    (bundle / "extra.txt").write_text("x")


def _add_hidden(bundle: Path) -> None:
    (bundle / "installer" / ".hidden").write_text("x")


def _add_folder(bundle: Path) -> None:
    (bundle / "empty").mkdir()


def _link_file(bundle: Path) -> None:
    shutil.move(bundle / "install.py", bundle.parent / "install.py")
    (bundle / "install.py").symlink_to(bundle.parent / "install.py")


def _link_folder(bundle: Path) -> None:
    shutil.move(bundle / "installer", bundle.parent / "installer")
    (bundle / "installer").symlink_to(bundle.parent / "installer")


def _pipe(bundle: Path) -> None:
    os.mkfifo(bundle / "pipe")


@pytest.mark.parametrize("harm", [_add_file, _add_hidden, _add_folder, _link_file, _link_folder, _pipe])
def test_nothing_may_lie_in_a_bundle_that_is_not_recorded(bundle: Path, harm: Callable[[Path], None]) -> None:
    harm(bundle)
    assert found(bundle)


def rewritten(bundle: Path, change: Callable[[dict[str, Any]], object]) -> str:
    data = json.loads((bundle / "manifest.json").read_text())
    change(data)
    (bundle / "manifest.json").write_text(json.dumps(data))
    return found(bundle)


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/x", "a/../b", "a//b", "a\\b", ".x", "a/.x", "", "a/", "a\n", "ä", "C:x", "x" * 300, "a.", "~", "-x"],
)
def test_names_that_lead_elsewhere_are_refused(plain: Path, path: str) -> None:
    assert not is_safe_path(path)
    assert "files" in rewritten(plain, lambda data: data["files"][0].update(path=path))


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "unknown": lambda data: data.update(more=1),
    "missing": lambda data: data.pop("extras"),
    "unknown in a file": lambda data: data["files"][0].update(more=1),
    "a bool for a size": lambda data: data["files"][0].update(size=True),
    "a huge size": lambda data: data["files"][0].update(size=2**60),
    "a text for a list": lambda data: data.update(files="abc"),
    "a bad hash": lambda data: data["files"][0].update(sha256="0" * 63),
    "a name that leads elsewhere": lambda data: data.update(name="../up"),
    "a path twice": lambda data: data["files"].append(data["files"][0]),
    "letter case": lambda data: data["files"].append({**data["files"][0], "path": data["files"][0]["path"].upper()}),
    "the manifest itself": lambda data: data["files"][0].update(path="manifest.json"),
    "file and folder": lambda data: data["files"].append({**data["files"][0], "path": "install.py/x"}),
    "another format": lambda data: data.update(format="dysenvdm.bundle/2"),
    "no lock": lambda data: data.update(files=[f for f in data["files"] if f["kind"] != "lock"]),
    "a package's wheel": lambda data: data["packages"].pop(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_manifest_that_breaks_a_rule_is_refused(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    assert rewritten(bundle, change)
    with pytest.raises(BundleError):
        read_manifest(bundle)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"a": 1, "a": 2}', "[" * 100_000, "\x00", '{"format": NaN}'])
def test_a_manifest_that_is_none_is_refused(plain: Path, text: str) -> None:
    (plain / "manifest.json").write_text(text)
    assert "manifest.json" in found(plain)


def test_the_two_readers_of_a_manifest_know_the_same_keys(made: dict[str, Path]) -> None:
    models = {
        "manifest": Manifest,
        "file": BundleFile,
        "package": Package,
        "model": BundledModel,
        "target": Target,
        "volumes": Volumes,
        "part": Part,
    }
    assert {name: set(model.model_fields) for name, model in models.items()} == {
        name: set(fields) for name, fields in FIELDS.items()
    }
    assert set(get_args(Kind)) == set(KINDS)
    for path in made.values():
        assert Manifest.model_validate_json((path / "manifest.json").read_bytes()).model_dump() == read_manifest(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_is_changed_in_a_manifest_is_read_or_refused(
    made: dict[str, Path], tmp_path: Path, data: st.DataObject
) -> None:
    form = data.draw(st.sampled_from(sorted(made)))
    manifest = json.loads((made[form] / "manifest.json").read_text())
    place: Any = manifest
    while True:
        at = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[at], dict | list) or not place[at] or data.draw(st.booleans()):
            break
        place = place[at]
    place[at] = data.draw(VALUES)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with contextlib.suppress(BundleError):
        read = read_manifest(tmp_path)
        assert Manifest.model_validate(read).model_dump() == read, "the strict model refuses what the installer reads"


def archive(**members: bytes) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, data in members.items():
            file.writestr(name.replace("__", "/"), data)
    return stream.getvalue()


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_are_found_by_what_they_are(protocol: int) -> None:
    data = pickle.dumps({"weight": [1.0, 2.0]}, protocol=protocol)
    large = pickle.dumps("a" * 2**17, protocol=protocol)  # its first argument is longer than what is read at once
    assert list(wheel_problems("a.whl", BytesIO(archive(**{"lib__model.pkl": large})), []))
    assert list(file_problems("x.pt" if protocol < 2 else "weights.safetensors", BytesIO(data)))
    assert list(file_problems("x.pt", BytesIO(archive(**{"archive__data.pkl": data}))))
    assert list(wheel_problems("a.whl", BytesIO(archive(**{"lib__model.pt": data})), []))
    tests: list[str] = []
    assert not list(wheel_problems("a.whl", BytesIO(archive(**{"lib__tests__a.pkl": data})), tests))
    assert tests == ["a.whl:lib/tests/a.pkl"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", '{"auto_map": {"AutoModel": "modeling.Model"}}'),
        ("config.json", '{"a": [{"auto_map": {"AutoModel": "x--y.Model"}}]}'),
        ("config.json", '{"custom_pipelines": {"x": {"impl": "x.Y"}}}'),
        ("config.json", '{"trust_remote_code": true}'),
        ("config.json", '{"_target_": "os.system"}'),
        ("config.json", "{"),
        ("modeling.py", "import os"),
        ("model.safetensors", "\x00\x01"),
        ("model.safetensors", "\xff\x00\x00\x00\x00\x00\x00\x00{}"),
        ("weights.bin", "anything"),
    ],
)
def test_model_folders_hold_no_code(name: str, text: str) -> None:
    assert list(model_problems(f"models/x/{name}", BytesIO(text.encode("latin-1"))))
    if name == "config.json":
        wheel = archive(**{"lib__config.json": text.encode(), "lib__model.safetensors": b"\2" + bytes(7) + b"{}"})
        assert list(wheel_problems("a.whl", BytesIO(wheel), []))


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "C:/x"])
def test_wheels_hold_no_odd_names(name: str) -> None:
    assert list(wheel_problems("a.whl", BytesIO(archive(**{name: b""})), []))


def test_what_models_may_hold_is_what_the_store_takes() -> None:
    from dysenvdm import models
    from dysenvdm.airgap.installer.content import MODEL_FILES

    assert set(MODEL_FILES) == models.PORTABLE


def test_a_lock_that_names_other_wheels_is_found(plain: Path) -> None:
    lock = plain / "requirements.lock"
    text = lock.read_text()
    for changed in (text.replace("tiny-part==1.0", "tiny-part==1.1"), text + "--index-url http://x\n", "\n"):
        data = changed.encode()
        lock.write_bytes(data)
        import hashlib

        entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        said = rewritten(
            plain, lambda manifest, entry=entry: [f.update(entry) for f in manifest["files"] if f["kind"] == "lock"]
        )
        assert "requirements.lock" in said
