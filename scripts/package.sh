#!/usr/bin/env bash
# Packs the program with its model and the demo library: an archive, and a package for Debian where dpkg-deb is at hand.
#
#   scripts/package.sh [--profile dev] [DIRECTORY]    DIRECTORY receives them; target/package unless given
#
# Whoever gets them compiles nothing. The archive is unpacked anywhere and run from there; the package puts the program into
# /usr/bin and the rest into /usr/share/moiety. Both need a C++ runtime and a C library no older than those of the machine that
# packed them; the last lines say which. Packing builds for release, which compiles every dependency once more; with
# `--profile dev` it packs the program that scripts/demo.sh and the tests have built.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

profile=release directory="$target/package"
while [ $# -gt 0 ]; do
    case "$1" in
    --profile) profile="${2:?--profile needs dev or release}" && shift 2 ;;
    -*) fail "usage: scripts/package.sh [--profile dev] [DIRECTORY]" ;;
    *) directory="$1" && shift ;;
    esac
done

version="$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)"
machine="$(uname -m)"
name="moiety-$version-$machine-linux"

scripts/setup.sh build
cargo build --workspace --bin moiety --profile "$profile"
built="$target/$([ "$profile" = dev ] && echo debug || echo "$profile")/moiety"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

put_shared() {
    mkdir -p "$1/models" "$1/demo"
    cp -r models/moiety-mini "$1/models/"
    cp demo/*.jsonl demo/README.md "$1/demo/"
    cp README.md LICENSE NOTICE "$1/"
}

# The newest symbol version of the C library that the program asks for.
newest_glibc() { objdump -T "$1" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1 | cut -d_ -f2; }

mkdir -p "$directory" "$work/$name"
strip -o "$work/$name/moiety" "$built"
put_shared "$work/$name"
tar -C "$work" --owner=0 --group=0 --sort=name -czf "$directory/$name.tar.gz" "$name"
glibc="$(newest_glibc "$work/$name/moiety")"
made=("$directory/$name.tar.gz")

pack_deb() {
    local root="$work/deb" architecture
    architecture="$(dpkg --print-architecture)"
    mkdir -p "$root/DEBIAN" "$root/usr/bin" "$root/usr/share/doc/moiety"
    cp "$work/$name/moiety" "$root/usr/bin/"
    put_shared "$root/usr/share/moiety"
    mv "$root"/usr/share/moiety/{README.md,NOTICE} "$root/usr/share/doc/moiety/"
    mv "$root/usr/share/moiety/LICENSE" "$root/usr/share/doc/moiety/copyright"
    chmod -R u=rwX,go=rX "$root"
    cat >"$root/DEBIAN/control" <<CONTROL
Package: moiety
Version: $version
Architecture: $architecture
Maintainer: The Moiety authors <moiety@localhost>
Depends: libc6 (>= $glibc), libstdc++6, libgcc-s1
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Section: science
Priority: optional
Description: vector search database for molecules and texts
 Encodes molecules and texts with aligned encoders, keeps their embeddings at
 three levels in RocksDB with HNSW indexes, and answers over gRPC.
CONTROL
    dpkg-deb --root-owner-group -Zgzip --build "$root" "$directory/moiety_${version}_$architecture.deb" >/dev/null
    made+=("$directory/moiety_${version}_$architecture.deb")
}

if command -v dpkg-deb >/dev/null; then pack_deb; fi

say "packed, for machines with glibc $glibc or later and libstdc++:"
du -h "${made[@]}"
