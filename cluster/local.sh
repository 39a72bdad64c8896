#!/bin/bash
# A Ray cluster of three nodes on this machine, to try what a real one does. It asks for a token;
# as any that `ray start` makes, it listens on all interfaces.
#   address=$(cluster/local.sh start)
#   dmtsearch cluster check search_spaces/demo.yaml --address "$address"
#   cluster/local.sh stop
# NODES, CPUS (of each node) and DMTSEARCH_LOCAL (a folder for its files) may be set.
set -euo pipefail

nodes=${NODES:-3}
cpus=${CPUS:-1}
folder=${DMTSEARCH_LOCAL:-${TMPDIR:-/tmp}/dmtsearch-local-$(id -u)}
pids=$folder/pids
export RAY_AUTH_MODE=token
export RAY_USAGE_STATS_ENABLED=0
export RAY_gcs_server_port_wait_time_s=120

# When a living process was started: its number alone may be another's by now.
started() {
    if [ -r /proc/self/stat ]; then # its name, which may hold spaces; state; ticks after boot
        sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }' || true
    else
        ps -o lstart= -p "$1" 2>/dev/null || true
    fi
}

# Wait until so many nodes are there; fails where the process that starts the last one has ended.
await() {
    python - "$@" <<'PYTHON'
import os
import socket
import sys
import time

from ray._raylet import GcsClient

address, wanted, pid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
host, port = address.split(":")
while True:
    os.kill(pid, 0)
    try:
        socket.create_connection((host, int(port)), timeout=1).close()  # Ray's client would wait
        nodes = GcsClient(address=address).get_all_node_info(timeout=5).values()
        if sum(node.state == 0 for node in nodes) >= wanted:
            break
    except Exception:
        pass  # the head is not there yet
    time.sleep(0.5)
PYTHON
}

# The node of this number: one `ray start --block`, in a session of its own; it ends its children
# when it is ended. Ray gives a node 30 seconds, which are too few on a busy machine.
launch() {
    local address=$1 number=$2 log pid
    shift 2
    log=$folder/node$number.log
    for _ in 1 2 3; do
        setsid ray start --block --num-cpus="$cpus" --object-store-memory=100000000 "$@" \
            >"$log" 2>&1 </dev/null &
        pid=$!
        echo "$pid $(started "$pid")" >>"$pids"
        if await "$address" "$number" "$pid" 2>/dev/null; then return; fi
    done
    echo "node $number did not start; look at $log" >&2
    end
    exit 1
}

start() {
    if [ -e "$pids" ]; then
        echo "there is a cluster already: cluster/local.sh stop" >&2
        exit 1
    fi
    mkdir -p "$folder"
    [ -f "${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}" ] || [ -n "${RAY_AUTH_TOKEN:-}" ] ||
        ray get-auth-token --generate >/dev/null 2>&1
    local port address
    port=$(python -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
    address=127.0.0.1:$port
    launch "$address" 1 --head --port="$port" --include-dashboard=false --temp-dir="$folder/ray"
    for number in $(seq 2 "$nodes"); do
        launch "$address" "$number" --address="$address" --labels="node=$number"
    done
    echo "$address"
}

end() {
    [ -e "$pids" ] || return 0
    local pid when
    while read -r pid when; do
        [ "$(started "$pid")" = "$when" ] && kill -TERM "$pid"
    done < <(tac "$pids")
    while read -r pid when; do
        for _ in $(seq 30); do
            [ "$(started "$pid")" = "$when" ] || break
            sleep 1
        done
        if [ "$(started "$pid")" = "$when" ]; then kill -KILL "$pid"; fi
    done <"$pids"
    rm -f "$pids"
}

case ${1:-} in
    start) start ;;
    stop) end && rm -rf "$folder" ;;
    *)
        echo "usage: cluster/local.sh start|stop" >&2
        exit 2
        ;;
esac
