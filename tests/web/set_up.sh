#!/bin/sh
# Sets up FOLDER for the tests that need Node and Chromium: `sh set_up.sh FOLDER`. Says what is missing.
set -e
here=$(dirname "$0")
folder=$1
missing=0
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo "test-web needs node and npm, version 20 or later: on Debian and Ubuntu, apt-get install nodejs npm" >&2
    missing=1
elif [ "$(node --print 'parseInt(process.versions.node)')" -lt 20 ]; then
    echo "test-web needs node 20 or later, this is $(node --version)" >&2
    missing=1
fi
if [ -z "$CHROMIUM" ] && ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null; then
    echo "test-web needs Chromium: apt-get install chromium, or set CHROMIUM to the program of a Chrome" >&2
    missing=1
fi
[ $missing = 0 ] || exit 2
mkdir -p "$folder"
cp "$here/package.json" "$folder/"
# onnxruntime-node would fetch CUDA libraries from elsewhere; the processor's are in the package. No lock file is
# written, since it would name the registry at hand.
cd "$folder" && ONNXRUNTIME_NODE_INSTALL=skip npm install --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error
