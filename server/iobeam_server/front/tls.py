"""Certificate and key into what speaks TLS."""

from __future__ import annotations

import contextlib
import ssl
from typing import NoReturn

from iobeam_server.errors import ConfigError

# a certificate is trusted for itself, though its authority is not there; OpenSSL's number for it,
# which Python has a name for from 3.10 on
_PARTIAL_CHAIN = 0x80000
# a key of the same kind, of another kind; the last is what newer OpenSSL says of the latter
_NO_PAIR = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")


def context(certificate: str, key: str) -> ssl.SSLContext:
    """Return a context for TLS 1.2 and later.

    Args:
        certificate: path of a file in PEM form, the server's certificate first, then those
            between it and the authority.
        key: path of its private key, PEM, not encrypted.

    Raises:
        ConfigError: a file is missing or is not what it should be, or they do not belong
            together.
    """
    for path, option in ((certificate, "--tls-certificate"), (key, "--tls-key")):
        try:
            with open(path, "rb") as file:
                file.read(1)
        except OSError as error:
            raise ConfigError(f"{option} {path!r} cannot be read: {error.strerror}") from None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])

    def is_encrypted() -> NoReturn:
        raise ConfigError(
            f"--tls-key {key!r} is encrypted; write it without a password, mode 0600: "
            f"openssl pkey -in {key} -out plain.key"
        )

    try:
        made.load_cert_chain(certificate, key, password=is_encrypted)
    except ssl.SSLError as error:
        if error.reason in _NO_PAIR:
            raise ConfigError(
                f"--tls-key {key!r} is not the key of --tls-certificate {certificate!r}"
            ) from None
        raise ConfigError(
            f"--tls-certificate {certificate!r} and --tls-key {key!r} are not a certificate and "
            f"its key in PEM form: {error.reason or error}"
        ) from None
    return made


def names(made: ssl.SSLContext, certificate: str) -> list[str]:
    """Return the names and addresses that a certificate is good for, names first.

    The library tells them of the other side only: so both sides are played, in memory.
    """
    told = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    told.check_hostname = False
    told.verify_flags |= _PARTIAL_CHAIN
    try:
        told.load_verify_locations(certificate)
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = made.wrap_bio(to_server, to_client, server_side=True)
        client = told.wrap_bio(to_client, to_server)
        for side in (client, server, client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
        found = (client.getpeercert() or {}).get("subjectAltName", ())
    except (ssl.SSLError, ValueError):  # an authority is missing, for one
        return []
    pairs = [(str(pair[0]), str(pair[1])) for pair in found if "*" not in pair[1]]
    return [name for _, name in sorted(pairs, key=lambda pair: pair[0] != "DNS")]
