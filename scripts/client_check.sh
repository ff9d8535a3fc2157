#!/usr/bin/env bash
# Serves the demo library on a free port, and checks that the Python client, which knows the server by reflection alone,
# gets the answers that the Rust client gets. Prints `N passed, N failed` at the end.
#
# Needs the built command; grpcio comes from PyPI on the first run.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

moiety="$target/debug/moiety"
[ -x "$moiety" ] || fail "$moiety is not built: run cargo build --workspace --bin moiety"
python="$(scripts/python_env.sh "$target/python-client" clients/python/requirements.txt)" ||
    fail "cannot install clients/python/requirements.txt from PyPI; is there a network?"
log="$(mktemp)"
port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
"$moiety" demo --serve --listen "127.0.0.1:$port" >"$log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -f "$log"' EXIT

wait_for_server() {
    for _ in $(seq 600); do
        grep -q '^serving ' "$log" && return
        kill -0 "$server" 2>/dev/null || return 1
        sleep 0.2
    done
    return 1
}

passed=0 failed=0
check() {
    if "${@:2}"; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAILED: $1"; fi
}

stop_server() { kill -TERM "$server" && wait "$server"; }

if wait_for_server; then
    check "the Python client agrees with the Rust client" \
        "$python" clients/python/smoke.py --server "127.0.0.1:$port" --collection demo --moiety "$moiety"
    check "every demo question finds an expected record, and the server ends in order" stop_server
else
    check "the demo library is served" false
fi
[ "$failed" -eq 0 ] || cat "$log"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
