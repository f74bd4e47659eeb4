"""What the client costs, next to other ways of doing the same.

`python -m benchmarks` measures and prints; nothing in here is a test.
"""
