"""Checking a bundle's signature: model-signing's format (DSSE in a Sigstore bundle), an EC key, no service.

The signature covers the manifest, and the manifest every other file. The mathematics is left to `cryptography` where it
is installed and to the `openssl` program elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

from dysenvdm.airgap.installer.layout import MANIFEST, SIGNATURE, BundleError

_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
_PAYLOAD = "application/vnd.in-toto+json"
_CURVES = {  # the object identifier of a named curve in DER: the hash that goes with it
    bytes.fromhex("06082a8648ce3d030107"): "sha256",
    bytes.fromhex("06052b81040022"): "sha384",
    bytes.fromhex("06052b81040023"): "sha512",
}


def check_signature(root: Path, key: Path) -> str:
    """Check the bundle's manifest against its signature and the public key (PEM).

    Returns the first digits of the key's SHA-256. Raises :class:`BundleError`.
    """
    pem, algorithm = _public_key(key)
    path = root / SIGNATURE
    if path.is_symlink() or not path.is_file():
        raise BundleError(f"{path}: missing; the bundle is not signed, or was not copied whole")
    try:
        envelope = json.loads(path.read_text(encoding="utf-8"))["dsseEnvelope"]
        [entry] = envelope["signatures"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signed = base64.b64decode(entry["sig"], validate=True)
        kind = envelope["payloadType"].encode()
        statement = json.loads(payload)
        resources = [(item["name"], item["algorithm"], item["digest"]) for item in statement["predicate"]["resources"]]
        about = (statement["_type"], statement["predicateType"], kind.decode())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, binascii.Error, RecursionError):
        raise BundleError(f"{path}: not a signature that model-signing writes; sign the bundle again") from None
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    if not _valid(key, pem, algorithm, message, signed):
        raise BundleError(
            f"{path}: not made with the private half of {key}; get the right key, or do not trust the bundle"
        )
    digest = hashlib.sha256((root / MANIFEST).read_bytes()).hexdigest()
    if about != (_STATEMENT, _PREDICATE, _PAYLOAD) or resources != [(".", "sha256", digest)]:
        raise BundleError(f"{root / MANIFEST}: not the manifest that was signed; do not trust the bundle")
    return hashlib.sha256(pem).hexdigest()[:16]


def _public_key(key: Path) -> tuple[bytes, str]:
    try:
        pem = key.read_bytes()
    except OSError as error:
        raise BundleError(f"{key}: cannot be read ({error.strerror}); give the public key as a PEM file") from None
    lines = pem.strip().splitlines()
    if not lines or lines[0] != b"-----BEGIN PUBLIC KEY-----":
        secret = " (this is a private key: it must not leave its machine)" if b"PRIVATE KEY" in pem else ""
        raise BundleError(f"{key}: no public key in PEM{secret}; make one with: dysenvdm bundle key")
    try:
        der = base64.b64decode(b"".join(lines[1:-1]), validate=True)
        [algorithm] = [name for curve, name in _CURVES.items() if curve in der[:40]]
    except ValueError:
        raise BundleError(f"{key}: not a public key on the curve P-256, P-384 or P-521") from None
    return pem, algorithm


def _valid(key: Path, pem: bytes, algorithm: str, message: bytes, signed: bytes) -> bool:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        return valid_by_openssl(key, algorithm, message, signed)
    public = serialization.load_pem_public_key(pem)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    chosen = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}[algorithm]
    try:
        public.verify(signed, message, ec.ECDSA(chosen))
    except InvalidSignature:
        return False
    return True


def valid_by_openssl(key: Path, algorithm: str, message: bytes, signed: bytes) -> bool:
    """Whether the ``openssl`` program finds the signature right; raises :class:`BundleError` where there is none."""
    with tempfile.TemporaryDirectory() as folder:
        text, signature = Path(folder, "message"), Path(folder, "signature")
        text.write_bytes(message)
        signature.write_bytes(signed)
        command = ["openssl", "dgst", f"-{algorithm}", "-verify", str(key), "-signature", str(signature), str(text)]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except FileNotFoundError:
            raise BundleError(
                "the signature cannot be checked: neither Python's cryptography nor the program openssl is here; "
                "install one of them"
            ) from None
    return done.returncode == 0
