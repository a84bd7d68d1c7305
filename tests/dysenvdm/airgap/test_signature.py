"""Signatures: model-signing's own verifier and ours agree, and no other key, manifest or text passes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dysenvdm.airgap.installer import signature as module
from dysenvdm.airgap.installer.layout import BundleError
from dysenvdm.airgap.installer.signature import check_signature
from dysenvdm.airgap.signing import make_key, sign
from planners.dsg import UserError


@pytest.fixture
def public(key: Path) -> Path:
    return key.with_suffix(".pub")


def test_model_signing_itself_finds_the_signature_right(plain: Path, public: Path) -> None:
    from model_signing import verifying

    checker = verifying.Config().use_elliptic_key_verifier(public_key=public)
    checker.verify(plain / "manifest.json", plain / "manifest.json.sig")
    (plain / "manifest.json").write_bytes((plain / "manifest.json").read_bytes() + b" ")
    with pytest.raises(ValueError):
        checker.verify(plain / "manifest.json", plain / "manifest.json.sig")


@pytest.mark.parametrize("curve", ["SECP256R1", "SECP384R1", "SECP521R1"])
def test_cryptography_and_openssl_judge_alike(
    plain: Path, tmp_path: Path, curve: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryptography.hazmat.primitives import serialization as io
    from cryptography.hazmat.primitives.asymmetric import ec

    assert shutil.which("openssl")
    key = ec.generate_private_key(getattr(ec, curve)())
    private, public = tmp_path / "k", tmp_path / "k.pub"
    private.write_bytes(key.private_bytes(io.Encoding.PEM, io.PrivateFormat.PKCS8, io.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(io.Encoding.PEM, io.PublicFormat.SubjectPublicKeyInfo))
    sign(plain / "manifest.json", private, plain / "manifest.json.sig")

    def by_openssl(path: Path, _: bytes, *rest: object) -> bool:
        return module.valid_by_openssl(path, *rest)  # type: ignore[arg-type]

    def verdict() -> str:
        try:
            return check_signature(plain, public)
        except BundleError as error:
            return str(error)

    good = verdict()
    assert len(good) == 16
    spoiled = json.loads((plain / "manifest.json.sig").read_text())
    entry = spoiled["dsseEnvelope"]["signatures"][0]
    entry["sig"] = entry["sig"][:20] + ("A" if entry["sig"][20] != "A" else "B") + entry["sig"][21:]
    for judge in (module._valid, by_openssl):
        monkeypatch.setattr(module, "_valid", judge)
        assert verdict() == good
        (plain / "manifest.json.sig").write_text(json.dumps(spoiled))
        assert "not made with" in verdict()
        sign(plain / "manifest.json", private, plain / "manifest.json.sig")


def test_another_key_another_manifest_and_no_signature_are_refused(plain: Path, public: Path, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    with pytest.raises(BundleError, match="not made with the private half"):
        check_signature(plain, other)
    manifest = plain / "manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole + b"\n")
    with pytest.raises(BundleError, match="not the manifest that was signed"):
        check_signature(plain, public)
    manifest.write_bytes(whole)
    (plain / "manifest.json.sig").unlink()
    with pytest.raises(BundleError, match="missing"):
        check_signature(plain, public)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"dsseEnvelope": {"signatures": []}}', "[" * 100_000])
def test_a_text_that_is_no_signature_is_refused(plain: Path, public: Path, text: str) -> None:
    (plain / "manifest.json.sig").write_text(text)
    with pytest.raises(BundleError, match="not a signature"):
        check_signature(plain, public)


def test_a_private_key_is_not_taken_for_a_public_one(plain: Path, key: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="must not leave its machine"):
        check_signature(plain, key)
    (tmp_path / "k").write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    with pytest.raises(BundleError, match="curve"):
        check_signature(plain, tmp_path / "k")


def test_keys_are_private_and_never_overwritten(key: Path, tmp_path: Path) -> None:
    assert key.stat().st_mode & 0o777 == 0o600
    for path in (tmp_path / "a.key", tmp_path / "b.key"):
        make_key(path)
    assert (tmp_path / "a.key").read_bytes() != (tmp_path / "b.key").read_bytes()
    with pytest.raises(UserError, match="there is a key already"):
        make_key(tmp_path / "a.key")
