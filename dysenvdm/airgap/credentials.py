"""Content credentials: a signed statement inside an MP4 of what made it, after the C2PA specification.

The signature covers frames and metadata, and so the recipe, too. Nothing is asked of a network: no time stamp service,
no list of trusted authorities; whom to trust is for the reader of the certificate to say.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dysenvdm import __version__
from dysenvdm.files import written_whole
from dysenvdm.video import read_recipe
from planners.dsg import UserError

if TYPE_CHECKING:
    from types import ModuleType

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's name for media that a trained model made."""
ALGORITHMS = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512", "ed25519": "ed25519"}
"""Kind of key -> C2PA's name of the signature."""
_ABOUT_TRUST = "signingCredential.untrusted"


@dataclass(frozen=True)
class Credential:
    """What a signed video says: whether it is as it was signed, by whom, and what is wrong with it."""

    valid: bool
    signer: str
    issuer: str
    problems: tuple[str, ...]


def sign_video(video: Path, output: Path, *, certificate: Path, key: Path) -> None:
    """Write ``video`` with a content credential to ``output``.

    ``certificate`` is a chain in PEM, the signer's first; ``key`` its private key (PKCS #8, ECDSA or Ed25519). Raises
    :class:`UserError` where c2pa-python is missing, the video has no recipe, or the certificate is not fit for signing.
    """
    c2pa = _library()
    read_recipe(video)
    pem, algorithm = _read(key), _algorithm(key)
    said = {
        "claim_generator_info": [{"name": "dysenvdm", "version": __version__}],
        "title": video.name,
        "assertions": [
            {
                "label": "c2pa.actions",
                "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}]},
            }
        ],
    }
    with written_whole(output) as temporary:
        temporary.unlink()  # the library wants to make it
        try:
            signer = c2pa.Signer.from_info(
                c2pa.C2paSignerInfo(alg=algorithm.encode(), sign_cert=_read(certificate), private_key=pem, ta_url=None)
            )
            c2pa.Builder(said).sign_file(str(video), str(temporary), signer)
        except c2pa.C2paError as error:
            raise UserError(f"{video}: cannot be signed with {certificate} ({error}); see docs/provenance.md") from None


def read_credential(video: Path) -> Credential | None:
    """The content credential of a video, None where it has none; raises :class:`UserError` where c2pa-python is
    missing."""
    c2pa = _library()
    try:
        with c2pa.Reader(str(video)) as reader:
            said = json.loads(reader.json())
    except c2pa.C2paError as error:
        if "ManifestNotFound" in f"{type(error).__name__} {error}":
            return None
        raise UserError(f"{video}: its content credential cannot be read ({error})") from None
    signature = said["manifests"][said["active_manifest"]].get("signature_info", {})
    wrong = [status["code"] for status in said.get("validation_status", []) if status["code"] != _ABOUT_TRUST]
    return Credential(
        valid=not wrong and said.get("validation_state") in ("Valid", "Trusted"),
        signer=str(signature.get("common_name", "unknown")),
        issuer=str(signature.get("issuer", "unknown")),
        problems=tuple(wrong),
    )


def installed() -> bool:
    """Whether content credentials can be read here."""
    from importlib.util import find_spec

    return find_spec("c2pa") is not None


def _library() -> ModuleType:
    try:
        import c2pa
    except ImportError:
        raise UserError("content credentials need c2pa-python; run: pip install 'dysenvdm[c2pa]'") from None
    module: ModuleType = c2pa
    return module


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from None


def _algorithm(key: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(_read(key), password=None)
    except (ValueError, TypeError) as error:
        raise UserError(f"{key}: no private key in PEM without a password ({error})") from None
    name = private.curve.name if isinstance(private, EllipticCurvePrivateKey) else ""
    if isinstance(private, Ed25519PrivateKey):
        name = "ed25519"
    if name not in ALGORITHMS:
        raise UserError(f"{key}: a key of another kind; use one of: {', '.join(ALGORITHMS)}")
    return ALGORITHMS[name]
