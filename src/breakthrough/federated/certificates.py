"""Certificates and keys for a federation on one machine, made here and trusted by nobody else.

TLS proves the SuperLink to the nodes; a node's own key proves the node to the SuperLink.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from breakthrough.errors import InputError, expected
from breakthrough.optional import require

if TYPE_CHECKING:
    from cryptography import x509 as x509_types
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import PrivateFormat

HOST = "127.0.0.1"
_PURPOSE = "certificates and node keys"
_SLACK = datetime.timedelta(minutes=5)  # clocks of two machines differ


@dataclass(frozen=True)
class Tls:
    """Files of one server: its certificate, its private key, and the authority that signed it."""

    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class NodeKey:
    """Files of one node's key pair."""

    private: Path
    public: Path


def write_tls(folder: Path, name: str, days: int = 30) -> Tls:
    """Make an authority and a certificate of it for 127.0.0.1; the authority's own key is never written.

    With that key gone nobody can sign a second server that the nodes would trust.

    Raises: InputError for no days; MissingDependency without cryptography
    """
    if days < 1:
        raise InputError(expected("a certificate that lasts a day or more", f"{days} days"))
    keys, serialization = _ec(), _serialization()
    signer, key = keys.generate_private_key(keys.SECP384R1()), keys.generate_private_key(keys.SECP384R1())
    authority = _certificate(f"{name} authority", signer, f"{name} authority", signer, days)
    certificate = _certificate(name, key, f"{name} authority", signer, days)
    made = Tls(folder / "authority.pem", folder / "certificate.pem", folder / "private.pem")
    folder.mkdir(parents=True, exist_ok=True)
    made.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_secret(made.key, key, serialization.PrivateFormat.PKCS8)
    return made


def write_node_key(folder: Path) -> NodeKey:
    """Make a node's key pair: the private half stays with the node, the public half is registered.

    Raises: MissingDependency without cryptography
    """
    keys, serialization = _ec(), _serialization()
    key = keys.generate_private_key(keys.SECP384R1())
    made = NodeKey(folder / "node.key", folder / "node.pub")
    folder.mkdir(parents=True, exist_ok=True)
    _write_secret(made.private, key, serialization.PrivateFormat.OpenSSH)
    made.public.write_bytes(key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH))
    return made


def _certificate(name: str, key: EllipticCurvePrivateKey, issuer: str, signer: EllipticCurvePrivateKey, days: int) -> x509_types.Certificate:
    x509, now = require("cryptography.x509", _PURPOSE), datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(_named(name)).issuer_name(_named(issuer)).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - _SLACK)
    builder = builder.not_valid_after(now + datetime.timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=key is signer, path_length=0 if key is signer else None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    if key is signer:
        builder = builder.add_extension(_signs_only(x509), critical=True)
    else:
        here = [x509.IPAddress(ipaddress.ip_address(HOST)), x509.DNSName("localhost")]
        builder = builder.add_extension(x509.SubjectAlternativeName(here), critical=False)
    return builder.sign(signer, _hashes().SHA384())


def _signs_only(x509: ModuleType) -> x509_types.KeyUsage:
    others = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
              "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(key_cert_sign=True, **dict.fromkeys(others, False))


def _named(name: str) -> x509_types.Name:
    x509 = require("cryptography.x509", _PURPOSE)
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _write_secret(path: Path, key: EllipticCurvePrivateKey, form: PrivateFormat) -> None:
    """Write a private key that only its owner can read, from its first byte on."""
    serialization = _serialization()
    path.unlink(missing_ok=True)  # an older file may have other rights
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


def _ec() -> ModuleType:
    return require("cryptography.hazmat.primitives.asymmetric.ec", _PURPOSE)


def _hashes() -> ModuleType:
    return require("cryptography.hazmat.primitives.hashes", _PURPOSE)


def _serialization() -> ModuleType:
    return require("cryptography.hazmat.primitives.serialization", _PURPOSE)
