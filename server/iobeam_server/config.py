"""Every setting of the server: default, unit and reason."""

from __future__ import annotations

from typing import Optional

import msgspec

MIB = 1024 * 1024


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one server process; never changed after start."""

    # -- address ---------------------------------------------------------------
    host: str = "127.0.0.1"
    """Interface to bind. Loopback: without TLS in front tokens would cross the network in clear."""
    port: int = 4620
    """TCP port; 0 takes a free one."""

    # -- limits on a request ---------------------------------------------------
    max_body_bytes: int = 16 * MIB
    """Body on the wire, bytes. 20 000 values of a generous 800 bytes each."""
    max_inflated_bytes: int = 16 * MIB
    """Body after gunzip, bytes. The same content uncompressed must not be allowed more or less."""
    max_header_bytes: int = 64 * 1024
    """Request line and headers, bytes. Tokens are under 1 kB; queries rarely pass 4 kB."""
    max_values: int = 20_000
    """Values (rows x columns) per import; the most a client ever sends, about 40 ms of writing."""
    max_text_chars: int = 65_536
    """Characters of one text value; a log line, not a document."""
    max_fields: int = 1_000
    """Columns of one request; the client's own limit."""

    # -- connections -----------------------------------------------------------
    threads: int = 32
    """Requests worked on at once. Imports mostly wait for a commit, so more than cores helps."""
    connection_limit: int = 1_000
    """Open connections, idle ones included; the rest wait in the kernel's backlog."""
    request_timeout_s: int = 60
    """A request must have arrived whole after this many seconds, whatever trickles in."""
    idle_timeout_s: int = 120
    """Keep-alive connections without a request are closed after this many seconds."""
    linger_s: float = 5.0
    """After a refusal, seconds the rest of the body is read and thrown away: closing at once
    would reset the connection and take the answer with it (RFC 9112 9.6)."""
    drain_s: float = 30.0
    """After SIGTERM, seconds that requests in flight get to finish."""

    # -- group commit ----------------------------------------------------------
    group_values: int = 50_000
    """Values in one transaction at most; bounds how long the first of them waits."""
    high_water_values: int = 400_000
    """Values queued for the writer above which imports get 429: some 2 s of work, about 50 MB."""
    busy_timeout_s: float = 30.0
    """Wait for another process's write lock (a command beside `serve`), seconds."""

    # -- PostgreSQL ------------------------------------------------------------
    database_connections: int = 10
    """Connections of one process, one of them for the writer. Ten processes stay just within
    PostgreSQL's default of 100; requests beyond wait for a free one."""

    # -- reading ---------------------------------------------------------------
    spool_bytes: int = 1 * MIB
    """Answers above this go to a temporary file, so that their length is known in advance."""

    max_conditions: int = 100
    """`where` parameters of one query; each is tested on every row."""
    max_groups: int = 200_000
    """Groups or distinct values that one query may hold in memory: some 100 MB. Where the
    database adds up (no condition on values, groups by time and device) there is no limit."""

    # -- tokens ----------------------------------------------------------------
    token_life_s: int = 30 * 86_400
    """Life of a token when none is asked for, seconds. The hosted service had 30 days."""
    refresh_grace_s: int = 30 * 86_400
    """A token can be refreshed until this long after its expiry, seconds: clients that refresh
    only after expiry (Go, Node, Java) may have been off for a while."""

    secret_file: Optional[str] = None
    """File whose lines are the secrets that sign and verify tokens, instead of the database's:
    the first one signs. Whoever reads a backup then cannot make tokens."""

    # -- behaviour -------------------------------------------------------------
    auto_register: bool = False
    """Register unknown devices on their first import instead of answering 404/32."""
    cors_origins: tuple[str, ...] = ()
    """Origins (https://example.org) whose pages may call; none: browsers keep them all out."""
