"""https without a proxy: our client, Node's https, and files that do not do."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Certified, certify, missing, openssl
from live import TIMEOUT_S, Live, received, running

from iobeam_server.commands.banner import address_for_devices
from iobeam_server.config import Config
from iobeam_server.errors import ConfigError
from iobeam_server.serving import certificate_names, tls_context

if missing() is not None:
    pytest.skip(str(missing()), allow_module_level=True)

SCRIPT = """
import os, sys
from iobeam import iobeam
client = iobeam.ClientBuilder(1, os.environ["TOKEN"]).build()
client.registerDevice("tls-1")
store = client.createDataStore(["a"])
for i in range(100):
    store.add(iobeam.Timestamp(i), {"a": i})
client.send()
"""
NODE = shutil.which("node")
NODE_SCRIPT = """
const https = require('https'), fs = require('fs');
const agent = new https.Agent({keepAlive: true});
const headers = {Authorization: 'Bearer ' + process.env.TOKEN, 'Content-Type': 'application/json'};
const ca = fs.readFileSync(process.env.CA);
function ask(method, path, body, next) {
  const request = https.request({host: 'localhost', port: process.env.PORT, method, path, ca, agent,
    headers, family: 4}, answer => {
      let text = ''; answer.on('data', part => text += part);
      answer.on('end', () => next(answer.statusCode, text));
    });
  request.on('error', error => { console.log(error.code); process.exit(1); });
  request.end(body && JSON.stringify(body));
}
const rows = []; for (let i = 0; i < 5000; i++) rows.push([i, i / 7]);
ask('POST', '/v1/devices', {project_id: 1, device_id: 'node-1'}, status => {
  const body = {project_id: 1, device_id: 'node-1', sources: {fields: ['time', 'a'], data: rows}};
  ask('POST', '/v1/imports?fmt=table', body, status => {
    ask('GET', '/v1/exports/1/node-1/a', null, (status, text) => {
      console.log(status, JSON.parse(text).result[0].data.length); agent.destroy();
    });
  });
});
"""


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    return certify(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def secure(tmp_path: Path, certified: Certified) -> Iterator[Live]:
    """A running server that speaks https, and nothing else."""
    files = {"tls_certificate": str(certified.certificate), "tls_key": str(certified.key)}
    with running(tmp_path, **files) as live:
        yield live


def ask(live: Live, certified: Certified, path: str = "/v1/ping", body: object = None) -> int:
    context = ssl.create_default_context(cafile=str(certified.authority))
    connection = http.client.HTTPSConnection(
        "localhost", live.port, timeout=TIMEOUT_S, context=context
    )
    with contextlib.closing(connection):
        headers = {"Authorization": f"Bearer {live.token}", "Content-Type": "application/json"}
        connection.request("POST" if body else "GET", path, json.dumps(body) or None, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def test_it_says_that_it_speaks_https(secure: Live, certified: Certified) -> None:
    assert secure.backend.server.url == f"https://127.0.0.1:{secure.port}"
    assert ask(secure, certified) == 200


def test_our_client_sends_through_it(secure: Live, certified: Certified) -> None:
    variables = {
        **os.environ,
        "IOBEAM_BACKEND": f"https://localhost:{secure.port}/v1/",
        "REQUESTS_CA_BUNDLE": str(certified.authority),
        "TOKEN": secure.token,
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(list(secure.backend.store.series.find(1, "input", "tls-1", "a"))) == 1


@pytest.mark.skipif(NODE is None, reason="there is no node: apt-get install nodejs")
def test_nodes_https_sends_and_reads_through_it(secure: Live, certified: Certified) -> None:
    variables = {
        **os.environ,
        "PORT": str(secure.port),
        "TOKEN": secure.token,
        "CA": str(certified.authority),
    }
    done = subprocess.run(
        [str(NODE), "-e", NODE_SCRIPT], env=variables, capture_output=True, text=True
    )
    assert done.stdout == "200 5000\n", done


def test_who_does_not_know_the_authority_gets_nothing(secure: Live) -> None:
    connection = http.client.HTTPSConnection("localhost", secure.port, timeout=TIMEOUT_S)
    with contextlib.closing(connection), pytest.raises(ssl.SSLCertVerificationError):
        connection.request("GET", "/v1/ping")


def test_what_speaks_http_to_it_is_closed_at_once(secure: Live) -> None:
    began = time.monotonic()
    with secure.raw(b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n") as sock:
        assert b"200" not in received(sock)
    assert time.monotonic() - began < 5


def test_tls_before_1_2_is_refused(secure: Live, certified: Certified) -> None:
    context = tls_context(
        Config(tls_certificate=str(certified.certificate), tls_key=str(certified.key))
    )
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_half_handshakes_keep_nobody_out(tmp_path: Path, certified: Certified) -> None:
    files = {"tls_certificate": str(certified.certificate), "tls_key": str(certified.key)}
    with (
        running(tmp_path, connection_limit=20, **files) as live,
        contextlib.ExitStack() as stack,
    ):
        for number in range(60):
            begun = b"\x16\x03\x01\x02\x00\x01" if number % 2 else b""
            stack.enter_context(live.raw(begun))
        assert ask(live, certified) == 200


def test_a_refusal_reaches_a_client_that_is_still_sending(
    secure: Live, certified: Certified
) -> None:
    context = ssl.create_default_context(cafile=str(certified.authority))
    plain = socket.create_connection(("localhost", secure.port), timeout=TIMEOUT_S)
    with context.wrap_socket(plain, server_hostname="localhost") as sock:
        sock.sendall(b"POST /v1/imports HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(20):
            sock.sendall(b" " * 65_536)
        assert sock.recv(12) == b"HTTP/1.1 413"


def test_stopping_does_not_wait_for_those_who_say_nothing(
    tmp_path: Path, certified: Certified
) -> None:
    files = {"tls_certificate": str(certified.certificate), "tls_key": str(certified.key)}
    with contextlib.ExitStack() as stack:
        with running(tmp_path, **files) as live:
            stack.enter_context(live.raw(b""))  # no handshake
            context = ssl.create_default_context(cafile=str(certified.authority))
            plain = stack.enter_context(live.raw(b""))
            stack.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
            began = time.monotonic()
        assert time.monotonic() - began < 5


def test_files_that_do_not_do_are_named(tmp_path: Path, certified: Certified) -> None:
    other = tmp_path / "other.pem"
    openssl(tmp_path, "genpkey", "-algorithm", "ed25519", "-out", "other.pem")
    openssl(
        tmp_path, "pkey", "-in", str(certified.key), "-aes256", "-passout", "pass:secret",
        "-out", "encrypted.pem",
    )  # fmt: skip
    same = certify(tmp_path).key
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    certificate, key = str(certified.certificate), str(certified.key)
    for given, words in (
        ((certificate, None), "--tls-key go together"),
        ((None, key), "--tls-key go together"),
        (("none.pem", key), "--tls-certificate 'none.pem' cannot be read: No such file"),
        ((certificate, "none.pem"), "--tls-key 'none.pem' cannot be read: No such file"),
        ((certificate, str(other)), "is not the key of"),
        ((certificate, str(same)), "is not the key of"),
        ((certificate, str(tmp_path / "encrypted.pem")), "is encrypted"),
        ((str(empty), key), "are not a certificate and its key"),
        ((certificate, certificate), "are not a certificate and its key"),
    ):
        with pytest.raises(ConfigError) as caught:
            tls_context(Config(tls_certificate=given[0], tls_key=given[1]))
        assert words in str(caught.value)


def test_devices_are_told_a_name_that_is_in_the_certificate(tmp_path: Path) -> None:
    made = certify(tmp_path, "DNS:*.example.org,DNS:iobeam.example.org,IP:127.0.0.1")
    config = Config(tls_certificate=str(made.certificate), tls_key=str(made.key))
    names = certificate_names(config)
    assert names == ["iobeam.example.org", "127.0.0.1"]
    url = "https://127.0.0.1:4620"
    assert address_for_devices("127.0.0.1", url, names) == url
    everywhere = address_for_devices("0.0.0.0", url, names)  # noqa: S104
    assert everywhere == "https://iobeam.example.org:4620"
