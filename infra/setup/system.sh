#!/usr/bin/env bash
# The libraries that set the text of PDF reports: checked, installed as root on Debian, else named.
set -euo pipefail
BIN=${BIN:-.venv/bin}
# What goes before these packages comes with them: glib, fontconfig, FreeType.
DEBIAN=(libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core)

[ -x "$BIN/python" ] || { echo "There is no $BIN/python. Run \`make setup\`." >&2; exit 1; }
loads() { why=$("$BIN/python" -c "import weasyprint" 2>&1); }

loads && exit 0
case $why in *"No module named"*)
    echo "The Python package weasyprint cannot be imported from $BIN:" >&2
    echo "$why" | tail -n 1 >&2
    echo "Remove .venv and run \`make setup\` again." >&2
    exit 1 ;;
esac

install="apt-get update && apt-get install -y ${DEBIAN[*]}"
if command -v apt-get >/dev/null; then
    if [ "$(id -u)" = 0 ]; then
        echo "Installing the libraries that PDF reports need: ${DEBIAN[*]}"
        log=$(apt-get update -qq 2>&1 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${DEBIAN[@]}" 2>&1) ||
            echo "$log" | tail -n 5 >&2
        loads && exit 0
    else
        install="sudo sh -c '$install'"
    fi
elif command -v dnf >/dev/null; then
    install="sudo dnf install -y pango harfbuzz dejavu-sans-fonts"
elif command -v brew >/dev/null; then
    # A Python that is not Homebrew's does not look into Homebrew's folder by itself.
    install='brew install pango && export DYLD_FALLBACK_LIBRARY_PATH="$(brew --prefix)/lib"'
else
    install="install Pango 1.44 or later, HarfBuzz with its subset library, and the DejaVu fonts"
fi
echo "PDF reports need the library Pango, which cannot be loaded on this machine:" >&2
echo "    $(echo "$why" | tail -n 1)" >&2
echo "Run this, then the same make target again:" >&2
echo "    $install" >&2
exit 1
