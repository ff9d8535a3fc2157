# Sourced by the other scripts: the repository as working directory, cargo on the path, and where cargo builds.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin"
target="${CARGO_TARGET_DIR:-$PWD/target}"

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'moiety: %s\n' "$*" >&2; exit 1; }
