# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# partition-tools.sh COREMNT - partition tables made by sfdisk and sgdisk: `coremnt info --json` says what
# `sfdisk --json` says. Runs in an empty folder of its own.
set -euo pipefail

coremnt=$1
PATH=$PATH:/usr/sbin:/sbin # where Debian keeps them

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

for program in fdisk sfdisk sgdisk jq; do
    command -v "$program" >/dev/null || fail "$program is missing: run ./dev setup"
done

# new_image: 64 MiB of nothing.
new_image() {
    rm -f disk.img
    truncate -s 64M disk.img
}

# One line a partition: number, offset and size in bytes, type, name.
of_sfdisk() {
    sfdisk --json disk.img | jq -r '.partitiontable | .sectorsize as $s | .partitions[] |
        "\(.node | ltrimstr("disk.img")) \(.start * $s) \(.size * $s) \(.type | ascii_upcase) \(.name // "")"'
}

of_coremnt() {
    "$coremnt" info --json disk.img | jq -r '.partition_table.partitions[] |
        "\(.number) \(.offset) \(.size) \(.type_id | sub("^0x0?"; "")) \(.name)"'
}

# expect_same WHAT: both list the same.
expect_same() {
    of_sfdisk >expected.txt
    of_coremnt >actual.txt
    [ -s expected.txt ] || fail "$1: sfdisk lists nothing"
    diff -u expected.txt actual.txt || fail "$1: coremnt lists other partitions than sfdisk"
}

# expect_field NAME VALUE: of partition_table in the JSON.
expect_field() {
    local value
    value=$("$coremnt" info --json disk.img | jq -r ".partition_table.$1")
    [ "$value" = "$2" ] || fail "$1 is $value instead of $2"
}

new_image
printf 'label: dos\n2048,8M,c,*\n,8M,7\n,4M,ef\n' | sfdisk -q disk.img
expect_same MBR
expect_field kind mbr
expect_field 'partitions[0].bootable' true

new_image
printf 'label: dos\n2048,8M,c\n,40M,f\n,4M,83\n,4M,82\n,4M,7\n,4M,b\n' | sfdisk -q disk.img
expect_same 'logical drives'
sfdisk -q --delete disk.img 6
expect_same 'logical drives, one deleted'

new_image
sgdisk -n 1:0:+8M -t 1:ef00 -c 1:'EFI system' -n 3:0:+16M -c 3:'Größe 漢字' -t 3:0700 -n 128:0:0 disk.img >/dev/null
expect_same GPT
expect_field kind gpt
expect_field primary_damaged false
expect_field backup_damaged false

of_sfdisk >whole.txt
dd if=/dev/zero of=disk.img bs=512 seek=1 count=1 conv=notrunc status=none
of_coremnt >actual.txt
diff -u whole.txt actual.txt || fail 'the backup table was not read'
expect_field primary_damaged true

new_image
sgdisk -S 512 -n 1:0:+1M -n 300:0:+1M disk.img >/dev/null
expect_same 'GPT with 512 entries'

new_image
sgdisk -n 1:2048:+8M -n 2:0:+8M --hybrid 2 disk.img >/dev/null
expect_field hybrid true
expect_field 'partitions | length' 2

# sfdisk knows sectors of 512 bytes only for files; fdisk is told.
new_image
printf 'g\nn\n1\n256\n+8M\nn\n2\n\n+16M\nw\n' | fdisk -b 4096 disk.img >fdisk.log 2>&1 ||
    fail "fdisk: $(cat fdisk.log)"
fdisk -b 4096 -l -o Start,Sectors disk.img | awk '/^ *[0-9]+ +[0-9]+$/ { print $1 * 4096, $2 * 4096 }' >expected.txt
"$coremnt" info --json disk.img | jq -r '.partition_table.partitions[] | "\(.offset) \(.size)"' >actual.txt
[ -s expected.txt ] || fail 'fdisk lists nothing'
diff -u expected.txt actual.txt || fail 'GPT with 4096-byte sectors'
expect_field sector_size 4096

echo 'all as sfdisk says'
