"""What client and backend cost, next to other ways of doing the same.

`python -m benchmarks` measures the client, `python -m benchmarks server` the
backend, and prints; nothing in here is a test.
"""
