"""The values a script builds: points, stores, devices, queries."""
