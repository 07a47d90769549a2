"""The command line: `edgespeech export | transcribe | evaluate | inspect | calib | demo`, one module each.

Nothing here imports torch, numpy or rich until a command runs, so that `--help` answers at once.
"""

from edgespeech.cli.app import main, program

__all__ = ["main", "program"]
