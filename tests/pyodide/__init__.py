"""The client's tests on CPython for WebAssembly, without sockets and threads."""
