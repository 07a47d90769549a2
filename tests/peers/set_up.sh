#!/bin/sh
# An environment of a library that runs bundles, with the versions that it wants: `sh set_up.sh PYTHON FOLDER REQUIREMENTS`.
# They differ from ours, so that constraints.txt does not hold here; REQUIREMENTS names each version.
set -e
"$1" -m venv "$2"
"$2/bin/python" -m pip install --quiet torch==2.13.0
"$2/bin/python" -m pip install --quiet --requirement "$3"
# optimum-intel asks for torchvision, whose build must be of the same kind as torch's; speech needs none.
"$2/bin/python" -m pip uninstall --quiet --yes torchvision
