#!/usr/bin/env bash
# A Chromium for the browser tests: what is there, else Debian's as root, else Playwright's own.
set -uo pipefail
BIN=${BIN:-.venv/bin}
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
"$BIN/python" - <<'PY' && exit 0
import os, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    sys.exit(not os.path.exists(playwright.chromium.executable_path))
PY
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium) >/dev/null 2>&1 && exit 0
fi
"$BIN/playwright" install chromium >/dev/null 2>&1 && exit 0
echo "############################################################" >&2
echo "# No Chromium could be installed: BROWSER TESTS WILL SKIP. #" >&2
echo "############################################################" >&2
exit 0
