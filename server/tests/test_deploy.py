"""The files of examples/deploy, run for real: proxies before a live server, the unit verified."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from live import TIMEOUT_S, Answer, Live

DEPLOY = Path(__file__).resolve().parents[2] / "examples" / "deploy"
PROXIES = ("nginx", "caddy")
HOST = "iobeam.example.org"
MIB = 1024 * 1024

pytestmark = pytest.mark.skipif(not DEPLOY.is_dir(), reason="not in a checkout")


def program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name} here: apt-get install {package}")
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def changed(name: str, *changes: tuple[str, str]) -> str:
    """Return a file of the examples with each of these texts, which must be there, replaced."""
    text = (DEPLOY / name).read_text()
    for old, new in changes:
        assert old in text, (name, old)
        text = text.replace(old, new)
    return text


class Proxy:
    """Speaks HTTPS to a proxy in front of a live server."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.log = log

    def call(
        self, method: str, path: str, token: Optional[str] = None, body: Optional[bytes] = None
    ) -> Answer:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # its certificate was made for this test
        plain = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)
        connection = http.client.HTTPConnection(HOST, timeout=TIMEOUT_S)
        connection.sock = context.wrap_socket(plain, server_hostname=HOST)
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        with contextlib.closing(connection):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
                connection.request(method, path, body, headers)  # may be refused before its end
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())


def nginx(folder: Path, port: int, backend: int) -> list[str]:
    key, certificate = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes",
         "-subj", f"/CN={HOST}", "-days", "2", "-keyout", key, "-out", certificate],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    live = f"/etc/letsencrypt/live/{HOST}"
    site = changed(
        "nginx.conf",
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("127.0.0.1:4620", f"127.0.0.1:{backend}"),
        (f"{live}/fullchain.pem", str(certificate)),
        (f"{live}/privkey.pem", str(key)),
        ("/var/log/nginx/iobeam.log", str(folder / "access.log")),
    )
    (folder / "site.conf").write_text(site)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    (folder / "main.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr;\n"
        f"events {{}}\nhttp {{\n{paths}include {folder}/site.conf;\n}}\n"
    )
    return [program("nginx", "nginx"), "-e", "stderr", "-c", str(folder / "main.conf")]


def caddy(folder: Path, port: int, backend: int) -> list[str]:
    site = changed(
        "Caddyfile",
        (f"\n{HOST} {{", f"\nhttps://{HOST}:{port} {{\n\tbind 127.0.0.1\n\ttls internal"),
        ("127.0.0.1:4620", f"127.0.0.1:{backend}"),
    )
    settings = (
        "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n"
        f"\tstorage file_system {folder}/store\n}}\n"
    )
    (folder / "Caddyfile").write_text(settings + site)
    return [
        program("caddy", "caddy"), "run", "--adapter", "caddyfile",
        "--config", str(folder / "Caddyfile"),
    ]  # fmt: skip


@pytest.fixture(params=PROXIES)
def proxy(request: pytest.FixtureRequest, live: Live, tmp_path: Path) -> Iterator[Proxy]:
    port = free_port()
    command = {"nginx": nginx, "caddy": caddy}[request.param](tmp_path, port, live.port)
    output = tmp_path / "output"
    with output.open("w") as sink:
        # caddy saves what it was told below its home
        environment = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
        child = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment)
    try:
        deadline = time.monotonic() + TIMEOUT_S
        proxy = Proxy(port, tmp_path / "access.log")
        while True:
            with contextlib.suppress(OSError):
                proxy.call("GET", "/v1/ping")
                break
            assert child.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.02)
        yield proxy
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(TIMEOUT_S)


def body_of(rows: list[list[Any]], name: str = "load") -> bytes:
    sources = {"fields": ["time", name], "data": rows}
    return json.dumps({"project_id": 1, "device_id": "dev-1", "sources": sources}).encode()


def test_proxy_passes_everything_on_as_it_came(proxy: Proxy, live: Live) -> None:
    # the page with its policy
    page = proxy.call("GET", "/")
    assert page.status == 200
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert proxy.call("GET", "/page/main.js").status == 200
    # names that an eager proxy would decode, or join the slashes of
    name = "a//b %/ü"
    sent = proxy.call("POST", "/v1/imports?fmt=table", live.token, body_of([[1, 2]], name))
    assert sent.status == 200
    path = "/v1/exports/1/dev-1/a%2F%2Fb%20%25%2F%C3%BC"
    answer = proxy.call("GET", path + "?timefmt=msec", live.token)
    assert [(found["name"], found["data"]) for found in answer.json["result"]] == [
        (name, [{"time": 1, "value": 2}])
    ]
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    # a body as large as the server takes; one above is refused
    large = body_of([[1, 3]])
    assert proxy.call(
        "POST", "/v1/imports?fmt=table", live.token, large + b" " * (16 * MIB - len(large))
    ).status == 200  # fmt: skip
    assert proxy.call(
        "POST", "/v1/imports?fmt=table", live.token, large + b" " * 16 * MIB
    ).status == 413  # fmt: skip
    # what is open to this machine is not open to all who reach the proxy
    assert live.call("GET", "/metrics", token=None).status == 200
    assert proxy.call("GET", "/metrics").status == 401


def test_proxy_logs_no_query(proxy: Proxy) -> None:
    proxy.call("GET", "/v1/tokens/project?password=hidden")
    if proxy.log.is_file():  # caddy keeps none
        deadline = time.monotonic() + TIMEOUT_S
        while "/v1/tokens/project 40" not in proxy.log.read_text():  # it comes after the answer
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert "hidden" not in "".join(
        path.read_text() for path in (proxy.log, proxy.log.parent / "output") if path.is_file()
    )


def test_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    # of a program that is here
    program_there = "/opt/iobeam-server/bin/iobeam-server"
    text = changed("iobeam-server.service", (program_there, sys.executable))
    unit = tmp_path / "iobeam-server.service"
    unit.write_text(text)
    command = [program("systemd-analyze", "systemd"), "verify", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, said) == (0, [])


def test_unit_leaves_the_server_time_to_finish() -> None:
    from iobeam_server.config import Config

    text = (DEPLOY / "iobeam-server.service").read_text()
    stop_s = int(re.findall(r"^TimeoutStopSec=(\d+)$", text, re.M)[0])
    assert stop_s > Config().drain_s
    files = int(re.findall(r"^LimitNOFILE=(\d+)$", text, re.M)[0])
    assert files > 2 * Config().connection_limit
