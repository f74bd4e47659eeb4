"""One command of the command line a module; `common` is what they share.

They use the library as a script does; nothing but `iobeam.cli` imports them.
"""
