"""``dysenvdm sign``: a content credential of a certificate made here, offline, checked by ``dysenvdm inspect``."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dysenvdm.generation.recipe import Batch, Origin, Settings, recipe
from dysenvdm.video import read_mp4, read_recipe, write_mp4

PEM, PKCS8, OPEN = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
USES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate chain and its key."""
    folder = tmp_path_factory.mktemp("signer")
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    today = datetime.datetime.now(datetime.UTC)

    def certificate(name: str, issuer: str, public, uses: tuple[str, ...], authority: bool) -> x509.Certificate:
        def called(text: str) -> x509.Name:
            return x509.Name(
                [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lab"), x509.NameAttribute(NameOID.COMMON_NAME, text)]
            )

        made = (
            x509.CertificateBuilder(called(issuer), called(name), public, x509.random_serial_number())
            .not_valid_before(today - datetime.timedelta(days=1))
            .not_valid_after(today + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(x509.KeyUsage(**{use: use in uses for use in USES}), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
        )
        if not authority:
            made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        return made.sign(authority_key, hashes.SHA256())

    top = certificate("Lab authority", "Lab authority", authority_key.public_key(), ("key_cert_sign", "crl_sign"), True)
    mine = certificate("Lab video desk", "Lab authority", key.public_key(), ("digital_signature",), False)
    (folder / "chain.pem").write_bytes(mine.public_bytes(PEM) + top.public_bytes(PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(PEM, PKCS8, OPEN))
    return folder / "chain.pem", folder / "key.pem"


@pytest.fixture
def video(tmp_path: Path) -> Path:
    settings = Settings("small", None, "", 2, None, 1.5, 1.5, 8, 8, 1, 8)
    said = recipe(settings, "a girl waves", 3, Origin(None), {"small": {"unet.safetensors": "0" * 64}}, None, Batch())
    frames = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    write_mp4(tmp_path / "out.mp4", frames, 8, said)
    return tmp_path / "out.mp4"


def test_a_signed_video_is_the_same_video_and_says_who_signed(run, signer, video, tmp_path) -> None:
    signed = tmp_path / "signed.mp4"
    done = run("sign", video, "--certificate", signer[0], "--key", signer[1], "-o", signed)
    assert done.code == 0, done.err
    assert (read_mp4(signed) == read_mp4(video)).all()
    assert read_recipe(signed) == read_recipe(video)
    assert "valid, signed by Lab video desk (Lab)" in run("inspect", signed).out
    assert "none (dysenvdm sign)" in run("inspect", video).out


@pytest.mark.parametrize("part", [b"a girl waves", b"mdat"])
def test_a_change_of_recipe_or_frames_breaks_the_credential(run, signer, video, tmp_path, part: bytes) -> None:
    signed = tmp_path / "signed.mp4"
    run("sign", video, "--certificate", signer[0], "--key", signer[1], "-o", signed)
    content = bytearray(signed.read_bytes())
    place = content.index(part) + len(part) + (300 if part == b"mdat" else -1)
    content[place] ^= 1
    signed.write_bytes(content)
    said = run("inspect", signed)
    assert "INVALID" in said.out or said.code == 2, said.out


def test_what_cannot_sign_is_one_line_and_leaves_nothing(run, only_line, signer, video, tmp_path) -> None:
    chain, key = signer
    other = tmp_path / "rsa.pem"
    other.write_bytes(rsa.generate_private_key(65537, 2048).private_bytes(PEM, PKCS8, OPEN))
    out = tmp_path / "signed.mp4"
    plain = tmp_path / "plain.mp4"
    plain.write_bytes(b"no video")
    for arguments, words in (
        ((video, "--certificate", chain, "--key", other), "kind"),
        ((video, "--certificate", chain, "--key", chain), "no private key"),
        ((video, "--certificate", key, "--key", key), "cannot be signed"),
        ((video, "--certificate", tmp_path / "none.pem", "--key", key), "cannot be read"),
        ((plain, "--certificate", chain, "--key", key), "cannot be read as a video"),
    ):
        assert words in only_line(run("sign", *arguments, "-o", out))
        assert not out.exists()
    assert "overwritten" in only_line(run("sign", video, "--certificate", chain, "--key", key, "-o", video))
