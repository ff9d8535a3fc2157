#!/usr/bin/env bash
# Measures the first day: README's first command in a Debian root that has nothing, from the clone to the demo's last answer.
#
#   scripts/clean_root.sh [--test] [--keep] [DIRECTORY]
#
# DIRECTORY (a new one below /var/tmp unless given) receives a root made by debootstrap, a clone of the commit that is checked out,
# and the log. The root has no compiler, no Rust, no cache: README's commands install and build all of it. With --test it runs the
# second command, scripts/test.sh, too. The root is removed at the end unless --keep is given.
#
# It needs root rights, a network for Debian's and Rust's packages, and some 8 GiB. It is run by hand, because continuous
# integration keeps a cache on purpose; run it before a release and whenever scripts/setup.sh or a dependency changes.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

suite=bookworm mirror=http://deb.debian.org/debian
commands=(scripts/demo.sh) keep=false directory=
while [ $# -gt 0 ]; do
    case "$1" in
    --test) commands+=(scripts/test.sh) ;;
    --keep) keep=true ;;
    -*) fail "usage: scripts/clean_root.sh [--test] [--keep] [DIRECTORY]" ;;
    *) directory="$1" ;;
    esac
    shift
done
[ "$(id -u)" -eq 0 ] || fail "debootstrap and chroot need root rights: sudo scripts/clean_root.sh"
command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
directory="${directory:-$(mktemp -d /var/tmp/moiety-root-XXXXXX)}"
root="$directory/root" log="$directory/first-day.log"

clean_up() {
    umount "$root/proc" "$root/dev" 2>/dev/null || true
    if ! $keep && ! mountpoint -q "$root/dev" && ! mountpoint -q "$root/proc"; then rm -rf "$root"; fi
}
trap clean_up EXIT

say "a root of Debian $suite in $root"
mkdir -p "$root"
# git is what a user has who has cloned.
debootstrap --variant=minbase --include=git,ca-certificates "$suite" "$root" "$mirror" >"$directory/debootstrap.log" ||
    fail "debootstrap failed; see $directory/debootstrap.log"
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
cp /etc/resolv.conf "$root/etc/resolv.conf"
# Certificates that this machine trusts, where its network needs them.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
git clone --quiet --no-hardlinks "file://$PWD" "$root/root/moiety"

for command in "${commands[@]}"; do
    say "$command in the root, log in $log"
    started=$SECONDS
    env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
        chroot "$root" bash -c "cd /root/moiety && time $command" </dev/null 2>&1 | tee -a "$log" |
        grep --line-buffered -E '^(==|set-up|real|user|loaded|»|moiety:|[0-9]+ (of|passed))' || fail "$command failed; see $log"
    say "$command: $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s on $(nproc) cores" | tee -a "$log"
done
du -sh "$root/root/moiety/target" "$root/root/.cache" | tee -a "$log"
