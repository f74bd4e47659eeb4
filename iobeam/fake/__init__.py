"""What `iobeam.testing.FakeBackend` answers, by resource: iobeam-server's rules."""
