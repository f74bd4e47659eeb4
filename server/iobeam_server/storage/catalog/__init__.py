"""The catalogue: what is kept beside the points, its SQL written once for both engines.

Imports `storage.base` and the package's rules; never an engine or a driver.
"""
