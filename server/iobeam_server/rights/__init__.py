"""Who is who and may do what: tokens, the keys that sign them, passwords, accounts; no HTTP.

Imports `storage`, `rules`, `config` and `errors`.
"""
