"""Checks with their messages, and the differences between Python 2 and 3."""
