"""PyInstaller cannot see that engines and the packages of the extras are imported when they are asked for."""

from PyInstaller.utils.hooks import collect_submodules

hiddenimports = collect_submodules("edgespeech_runtime", filter=lambda name: "__pyinstaller" not in name)
