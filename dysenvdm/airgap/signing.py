"""Keys and signatures of bundles, made by model-signing with a local key: no service, no network."""

from __future__ import annotations

import os
from pathlib import Path

from planners.dsg import UserError

_MISSING = "signing needs model-signing: pip install 'dysenvdm[airgap]'"


def make_key(private: Path) -> Path:
    """Write a new private key (PEM, P-256, readable by its owner only) and its public half beside it, ``.pub``.

    Returns the public key's path. Raises :class:`UserError` where either exists.
    """
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise UserError(_MISSING) from None
    public = private.with_suffix(".pub")
    if public == private:
        raise UserError(f"{private}: ends with .pub, which is the public half's name; choose another")
    for path in (private, public):
        if path.exists():
            raise UserError(f"{path}: there is a key already; choose another name")
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(pem)
        kind = serialization.PublicFormat.SubjectPublicKeyInfo
        public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, kind))
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be written ({error.strerror})") from None
    return public


def check_key(private: Path) -> None:
    """Raise :class:`UserError` unless the key can sign, so that it is known before hours of work."""
    try:
        from model_signing import signing
    except ImportError:
        raise UserError(_MISSING) from None
    try:
        signing.Config().use_elliptic_key_signer(private_key=private)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{private}: not a private key to sign with ({error}); make one: dysenvdm bundle key FILE"
        ) from None


def sign(manifest: Path, private: Path, signature: Path) -> None:
    """Sign a manifest; raises :class:`UserError`."""
    check_key(private)
    from model_signing import signing

    signing.Config().use_elliptic_key_signer(private_key=private).sign(manifest, signature)
