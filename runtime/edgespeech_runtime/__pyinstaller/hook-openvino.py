"""OpenVINO loads its plug-ins and readers of models by their names, from the folder `libs` of its package."""

from PyInstaller.utils.hooks import collect_data_files, collect_dynamic_libs

# On Linux, libraries have their version behind the ending.
binaries = collect_dynamic_libs("openvino", search_patterns=["*.dll", "*.dylib", "lib*.so", "lib*.so.*"])
datas = collect_data_files("openvino", includes=["libs/*.json", "libs/*.xml"])
