"""The disk buffer, a queue of chunks in one SQLite file: chunk, lock, file, repair.

It may import `utils`, `errors` and `http.call` (the limits of a call); who sends,
and when, it does not know.
"""
