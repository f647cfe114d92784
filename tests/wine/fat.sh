# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# fat.sh - FAT images made, filled and checked by programs that know nothing of CoreMnt (dosfstools and
# mtools), for the demo and the tests. Source lib.sh first.

PATH=$PATH:/usr/sbin:/sbin # where Debian keeps mkfs.fat and fsck.fat
export MTOOLS_SKIP_CHECK=1

# fat_make IMAGE MIB: a new FAT16 image.
fat_make() {
    mkfs.fat -F 16 -n COREMNT -C "$1" "$(($2 * 1024))" >/dev/null || fail "mkfs.fat made no image"
}

# fat_put IMAGE FILE...: copy files into the root folder.
fat_put() {
    local image=$1
    shift
    mcopy -i "$image" "$@" ::/ || fail "mcopy put no file into $image"
}

# fat_get IMAGE NAME FILE
fat_get() {
    rm -f "$3"
    mcopy -i "$1" "::/$2" "$3" || fail "mcopy read no $2 from $1"
}

fat_check() {
    fsck.fat -n "$1" >"$1.fsck" 2>&1 || fail "fsck.fat says of $1: $(cat "$1.fsck")"
    rm -f "$1.fsck"
}

# fat_offset IMAGE NAME: where in the image, in bytes, the file lies; it must lie in one piece.
fat_offset() {
    local clusters first
    clusters=$(mshowfat -i "$1" "::/$2") || fail "$1 has no file $2"
    case $clusters in
    *' '*' '* | *'> '* | *,*) fail "$2 lies in several pieces: $clusters" ;;
    esac
    first=$(printf '%s\n' "$clusters" | sed -n 's/.*<\([0-9]*\).*/\1/p')
    [ -n "$first" ] || fail "mshowfat said: $clusters"
    # reserved sectors, the FATs, the root folder (32 bytes an entry), then the clusters from number 2
    minfo -i "$1" :: | awk -v first="$first" -F': ' '
        $1 == "sector size" { sector = $2 + 0 }
        $1 == "cluster size" { cluster = $2 + 0 }
        $1 == "reserved (boot) sectors" { reserved = $2 + 0 }
        $1 == "fats" { fats = $2 + 0 }
        $1 == "sectors per fat" { fat = $2 + 0 }
        $1 == "max available root directory slots" { root = $2 * 32 / sector }
        END { print (reserved + fats * fat + root + (first - 2) * cluster) * sector }'
}
