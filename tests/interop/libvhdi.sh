# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# libvhdi.sh - our VHDX and VHD, read through vhdimount: of all kinds, with sectors of 4096 bytes, and differencing ones
# with two parents, which QEMU has not for VHDX. libvhdi finds a parent by its name in the folder of the child; it mounts
# the whole chain, the oldest as vhdi1.
# shellcheck source=tests/interop/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need qemu-img qemu-io jq vhdiinfo vhdimount fusermount

trap 'fusermount -uz mounted 2>/dev/null || true' EXIT
mkdir mounted

# same_mounted IMAGE NUMBER: what vhdimount shows as vhdiNUMBER is expected.raw.
same_mounted() {
    local attempt
    vhdimount "$1" mounted >step.log 2>&1 || fail "vhdimount $1: $(cat step.log)"
    [ -e "mounted/vhdi$2" ] || fail "vhdimount $1 shows no vhdi$2: $(ls mounted)"
    [ "$(stat -c %s "mounted/vhdi$2")" = "$(stat -c %s expected.raw)" ] || fail "$1 has another size"
    cmp "mounted/vhdi$2" expected.raw || fail "$1 is another disk for libvhdi"
    for attempt in $(seq 50); do # somebody may be looking at what has just been mounted
        ! fusermount -u mounted 2>/dev/null || return 0
        sleep 0.1
    done
    fail "vhdimount does not let go of $1 in $attempt attempts"
}

# vhdi_says IMAGE LABEL VALUE
vhdi_says() {
    local value
    value=$(vhdiinfo "$1" | sed -n "s/^\t$2\t*: //p")
    [ "$value" = "$3" ] || fail "vhdiinfo of $1: $2 is \"$value\" and not \"$3\""
}

# alone EXTENSION TYPE SIZE BLOCK OPTION...
alone() {
    local image=disk.$1 type=$2 size=$3 block=$4
    shift 4
    rm -f "$image"
    logged "$coremnt" create "$image" --size "$size" "$@"
    edges "$size" "$block" >all.program
    case " $* " in *' --sector-size 4096 '*) align_4096 all.program ;; esac
    ours "$image" all.program
    expected "$size" all.program
    vhdi_says "$image" 'Disk type' "$type"
    same_mounted "$image" 1
}

# Of a program, only what lies at whole 4 KiB. In children of VHD too: where bits of one byte of a VHD's bitmap differ,
# libvhdi 20210425 takes sectors of the parent for the child's.
align_4096() {
    awk 'NF < 3 || ($(NF - 1) % 4096 == 0 && $NF % 4096 == 0)' "$1" >aligned.program
    mv aligned.program "$1"
}

# child NAME PARENT SEED LONGEST: made, and written to; that is added to all.program.
child() {
    logged "$coremnt" create "$1" --parent "$2"
    random_program "$3" $((40 * MIB)) 60 "$4" >more.program
    case $1 in *.vhd) align_4096 more.program ;; esac
    ours "$1" more.program
    cat more.program >>all.program
    expected $((40 * MIB)) all.program
    vhdi_says "$1" 'Disk type' Differential
    sound "$1"
    same_here "$1"
}

# chain EXTENSION: a parent, a child and a grandchild, each with writes of its own that cut those of the others.
chain() {
    local extension=$1 size=$((40 * MIB))
    logged "$coremnt" create "first.$extension" --size $size
    random_program "$seed" $size 40 2000000 >all.program
    ours "first.$extension" all.program
    child "second.$extension" "first.$extension" $((seed + 1)) 200000
    same_mounted "second.$extension" 2
    child "third.$extension" "second.$extension" $((seed + 2)) 20000
    same_mounted "third.$extension" 3
}

seed=$(a_seed)
alone vhdx Dynamic $((40 * MIB)) $MIB --block-size 1M
alone vhdx Dynamic $((40 * MIB)) $((32 * MIB))
alone vhdx Fixed $((20 * MIB)) $((2 * MIB)) --fixed
alone vhdx Dynamic $((40 * MIB)) $((2 * MIB)) --block-size 2M --sector-size 4096
vhdi_says disk.vhdx 'Bytes per sector' '4096 bytes'
alone vhd Dynamic $((40 * MIB)) $((2 * MIB))
alone vhd Fixed $((20 * MIB)) $((2 * MIB)) --fixed
chain vhdx
chain vhd

echo 'the same disks for libvhdi'
