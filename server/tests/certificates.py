"""Certificates of an authority of one's own, made by the `openssl` command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple, Optional

COMMAND = shutil.which("openssl")
WANTED = "there is no openssl command: apt-get install openssl"


class Certified(NamedTuple):
    """Files in PEM form."""

    authority: Path
    certificate: Path
    key: Path


def missing() -> Optional[str]:
    return WANTED if COMMAND is None else None


def openssl(folder: Path, *arguments: str) -> None:
    assert COMMAND is not None
    subprocess.run([COMMAND, *arguments], cwd=folder, check=True, capture_output=True)


def certify(folder: Path, names: str = "DNS:localhost,IP:127.0.0.1") -> Certified:
    """Make an authority, and a certificate that it has signed for some names."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(
        folder, "req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
        "-subj", "/CN=authority of a test", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    openssl(folder, "req", *curve, "-keyout", "key.pem", "-out", "request", "-subj", "/CN=server")
    (folder / "names").write_text(
        f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    openssl(
        folder, "x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-out", "cert.pem", "-days", "2", "-extfile", "names",
    )  # fmt: skip
    return Certified(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
