#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# crash-qemu.sh - QEMU looks at files that power cuts left: at those that we have recovered, and at those that it
# recovers itself, which must hold the same. CTest calls it in a folder of its own; see docs/crash-safety.md.
#
#   crash-qemu.sh CRASH FILES FORMAT SUBJECT    FORMAT: of qemu-img
set -euo pipefail

crash=$1 files=$2 format=$3 subject=$4
folder=samples-$subject
count=0

fail() {
    printf 'crash-qemu: %s\n' "$*" >&2
    exit 1
}

# qemu DESCRIPTION COMMAND...: quiet unless it fails.
qemu() {
    local what=$1
    shift
    "$@" >qemu.log 2>&1 || {
        cat qemu.log >&2
        fail "$what: $*"
    }
}

# qemu-img knows no check of VHD.
check() {
    [ "$format" = vpc ] || qemu "$1" qemu-img check -f "$format" "${@:2}"
}

compare() {
    qemu "$1" qemu-img compare -f "$format" -F raw "$2" "$3"
}

command -v qemu-img >/dev/null || fail 'qemu-img is missing; ./dev setup installs it'
rm -rf "$folder"
mkdir "$folder"
"$crash" --files "$files" --samples "$folder" "$subject"

for content in "$folder"/*.raw; do
    name=${content%.raw}
    extension=$(basename "$name-recovered."*)
    extension=${extension##*.}
    check 'recovered by us' "$name-recovered.$extension"
    compare 'recovered by us, other content' "$name-recovered.$extension" "$content"
    if [ "$format" = vhdx ]; then
        check 'recovered by QEMU' -r all "$name-cut.$extension"
        compare 'recovered by QEMU, other content' "$name-cut.$extension" "$content"
    fi
    rm "$name"[-.]*
    count=$((count + 1))
done
[ "$count" -ge 3 ] || fail "only $count samples"
printf 'crash-qemu: %s files, QEMU reads what we read\n' "$count"
