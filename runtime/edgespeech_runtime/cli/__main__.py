"""`python -m edgespeech_runtime.cli`."""

from .program import main

main()
