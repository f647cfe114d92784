# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# random.sh - the same random program run by qemu-io and by us, each on its own file; then a second one, each on the file
# of the other: all are the same disk.
# shellcheck source=tests/interop/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need qemu-img qemu-io jq

# QEMU has a check of VHDX, and none of VHD.
check_there() {
    [ "$1" != vhdx ] || logged qemu-img check -f vhdx "$2"
}

# one_round EXTENSION QEMU_FORMAT QEMU_OPTIONS BLOCK SEED
one_round() {
    local extension=$1 format=$2 options=$3 block=$4 seed=$5 size=$((60 * MIB)) file
    random_program "$seed" $size 120 300000 >first.program
    random_program $((seed + 1000)) $size 60 300000 >second.program
    cat first.program second.program >both.program
    expected $size both.program

    rm -f theirs."$extension" ours."$extension"
    logged qemu-img create -f "$format" -o "$options" theirs."$extension" $size
    logged "$coremnt" create ours."$extension" --size $size --block-size "$block"
    theirs "$format" theirs."$extension" first.program
    ours ours."$extension" first.program
    logged qemu-img compare -f "$format" -F "$format" theirs."$extension" ours."$extension"
    ours theirs."$extension" second.program
    theirs "$format" ours."$extension" second.program
    for file in theirs."$extension" ours."$extension"; do
        check_there "$extension" "$file"
        sound "$file"
        same_there "$format" "$file"
        same_here "$file"
    done
}

seed=$(a_seed)
one_round vhdx vhdx block_size=1M 1M "$seed"
one_round vhdx vhdx block_size=4M 4M $((seed + 1))
one_round vhd vpc force_size 2M $((seed + 2))

echo 'the same disk, whoever wrote it'
