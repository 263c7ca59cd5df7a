"""Certificates and keys: who trusts whom, and who can read what."""

import socket
import ssl
import stat
import threading

import pytest

pytest.importorskip("cryptography")

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from breakthrough.errors import InputError
from breakthrough.federated import certificates


def greet(tls, trusted, host="127.0.0.1"):
    """A handshake with a server that has `tls`, by a client that trusts an authority."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tls.certificate, tls.key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def answer():
            try:
                with server.wrap_socket(listening.accept()[0], server_side=True) as one:
                    one.recv(1)
            except OSError:
                return

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            context = ssl.create_default_context(cafile=str(trusted))
            with socket.create_connection(listening.getsockname()) as plain, context.wrap_socket(plain, server_hostname=host) as one:
                return one.version()
        finally:
            thread.join(5)


def test_a_server_is_trusted_by_those_who_hold_its_authority_and_by_no_others(tmp_path):
    mine, others = certificates.write_tls(tmp_path / "a", "one"), certificates.write_tls(tmp_path / "b", "one")
    assert greet(mine, mine.authority) == "TLSv1.3"
    assert greet(mine, mine.authority, "localhost") == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        greet(mine, others.authority)
    with pytest.raises(ssl.SSLCertVerificationError):
        greet(mine, mine.authority, "example.org")


def test_a_server_certificate_signs_nothing_and_the_authority_is_gone(tmp_path):
    tls = certificates.write_tls(tmp_path, "one")
    certificate, authority = (x509.load_pem_x509_certificate(path.read_bytes()) for path in (tls.certificate, tls.authority))
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    certificate.verify_directly_issued_by(authority)
    key = serialization.load_pem_private_key(tls.key.read_bytes(), None)
    assert key.public_key() == certificate.public_key() != authority.public_key()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["authority.pem", "certificate.pem", "private.pem"]


def test_private_keys_are_their_owners_alone(tmp_path):
    (tmp_path / "private.pem").write_text("older, and open to all")
    tls, key = certificates.write_tls(tmp_path, "one"), certificates.write_node_key(tmp_path)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tls.key, key.private)] == [0o600, 0o600]


def test_a_node_key_is_a_new_pair_every_time(tmp_path):
    one, two = certificates.write_node_key(tmp_path / "1"), certificates.write_node_key(tmp_path / "2")
    private = serialization.load_ssh_private_key(one.private.read_bytes(), None)
    assert isinstance(private.curve, ec.SECP384R1)
    assert private.public_key() == serialization.load_ssh_public_key(one.public.read_bytes())
    assert one.public.read_bytes() != two.public.read_bytes()


def test_a_certificate_lasts_as_long_as_it_is_asked_to(tmp_path):
    made = x509.load_pem_x509_certificate(certificates.write_tls(tmp_path, "one", days=2).certificate.read_bytes())
    assert (made.not_valid_after_utc - made.not_valid_before_utc).days == 2
    with pytest.raises(InputError, match="expected a certificate that lasts a day or more, got 0 days"):
        certificates.write_tls(tmp_path, "one", days=0)
