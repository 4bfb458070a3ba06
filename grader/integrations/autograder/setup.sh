#!/usr/bin/env bash
# Gradescope runs this once, when it builds the autograder's image.
set -euo pipefail

export PYTHONSAFEPATH=1
root="${AUTOGRADER_ROOT:-/autograder}"
source="$root/source"

if ! python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))'; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update
    apt-get install -y --no-install-recommends python3 python3-pip python3-venv
fi
python3 -m venv "$root/venv"
install=("$root/venv/bin/python" -m pip install --no-cache-dir --disable-pip-version-check -c "$source/constraints.txt")

# torch comes first and alone: an index of builds for the CPU has nothing else.
index=()
if [[ -s "$source/torch-index.txt" ]]; then
    index=(--index-url "$(<"$source/torch-index.txt")")
fi
"${install[@]}" "${index[@]}" torch
for wheel in "$source"/*.whl; do
    "${install[@]}" "${wheel}[isolation]"
done
