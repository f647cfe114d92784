# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# dirty.sh - VHDX images that nobody closed: of a writer that was killed at any moment, and a copy made in the middle of a
# session. Read-only we show what was written and leave the file alone; QEMU shows the same after it has replayed the log.
# shellcheck source=tests/interop/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need qemu-img qemu-io jq sha256sum

size=$((60 * MIB))

# is_read IMAGE PROGRAM: dirty as it is, by us and without a change; then by QEMU, and by us as a writer.
is_read() {
    local image=$1 before
    expected $size "$2"
    before=$(sha256sum "$image")
    info_says "$image" dirty true
    same_here "$image"
    [ "$(sha256sum "$image")" = "$before" ] || fail "reading $image changed it"
    cp --sparse=always "$image" replayed.vhdx
    qemu-img check -f vhdx -r all replayed.vhdx >step.log 2>&1 || fail "qemu-img check -r all: $(cat step.log)"
    same_there vhdx replayed.vhdx
    cp --sparse=always "$image" replayed.vhdx
    printf 'flush\nwrite -P 9 0 512\nwrite -z 0 512\n' >touch.program
    ours replayed.vhdx touch.program # opened for writing: the log is applied
    printf 'write -z 0 512\n' >>"$2"
    expected $size "$2"
    info_says replayed.vhdx dirty false
    logged qemu-img check -f vhdx replayed.vhdx
    same_there vhdx replayed.vhdx
    sound replayed.vhdx
}

# Killed at its own wish, right after a flush: the log is not empty.
rm -f disk.vhdx
logged "$coremnt" create disk.vhdx --size $size --block-size 1M
edges $size $MIB >all.program
cp all.program dying.program
echo die >>dying.program
if "$imageio" disk.vhdx <dying.program >ours.log 2>&1; then
    fail 'it was to die'
fi
is_read disk.vhdx all.program

# A copy of the file while a session is open, nothing being written: what was flushed is in it.
rm -f disk.vhdx copy.vhdx
logged "$coremnt" create disk.vhdx --size $size --block-size 1M
mkfifo pipe
"$imageio" disk.vhdx <pipe >acknowledged 2>ours.log &
writer=$!
exec 3>pipe
edges $size $MIB >all.program
cat all.program >&3
for _ in $(seq 100); do
    [ "$(wc -l <acknowledged)" -lt "$(wc -l <all.program)" ] || break
    sleep 0.05
done
cp --sparse=always disk.vhdx copy.vhdx
exec 3>&-
wait $writer || fail "the writer: $(cat ours.log)"
is_read copy.vhdx all.program
info_says disk.vhdx dirty false

# Killed from outside, in the middle of whatever it does. What it had answered is there, flushed or not; of the write that
# was under way any part may be, so its range is made zeros on both sides.
seed=$(a_seed)
for round in 1 2 3; do
    rm -f disk.vhdx
    logged "$coremnt" create disk.vhdx --size $size --block-size 1M
    random_program $((seed + round)) $size 20000 65536 >endless.program
    "$imageio" disk.vhdx <endless.program >acknowledged 2>ours.log &
    writer=$!
    sleep "0.$((2 + round))"
    kill -KILL $writer 2>/dev/null || fail "the writer ended by itself: $(cat ours.log)"
    wait $writer 2>/dev/null || true
    count=$(tail -n 1 acknowledged)
    [ "${count:-0}" -gt 10 ] || fail "killed before it had done anything: ${count:-0} writes"
    head -n "$count" endless.program >all.program
    sed -n "$((count + 1))p" endless.program |
        sed -E 's/^write.* ([0-9]+ [0-9]+)$/write -z \1/' >mask.program
    cat mask.program >>all.program
    expected $size all.program
    rm -f actual.raw
    logged "$coremnt" convert -q disk.vhdx raw:actual.raw
    theirs raw actual.raw mask.program
    logged qemu-img compare -f raw -F raw expected.raw actual.raw
    qemu-img check -f vhdx -r all disk.vhdx >step.log 2>&1 || fail "qemu-img check -r all: $(cat step.log)"
    theirs vhdx disk.vhdx mask.program
    same_there vhdx disk.vhdx
    sound disk.vhdx
done

echo 'what was written is there'
