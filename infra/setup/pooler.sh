#!/usr/bin/env bash
# PgBouncer for the tests that connect as through Supabase's pooler: what is there, else Debian's as root.
set -uo pipefail
PATH=$PATH:/usr/sbin
command -v pgbouncer >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # Only the program is wanted: the package's own service stays down.
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq pgbouncer) >/dev/null 2>&1
    command -v pgbouncer >/dev/null && exit 0
fi
echo "##############################################################" >&2
echo "# PgBouncer could not be installed: POOLER TESTS WILL SKIP.  #" >&2
echo "# On Debian: sudo apt-get install pgbouncer                  #" >&2
echo "##############################################################" >&2
exit 0
