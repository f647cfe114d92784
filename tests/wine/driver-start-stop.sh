# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Start and stop the idle driver many times: what DriverUnload leaves behind (a device, a link, a thread)
# shows as a failing start or a crash.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

rounds=50

driver_stop
for round in $(seq "$rounds"); do
    driver_start || fail "start $round"
    driver_stop || fail "stop $round"
    if driver_answers; then
        fail "after stop $round \\\\.\\CoreMnt can still be opened"
    fi
done
driver_start
say "$rounds starts and stops"
