# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# foreign.sh - images of file systems and partition tables made, filled and checked by programs that know
# nothing of CoreMnt. Source lib.sh first. A program that is missing ends the script: nothing is skipped.

PATH=$PATH:/usr/sbin:/sbin # where Debian keeps them
export MTOOLS_SKIP_CHECK=1

# foreign_run COMMAND...: quiet, unless it fails.
foreign_run() {
    "$@" >foreign.log 2>&1 || fail "\"$*\": $(cat foreign.log)"
}

# The kinds, each with its size in MiB: what the smallest or usual one is.
# shellcheck disable=SC2034 # used by the scripts
foreign_kinds='fat12:4 fat16:32 fat32:64 exfat:32 ntfs:32 ext4:32'

# foreign_make KIND IMAGE MIB
foreign_make() {
    local kind=$1 image=$2 mib=$3
    rm -f "$image"
    truncate -s "${mib}M" "$image"
    case $kind in
    fat*) foreign_run mkfs.fat -F "${kind#fat}" -n FOREIGN "$image" ;;
    exfat) foreign_run mkfs.exfat -L FOREIGN "$image" ;;
    ntfs) foreign_run mkntfs -F -Q -q -L FOREIGN -s 512 -p 0 -H 255 -S 63 "$image" ;;
    ext4) foreign_run mke2fs -q -F -t ext4 -L FOREIGN -d files "$image" ;;
    *) fail "no kind of file system: $kind" ;;
    esac
}

# foreign_fill KIND IMAGE FILE: put one file into it, where a program can without mounting; ext4 was filled
# when it was made, and nothing fills exFAT.
foreign_fill() {
    case $1 in
    fat*) foreign_run mcopy -i "$2" "$3" ::/ ;;
    ntfs) foreign_run ntfscp -f "$2" "$3" "$(basename "$3")" ;;
    esac
}

# foreign_check KIND IMAGE: it is clean.
foreign_check() {
    case $1 in
    fat*) foreign_run fsck.fat -n "$2" ;;
    exfat) foreign_run fsck.exfat -n "$2" ;;
    ntfs) foreign_run ntfsfix -n "$2" ;;
    ext4) foreign_run e2fsck -f -n "$2" ;;
    esac
}
