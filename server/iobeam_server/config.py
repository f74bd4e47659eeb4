"""Every setting of the server: default, unit and reason."""

from __future__ import annotations

from typing import Optional

import msgspec

MIB = 1024 * 1024
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one server process; never changed after start."""

    # -- address ---------------------------------------------------------------
    host: str = "127.0.0.1"
    """Interface to bind. Loopback: without TLS in front tokens would cross the network in clear."""
    port: int = 4620
    """TCP port; 0 takes a free one."""

    tls_certificate: Optional[str] = None
    """File with the certificate and those up to its authority; with it https is spoken."""
    tls_key: Optional[str] = None
    """File with the certificate's key, not encrypted."""

    # -- limits on a request ---------------------------------------------------
    max_body_bytes: int = 16 * MIB
    """Body on the wire, bytes. 20 000 values of a generous 800 bytes each."""
    max_inflated_bytes: int = 16 * MIB
    """Body after gunzip, bytes. The same content uncompressed must not be allowed more or less."""
    received_bytes: int = 176 * MIB
    """Bodies of all requests as they were received, in bytes; above it 429. A quarter is for
    small ones whose token is not judged yet, the rest for eight of full size."""
    decoded_bytes: int = 128 * MIB
    """What all bodies are inflated to and what is built of them, in bytes. A full-size import
    takes 16 to 40 MiB until it is stored; one that does not fit waits, see `decode_wait_s`."""
    decode_wait_s: float = 10.0
    """An import waits so long for its share of `decoded_bytes`, seconds; then 429. Eight
    full-size ones at once are through after some 3 s."""
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
    """Imports worked on at once. They mostly wait for a commit, so more than cores helps; other
    kinds of work have threads of their own (`serving.pool_sizes`)."""
    wait_s: float = 10.0
    """A request for which no thread is free is refused with 429 after this many seconds."""
    connection_limit: int = 1_000
    """Open connections, idle ones included; for one more, the one silent longest is closed."""
    connections_per_address: int = 500
    """The same for one address. Behind a proxy or NAT many share one, so it is no small number."""
    header_timeout_s: int = 10
    """Request line and headers must have arrived after this many seconds, whatever trickles in."""
    request_timeout_s: int = 60
    """A request must have arrived whole after this many seconds, whatever trickles in."""
    answer_timeout_s: int = 60
    """A client must take 256 KiB of its answer within this many seconds: 4 kB/s."""
    idle_timeout_s: int = 120
    """Keep-alive connections without a request are closed after this many seconds."""
    linger_s: float = 5.0
    """After a refusal, seconds the rest of the body is read and thrown away: closing at once
    would reset the connection and take the answer with it (RFC 9112 9.6)."""
    drain_s: float = 8.0
    """After SIGTERM, seconds that requests in flight get to finish, clients to take answers."""

    # -- group commit ----------------------------------------------------------
    group_values: int = 50_000
    """Values in one transaction at most; bounds how long the first of them waits."""
    high_water_values: int = 400_000
    """Values queued for the writer above which imports get 429: some 2 s of work, about 50 MB."""
    busy_timeout_s: float = 5.0
    """Wait for a lock on the database that another program or request holds, seconds; then 503.
    Long enough for what commands do beside `serve`, but for a change of a large series' type.
    An import waits twice as long for its turn in the writer's queue."""

    # -- PostgreSQL ------------------------------------------------------------
    database_connections: int = 10
    """Connections of one process, at least three: one for the writer, three tenths for tokens
    and what else imports look up, the rest for queries, which wait for a free one. Ten processes
    stay just within PostgreSQL's default of 100."""

    # -- reading ---------------------------------------------------------------
    spool_bytes: int = 1 * MIB
    """Answers above this go to a temporary file, so that their length is known in advance."""
    temporary_folder: Optional[str] = None
    """Where temporary files go. None: beside a SQLite file, else the system's."""

    query_timeout_s: float = 30.0
    """A query is stopped after this many seconds: who computes slows all others down."""
    export_timeout_s: float = 600.0
    """The same for an export, which may be all there is: some 200 million points."""
    max_conditions: int = 100
    """`where` parameters of one query; each is tested on every row."""
    max_groups: int = 200_000
    """Groups or distinct values that one query may hold in memory: some 100 MB. Where the
    database adds up (no condition on values, groups by time and device) there is no limit."""
    max_group_chars: int = 32 * MIB
    """Characters of texts in those: one may have 64 KiB, and a character takes up to 4 bytes."""
    max_gaps: int = 10_000_000
    """Empty cells of an answer, beside 100 for each value: 50 MB of nulls. Only rows of more than
    100 fields can have more: where each holds a few of 100 000, memory goes with rows x fields."""

    # -- tokens ----------------------------------------------------------------
    token_life_s: int = 30 * 86_400
    """Life of a token when none is asked for, seconds. The hosted service had 30 days."""
    refresh_grace_s: int = 30 * 86_400
    """A token can be refreshed until this long after its expiry, seconds: clients that refresh
    only after expiry (Go, Node, Java) may have been off for a while."""

    rights_cache_s: float = 5.0
    """What is granted and revoked is looked up at most this often for each token, seconds: a
    change by a command, or by another process, counts after this long. 0 looks at each request."""

    secret_file: Optional[str] = None
    """File whose lines are the secrets that sign and verify tokens, instead of the database's:
    the first one signs. Whoever reads a backup then cannot make tokens."""

    # -- behaviour -------------------------------------------------------------
    auto_register: bool = False
    """Register unknown devices on their first import instead of answering 404/32."""
    cors_origins: tuple[str, ...] = ()
    """Origins (https://example.org) whose pages may call; none: browsers keep them all out."""

    @property
    def is_local(self) -> bool:
        """Only this machine can reach it."""
        return self.host in LOOPBACK
