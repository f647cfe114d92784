# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Random verified I/O from eight threads while the disk's server is killed twenty times and another one takes
# over: no request fails, no byte is wrong, and the image is what was written. CM_SEED makes a run again, as
# far as timing can be made again.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

kills=20
size=$((16 * 1024 * 1024))

RANDOM=${CM_SEED:-$$}
export CM_SEED=${CM_SEED:-$RANDOM$RANDOM}
RANDOM=$((CM_SEED % 32768))
say "CM_SEED=$CM_SEED"

random_file disk.img "$size"
cp disk.img model
mount_disk disk.img Z: --hold 60
win_background load tests/wine/load.exe '\\.\Z:' model stop
load=$win_pid
win_expect load running

start=$SECONDS
for ((i = 1; i <= kills; i++)); do
    sleep "0.$((RANDOM % 5 + 1))"
    kill -0 "$load" 2>/dev/null || fail "the load ended: $(cat load.out)"
    kill -KILL "$server"
    wait "$server" 2>/dev/null || true
    [ $((i % 4)) -ne 0 ] || sleep 0.5 # mostly at once: attach has to wait for the end of the other
    win_background server cli/coremnt.exe attach Z:
    server=$win_pid
    win_expect server 'is attached to'
done
sleep 0.5
touch stop
result=0
win_wait "$load" 20 || result=$?
say "$kills kills in $((SECONDS - start)) s:"
tr -d '\r' <load.out | grep -v running
expect_success coremnt stats Z: --json
again=$(jq .handed_out_again <out)
say "$again requests were handed out again, $(jq .requests <out) requests in all," \
    "$(jq .failed <out) failed, $(jq .cancelled <out) cancelled"
expect_equal 'exit code of the load' "$result" 0
expect_equal 'servers that took over' "$(jq .attaches <out)" "$kills"
expect_equal 'requests that failed' "$(jq .failed <out)" 0
expect_equal 'requests that were cancelled' "$(jq .cancelled <out)" 0
[ "$again" -gt 0 ] || fail 'no kill met a request that was with the server: this shows nothing'
unmount_disk Z:
cmp model disk.img || fail 'the image is not what was written'
