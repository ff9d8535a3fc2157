#!/usr/bin/env bash
# Installs what Moiety needs on a Debian machine, and nothing that is there already. It says what it does.
#
#   scripts/setup.sh [build|test]
#
# build: a C++ compiler, libclang with its headers (RocksDB is compiled from source, and bindgen reads its C header), Rust of
#        the version in rust-toolchain.toml, and RocksDB, compiled once a machine by scripts/rocksdb.sh. Cargo is told of it in
#        .cargo/config.toml of this clone; where ROCKSDB_LIB_DIR is set already, that library is taken and nothing is written.
# test (the default): that, and Python with venv, for the check of the Python client.
#
# Without root it installs nothing: it names the packages that are missing and stops.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

missing_packages() {
    command -v c++ >/dev/null || echo build-essential
    has_libclang || echo libclang-dev
    # clang itself tells bindgen where its headers are.
    command -v clang >/dev/null || ls /usr/bin/clang-[0-9]* >/dev/null 2>&1 || echo clang
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
    # How rustup is fetched.
    command -v cargo curl >/dev/null || echo curl
    if [ "$1" = test ]; then
        python3 -c 'import venv, ensurepip' 2>/dev/null || echo python3 python3-venv
    fi
}

has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return
    local libraries=(/usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so*)
    local headers=(/usr/lib/llvm-*/lib/clang/*/include/stdbool.h /usr/lib/clang/*/include/stdbool.h)
    first_exists "${libraries[@]}" && first_exists "${headers[@]}"
}

first_exists() {
    local path
    for path in "$@"; do [ -e "$path" ] && return; done
    return 1
}

install_packages() {
    local packages="$*"
    if ! command -v apt-get >/dev/null; then
        fail "this is no Debian machine; install what these Debian packages hold and run this again: $packages"
    fi
    if [ "$(id -u)" -ne 0 ]; then
        fail "not root, so nothing was installed. Missing: $packages. Run: sudo apt-get install -y $packages"
    fi
    say "installing Debian packages: $packages"
    apt-get update -qq
    # shellcheck disable=SC2086 # one word a package
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
}

wanted_rust() { sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml; }

ensure_rust() {
    local wanted
    wanted="$(wanted_rust)"
    command -v cargo >/dev/null || command -v rustup >/dev/null || install_rustup
    if command -v rustup >/dev/null && ! rustup toolchain list | grep -q "^$wanted"; then
        say "installing Rust $wanted with rustup"
        rustup toolchain install "$wanted" --profile minimal --component rustfmt --component clippy
    fi
    local found
    found="$(rustc --version | cut -d' ' -f2)"
    at_least "$wanted" "$found" || fail "Rust $found is too old: $wanted is needed, and rustup installs it"
}

# Debian's own rustup where there is one; else rustup's installer, checked against the digest that lies beside it. The latter
# writes to ~/.cargo and ~/.rustup alone, and leaves the shell's profile as it is.
install_rustup() {
    if [ "$(id -u)" -eq 0 ] && debian_has rustup; then
        install_packages rustup
        return
    fi
    local host dir
    host="$(uname -m)-unknown-linux-gnu"
    dir="$(mktemp -d)"
    say "installing rustup from static.rust-lang.org into ${CARGO_HOME:-$HOME/.cargo}"
    (cd "$dir" && for file in rustup-init rustup-init.sha256; do
        curl --proto '=https' --tlsv1.2 -sSfO "https://static.rust-lang.org/rustup/dist/$host/$file"
    done && echo "$(grep -oE '^[0-9a-f]{64}' rustup-init.sha256)  rustup-init" | sha256sum --check --quiet) ||
        fail "rustup could not be fetched. Install Rust $(wanted_rust) as https://rustup.rs says and run this again."
    chmod +x "$dir/rustup-init"
    "$dir/rustup-init" -y -q --no-modify-path --profile minimal --default-toolchain none
    rm -r "$dir"
}

debian_has() {
    command -v apt-cache >/dev/null || return 1
    apt-get update -qq && apt-cache policy "$1" | grep -q 'Candidate: [0-9]'
}

# Without this cargo compiles RocksDB file by file, which takes an hour of two cores.
ensure_rocksdb() {
    [ -z "${ROCKSDB_LIB_DIR:-}" ] && [ "$(uname -s)" = Linux ] || return 0
    local library wanted
    if ! library="$(scripts/rocksdb.sh)"; then
        say "RocksDB could not be compiled at once (see above): cargo will compile it file by file, which takes most of an hour"
        return
    fi
    wanted="$(printf '# Written by scripts/setup.sh: the RocksDB that scripts/rocksdb.sh has compiled.\n[env]\nROCKSDB_LIB_DIR = "%s"\nROCKSDB_STATIC = "1"' "$library")"
    if [ -e .cargo/config.toml ] && ! grep -q 'ROCKSDB_LIB_DIR' .cargo/config.toml; then
        say "leaving your .cargo/config.toml as it is; for a quick build add to it: ${wanted#*$'\n'}"
    elif [ "$(cat .cargo/config.toml 2>/dev/null)" != "$wanted" ]; then
        mkdir -p .cargo
        printf '%s\n' "$wanted" >.cargo/config.toml
    fi
}

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

purpose="${1:-test}"
case "$purpose" in build | test) ;; *) fail "usage: scripts/setup.sh [build|test]" ;; esac
packages="$(missing_packages "$purpose" | tr '\n' ' ')"
if [ -n "$packages" ]; then install_packages "${packages% }"; fi
ensure_rust
ensure_rocksdb
echo "set-up: $(rustc --version), $(c++ --version | head -n 1)"
