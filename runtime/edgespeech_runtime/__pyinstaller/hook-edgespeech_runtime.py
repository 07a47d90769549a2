"""PyInstaller cannot see modules that are imported when they are used: names of the package, engines, tasks.

Without this, a frozen program ends where it first uses a name, since `edgespeech_runtime.load` stands in a module that
is not there. The command line is left out: a program that has a use for it imports it in a way that is seen.
"""

from PyInstaller.utils.hooks import collect_submodules

LEFT_OUT = ("edgespeech_runtime.cli", "edgespeech_runtime.__pyinstaller")
hiddenimports = collect_submodules("edgespeech_runtime", filter=lambda name: not name.startswith(LEFT_OUT))
