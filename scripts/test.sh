#!/usr/bin/env bash
# Everything that must hold before a change lands: format, lints, docs, arrows, tests, benches, the Python client and packages.
# It prints the test runner's own lines and, last, the sum over all of them.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

scripts/setup.sh test
mkdir -p "$target"

say "format"
cargo fmt --all --check
say "lints"
cargo clippy --workspace --all-targets -- -D warnings
say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
if cargo deny --version >/dev/null 2>&1; then
    say "cargo deny: arrows, licences, sources"
    cargo deny --offline check bans licenses sources
else
    say "cargo deny is not installed: the arrows are checked by benches/tests/arrows.rs alone, licences not at all"
fi

log="$target/moiety-test.log"
status=0
say "tests"
cargo test --workspace --no-fail-fast 2>&1 | tee "$log" || status=1
say "benches build"
cargo bench --workspace --no-run --profile dev || status=1
say "the Python client beside the Rust client"
{ cargo build --workspace --bin moiety && scripts/client_check.sh; } 2>&1 | tee -a "$log" || status=1
say "the packed program, away from the clone"
scripts/package_check.sh 2>&1 | tee -a "$log" || status=1

# `test result: ok. 12 passed; 0 failed; …` of cargo, `2 passed, 0 failed` of the client check.
awk '
    /^test result:/ { for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) p += $(i-1); if ($i ~ /^failed/) f += $(i-1) } }
    /^[0-9]+ passed, [0-9]+ failed$/ { p += $1; f += $3 }
    END { printf "\n%d passed, %d failed\n", p, f }
' "$log"
exit "$status"
