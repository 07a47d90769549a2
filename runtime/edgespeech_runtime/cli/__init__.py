"""The program `edgespeech-runtime`, and what it shares with the toolchain's: options, loops over files, displays.

Nothing here imports numpy or an engine until a command runs, so that `--help` answers at once.
"""
