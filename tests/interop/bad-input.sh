# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# bad-input.sh COREMNT IMAGEIO NOSPACE - what can go wrong with a file under a running program, or was done to it by others:
# cut off, of a newer kind, changed parents, no space in the middle of an allocation, removed while it is open, no right to
# write. A clear sentence, a code that is not 0, and nothing lost. What a wrong command line does is in
# tests/unit/image-verbs.sh; which damages are found, in the unit tests of check.
# shellcheck source=tests/interop/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need qemu-img qemu-io jq setpriv python3
nospace=$3

# refused CODE PATTERN COMMAND...: this exit code, one sentence that matches.
refused() {
    local code=$1 pattern=$2 result=0
    shift 2
    "$@" >out 2>err </dev/null || result=$?
    [ "$result" -eq "$code" ] || fail "$*: exit code $result and not $code: $(cat out err)"
    [ "$(wc -l <err)" -eq 1 ] || fail "$*: not one sentence: $(cat err)"
    grep -Eq -- "$pattern" err || fail "$*: said \"$(cat err)\" and not $pattern"
}

# poke FILE OFFSET BYTES: as printf writes them.
poke() {
    # shellcheck disable=SC2059 # it is a format
    printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# made NAME [OPTION...]: an image of 40 MiB with the data of data.program.
made() {
    local image=$1
    shift
    rm -f "$image"
    logged "$coremnt" create "$image" --size $((40 * MIB)) "$@"
    ours "$image" data.program
}

edges $((40 * MIB)) $((2 * MIB)) >data.program
expected $((40 * MIB)) data.program

# -- cut off -------------------------------------------------------------------------------------------

cut_off() {
    local image=$1 size whole at
    shift
    made "$image" "$@"
    whole=$(stat -c %s "$image")
    # Behind what identifies it, in the headers, the tables, the BAT, a block, and the last byte.
    for size in 0 3 511 512 600 1500 70000 200000 1048576 3200000 $((whole / 2)) $((whole - 1)); do
        [ "$size" -lt "$whole" ] || continue
        head -c "$size" "$image" >"cut.${image##*.}"
        for at in "info cut.${image##*.}" "check cut.${image##*.}" "convert -q cut.${image##*.} raw:x.raw"; do
            # shellcheck disable=SC2086 # words
            result=0 && "$coremnt" $at >out 2>err </dev/null || result=$?
            case $result in
            0 | 1 | 2 | 7) ;;
            *) fail "$at of $size bytes: exit code $result: $(cat out err)" ;;
            esac
            [ "$result" -eq 0 ] || [ -s err ] || grep -q damaged out || fail "$at of $size bytes says nothing"
            rm -f x.raw
        done
        result=0 && "$coremnt" check "cut.${image##*.}" >out 2>err || result=$?
        [ "$result" -ne 0 ] || grep -Eq 'note|waste' out ||
            fail "check finds nothing wrong in $size of the $whole bytes of $image: $(cat out)"
    done
}

cut_off disk.vhdx --block-size 2M
cut_off disk.vhd
cut_off fixed.vhd --fixed

# -- of a newer kind -----------------------------------------------------------------------------------

# What has a checksum is changed by a few lines of Python: vhdx-poke.py FILE WHAT.
poked() {
    python3 "$(dirname "${BASH_SOURCE[0]}")/vhdx-poke.py" "$@"
}

newer() {
    local what=$1 pattern=$2
    made new.vhdx --block-size 2M
    poked new.vhdx "$what"
    refused 1 "new\.vhdx.*$pattern" "$coremnt" info new.vhdx
    refused 1 "new\.vhdx.*$pattern" "$imageio" new.vhdx
    refused 1 "new\.vhdx.*$pattern" "$coremnt" convert new.vhdx raw:x.raw
}

newer version 'version'
newer region 'region|newer'
newer metadata 'metadata|newer'
made old.vhdx --block-size 2M
poked old.vhdx optional-region # one that need not be known
same_here old.vhdx

# -- parents -------------------------------------------------------------------------------------------

changed_parents() {
    local kind=$1
    made "parent.$kind"
    rm -f "child.$kind"
    logged "$coremnt" create "child.$kind" --parent "parent.$kind"
    printf 'write -P 0x77 1M 65536\nflush\n' >child.program
    ours "child.$kind" child.program
    cp "parent.$kind" "kept.$kind"
    if [ "$kind" = vhdx ]; then # a VHD says of its parent who it is, and not what is in it
        printf 'write -P 0x78 30M 65536\nflush\n' >change.program
        ours "parent.$kind" change.program
        refused 7 "parent\.$kind.*was changed" "$coremnt" info "child.$kind"
    fi
    made "other.$kind"
    mv "other.$kind" "parent.$kind"
    refused 7 "parent\.$kind" "$coremnt" info "child.$kind"
    rm "parent.$kind"
    refused 3 "parent\.$kind" "$coremnt" info "child.$kind"
    mv "kept.$kind" "parent.$kind"
    same_child "$kind"
}

same_child() {
    cat data.program child.program >all.program
    expected $((40 * MIB)) all.program
    same_here "child.$1"
    expected $((40 * MIB)) data.program
}

changed_parents vhdx
changed_parents vhd

# -- no space ------------------------------------------------------------------------------------------

# full NAME LIMIT...: a program of writes that take new blocks, of which only some have room. It fails; what was flushed
# before is there, the image is sound, and goes on when there is room again.
full() {
    local image=$1 limit=$2 acknowledged
    rm -f "$image"
    logged "$coremnt" create "$image" --size $((40 * MIB)) --block-size 2M
    for at in $(seq 0 4 36); do printf 'write -f -P 0x44 %dM 1M\n' "$at"; done >fill.program
    case $limit in
    ulimit) # the file cannot get longer
        # shellcheck disable=SC2016 # for the inner shell
        bash -c 'trap "" XFSZ; ulimit -f 20480; exec "$1" "$2" <fill.program' - "$imageio" "$image" \
            >acknowledged 2>err && fail "$image: a full disk was not noticed"
        ;;
    preload) # it is longer already, and the block behind finds no room
        ASAN_OPTIONS=verify_asan_link_order=0 NOSPACE_FILE=$PWD/$image NOSPACE_FROM=$((20 * MIB)) LD_PRELOAD=$nospace \
            "$imageio" "$image" <fill.program >acknowledged 2>err && fail "$image: a full disk was not noticed"
        ;;
    esac
    acknowledged=$(wc -l <acknowledged)
    if [ "$acknowledged" -eq 0 ] || [ "$acknowledged" -ge 10 ]; then
        fail "$image: $acknowledged writes were answered: $(cat err)"
    fi
    grep -q 'no space left' err || fail "$image, $limit: $(cat err)"
    head -n "$acknowledged" fill.program >all.program
    sound_or_dirty "$image"
    sed "1,${acknowledged}d" fill.program >rest.program
    ours "$image" rest.program
    cat rest.program >>all.program
    expected $((40 * MIB)) all.program
    sound "$image"
    same_here "$image"
    expected $((40 * MIB)) data.program
}

# All of all.program reads as it must; the write that failed may have left some of its bytes, which nobody promised.
sound_or_dirty() {
    sed 's/^write -f/read/' all.program >read.program
    "$imageio" -r "$1" <read.program >out 2>err || fail "$1, read after it was full: $(cat err)"
    logged "$coremnt" check "$1"
}

for limit in ulimit preload; do
    full full.vhdx $limit
    full full.vhd $limit
done

# -- the file goes, or may not be written --------------------------------------------------------------

removed_while_open() {
    local image=$1
    made "$image"
    cp "$image" witness
    rm -f pipe
    mkfifo pipe
    "$imageio" "$image" <pipe >acknowledged 2>err &
    writer=$!
    exec 3>pipe
    printf 'write -P 1 0 4096\n' >&3
    for _ in $(seq 100); do
        [ ! -s acknowledged ] || break
        sleep 0.05
    done
    rm "$image"
    printf 'read -P 1 0 4096\nwrite -P 2 20M 4096\nflush\nread -P 2 20M 4096\n' >&3
    exec 3>&-
    wait $writer || fail "$image was removed while it was open: $(cat err)" # it is the writer's until it is closed
    refused 3 "$image" "$coremnt" info "$image"
}

removed_while_open gone.vhdx
removed_while_open gone.vhd

# Root may write to what nobody may.
unprivileged() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --bounding-set=-dac_override,-dac_read_search "$@"
    else
        "$@"
    fi
}

for image in locked.vhdx locked.vhd; do
    made $image
    chmod 444 $image
    before=$(sha256sum $image)
    refused 1 "$image.*(denied|rights)" unprivileged "$imageio" $image
    unprivileged "$imageio" -r $image </dev/null >out 2>err || fail "$image cannot be read: $(cat err)"
    refused 1 'failed: read-only' bash -c "echo 'write -P 1 0 512' | '$imageio' -r $image"
    [ "$(sha256sum $image)" = "$before" ] || fail "$image was changed"
done

echo 'all of it is said'
