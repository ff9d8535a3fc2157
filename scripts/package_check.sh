#!/usr/bin/env bash
# Packs the program that was built, and checks that what was packed works anywhere: the archive's program and the Debian package's
# find their model and the demo library without the clone. Prints `N passed, N failed` at the end.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
scripts/package.sh --profile dev "$work"

passed=0 failed=0
# From the root directory and with an empty environment, so that nothing but the package can be found.
check_demo() {
    local title="$1" program="$2"
    if (cd / && env -i "$program" demo) >"$work/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $title" && cat "$work/log"
    fi
}

mkdir "$work/archive" "$work/root"
tar -C "$work/archive" -xzf "$work"/*.tar.gz
check_demo "the archive's program answers the demo questions" "$(echo "$work"/archive/*/moiety)"
if command -v dpkg-deb >/dev/null; then
    dpkg-deb -x "$work"/*.deb "$work/root"
    check_demo "the Debian package's program answers the demo questions" "$work/root/usr/bin/moiety"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
