"""`python -m edgespeech.cli`."""

from edgespeech.cli.app import main

main()
