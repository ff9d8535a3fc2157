#!/usr/bin/env bash
# Compiles RocksDB once a machine, in minutes, and prints the directory that holds librocksdb.a.
#
#   scripts/rocksdb.sh [--check]    --check: only say whether the library is there
#
# The sources are those of the crate librocksdb-sys that Cargo.lock names, with the crate's own flags. Most of the time that a
# file of RocksDB takes is spent on reading headers, so files of one folder are compiled as one unit, some fifty at a time. A
# unit that does not compile is compiled file by file. The library lies in the user's cache, under a name made of everything
# that went into it; scripts/setup.sh makes cargo use it (ROCKSDB_LIB_DIR). Without it, cargo compiles RocksDB itself.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

files_per_unit=48

version_of() { sed -n "/^name = \"$1\"\$/{n;s/version = \"\(.*\)\"/\1/p}" Cargo.lock; }

source_of() {
    local found=("${CARGO_HOME:-${HOME:-/root}/.cargo}"/registry/src/*/"$1-$(version_of "$1")")
    [ -d "${found[0]}" ] || cargo fetch --locked --quiet >&2
    found=("${CARGO_HOME:-${HOME:-/root}/.cargo}"/registry/src/*/"$1-$(version_of "$1")")
    [ -d "${found[0]}" ] || fail "the sources of $1 are not in cargo's registry, and cargo fetch did not bring them"
    echo "${found[0]}"
}

[ "$(uname -s)" = Linux ] || fail "this script knows Linux alone; cargo compiles RocksDB on other systems"
crate="$(source_of librocksdb-sys)"
lz4="$(source_of lz4-sys)/liblz4"
# clang takes three quarters of the time that GCC takes.
compiler="${CXX:-$(command -v clang++ || command -v c++)}" || fail "no C++ compiler: run scripts/setup.sh build"

flags=(-O2 -std=c++20 -fPIC -ffunction-sections -fdata-sections -fno-omit-frame-pointer -w -include cstdint
    -DLZ4=1 -DNDEBUG=1 -DHAVE_ALIGNED_NEW -DHAVE_UINT128_EXTENSION -DOS_LINUX -DROCKSDB_PLATFORM_POSIX -DROCKSDB_LIB_IO_POSIX
    -DROCKSDB_SCHED_GETCPU_PRESENT -DROCKSDB_AUXV_GETAUXVAL_PRESENT -DROCKSDB_FALLOCATE_PRESENT -DROCKSDB_RANGESYNC_PRESENT)
case "$(uname -m)" in
x86_64) flags+=(-msse2) ;;
aarch64) flags+=(-march=armv8-a+crc+aes+crypto) ;;
esac

key="$({ basename "$crate" "$lz4"; "$compiler" --version; echo "${flags[@]}" "$files_per_unit"; } | sha256sum | cut -c1-12)"
cache="${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/moiety"
# Where the home directory cannot be written, the library lies with what cargo builds.
mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || cache="$target/rocksdb"
library="$cache/rocksdb-$(version_of librocksdb-sys | sed 's/.*+//')-$key"
if [ -e "$library/librocksdb.a" ]; then
    echo "$library"
    exit
fi
[ "${1:-}" != --check ] || exit 1

mkdir -p "$cache"
work="$(mktemp -d "$cache/rocksdb-XXXXXX")"
trap 'rm -rf "$work"' EXIT

# One file of `#include` lines a unit; a unit does not cross a folder of the first level.
write_units() {
    { grep -v '^util/build_version.cc$' "$crate/rocksdb_lib_sources.txt" | sed 's|^ *|rocksdb/|'; echo build_version.cc; } |
        awk -v most="$files_per_unit" -v work="$work" '
            { split($1, part, "/"); if (part[2] != folder || count == most) { unit++; count = 0; folder = part[2] }
              count++; printf "#include \"%s\"\n", $1 > sprintf("%s/unit%02d.cc", work, unit) }'
}

compile() { "$compiler" "${flags[@]}" -I"$crate" -I"$crate/rocksdb" -I"$crate/rocksdb/include" -I"$lz4/lib" -c "$1" -o "$2"; }

compile_unit() {
    local unit="${1%.cc}" number=0 include
    if compile "$1" "$unit.o" 2>"$unit.log"; then return; fi
    echo "$(basename "$unit") does not compile as one, so its files are compiled one by one:" >&2
    grep -m 3 -E 'error' "$unit.log" >&2 || true
    while read -r include; do
        number=$((number + 1))
        echo "$include" >"$unit-$number.inc.cpp"
        compile "$unit-$number.inc.cpp" "$unit-$number.o"
    done <"$1"
}

started=$SECONDS
write_units
units=("$work"/unit*.cc)
say "compiling RocksDB $(version_of librocksdb-sys | sed 's/.*+//') in ${#units[@]} units with $("$compiler" --version | head -n 1)" >&2
export -f compile compile_unit
export compiler crate lz4
declare -p flags >"$work/flags.sh"
export work
# Units of many files first, so that the last ones to run are short.
wc -l "${units[@]}" | sort -rn | awk '$2 ~ /unit/ { print $2 }' |
    xargs -P "$(nproc)" -I{} bash -euc 'source "$work/flags.sh"; compile_unit {}' >&2
ar crs "$work/librocksdb.a" "$work"/unit*.o
mkdir -p "$library"
mv "$work/librocksdb.a" "$library/librocksdb.a"
say "RocksDB took $((SECONDS - started)) seconds and lies in $library" >&2
echo "$library"
