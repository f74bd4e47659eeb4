"""What points, tables, queries, names and units are: no HTTP, no SQL, no clock.

Imports `errors` and itself, and of the rest of the package nothing.
"""
