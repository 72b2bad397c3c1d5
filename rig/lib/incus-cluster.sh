# Two Incus daemons as one cluster on this machine: each in a network namespace and under a host name of its own, a
# bridge in a third between them, and a client that trusts them over TLS. Apart from the Incus that incus.sh brings up.
# shellcheck shell=bash disable=SC2154

OUR_CLUSTER=$STATE/incus-cluster
CLUSTER_CLIENT=$OUR_CLUSTER/client      # INCUS_CONF of the client
CLUSTER_REMOTE=cagematch-cluster
CLUSTER_MEMBERS=(m1 m2)
CLUSTER_LAN=cagematch-lan               # the bridge's own namespace: no firewall rule of the host is in it
CLUSTER_LINK=cagematch-lan0             # this host's end, an address of its own on the bridge
CLUSTER_NET=169.254.79                  # link-local: nobody routes it

cluster_up() {
  cluster_network
  local at
  for at in "${!CLUSTER_MEMBERS[@]}"; do cluster_member_up "$at"; done
  cluster_form
  cluster_client
  set_env CAGEMATCH_RIG_CLUSTER "$CLUSTER_CLIENT"
}

cluster_address() { echo "$CLUSTER_NET.$(( $1 + 1 ))"; }           # AT
cluster_dir() { echo "$OUR_CLUSTER/$1"; }                          # MEMBER
cluster_netns() { echo "cagematch-$1"; }                           # MEMBER

cluster_network() {
  netns_up "$CLUSTER_LAN"
  if ! ip -n "$CLUSTER_LAN" link show lan >/dev/null 2>&1; then
    ip -n "$CLUSTER_LAN" link add lan type bridge
    ip -n "$CLUSTER_LAN" link set lan up
  fi
  if ! ip link show "$CLUSTER_LINK" >/dev/null 2>&1; then
    ip link add "$CLUSTER_LINK" type veth peer name host netns "$CLUSTER_LAN"
    ip -n "$CLUSTER_LAN" link set host master lan up
    ip addr add "$CLUSTER_NET.254/24" dev "$CLUSTER_LINK"
    ip link set "$CLUSTER_LINK" up
    change "link $CLUSTER_LINK, $CLUSTER_NET.254/24"
  fi
  local at name netns
  for at in "${!CLUSTER_MEMBERS[@]}"; do
    name=${CLUSTER_MEMBERS[$at]} netns=$(cluster_netns "${CLUSTER_MEMBERS[$at]}")
    netns_up "$netns"
    if ! ip -n "$netns" link show eth0 >/dev/null 2>&1; then
      ip -n "$CLUSTER_LAN" link add "$name" type veth peer name eth0 netns "$netns"
      ip -n "$CLUSTER_LAN" link set "$name" master lan
      ip -n "$netns" addr add "$(cluster_address "$at")/24" dev eth0
      ip -n "$netns" link set eth0 up
    fi
    # a test may have cut it
    ip -n "$CLUSTER_LAN" link set "$name" up
  done
}

netns_up() { # NAME
  if ! ip netns list | awk '{ print $1 }' | grep -qx "$1"; then ip netns add "$1"; change "network namespace $1"; fi
  ip -n "$1" link set lo up
}

cluster_member_up() { # AT
  local name=${CLUSTER_MEMBERS[$1]} dir pids
  dir=$(cluster_dir "$name")
  cluster_member_answers "$name" && return
  mapfile -t pids < <(incus_daemon_pids "$dir")
  stop_pids 10 "${pids[@]}"
  mkdir -p "$dir"; rm -f "$dir/unix.socket"
  # (`ip netns exec` would hide the cgroups behind a fresh /sys)
  detach "$STATE/log/incusd-$name.log" nsenter "--net=/run/netns/$(cluster_netns "$name")" unshare --uts \
    env INCUS_DIR="$dir" PATH="$(dirname "$(incusd)"):$PATH" \
    sh -c 'hostname "$0"; exec "$@"' "cagematch-$name" "$(incusd)" --group root
  wait_for 60 cluster_member_answers "$name" ||
    fail "member $name of the cluster did not come up in 60 s" "tail -20 $STATE/log/incusd-$name.log"
  change "incusd of cluster member $name started"
}

cluster_member_answers() { cluster_member "$1" query /1.0 </dev/null 2>/dev/null | grep '"auth": "trusted"' >/dev/null; }
cluster_member() { # MEMBER ARG…: the client, at that daemon's own socket
  local dir; dir=$(cluster_dir "$1"); shift
  env -u INCUS_SOCKET -u INCUS_REMOTE -u INCUS_CONF INCUS_DIR="$dir" timeout 120 incus "$@"
}
cluster() { # ARG…: the client from outside, as a user would have it
  env -u INCUS_SOCKET -u INCUS_DIR INCUS_CONF="$CLUSTER_CLIENT" INCUS_REMOTE="$CLUSTER_REMOTE" timeout 120 incus "$@"
}

cluster_form() { # what is joined stays joined, also over restarts
  local first=${CLUSTER_MEMBERS[0]} driver size='' at name token
  driver=$(pool_driver)
  [[ $driver != btrfs ]] || size=8GiB
  if ! cluster_is_clustered "$first"; then
    { printf 'config: { core.https_address: "%s:8443" }\n' "$(cluster_address 0)"
      printf 'storage_pools:\n- name: default\n  driver: %s\n' "$driver"
      [[ -z $size ]] || printf '  config: { size: %s }\n' "$size"
      printf 'profiles:\n- name: default\n  devices:\n    root: { type: disk, path: /, pool: default }\n'
      printf 'cluster: { enabled: true, server_name: %s }\n' "$first"; } |
      quietly cluster_member "$first" admin init --preseed || fail "incus refused to begin a cluster" "tail -20 $LOG"
    change "cluster begun by $first"
  fi
  for at in "${!CLUSTER_MEMBERS[@]}"; do
    name=${CLUSTER_MEMBERS[$at]}
    if cluster_is_clustered "$name"; then continue; fi
    token=$(cluster_member "$first" cluster add "$name" </dev/null 2>>"$LOG" | tail -1)
    { printf 'cluster:\n  enabled: true\n  server_address: "%s:8443"\n  cluster_token: "%s"\n' "$(cluster_address "$at")" "$token"
      [[ -z $size ]] || printf '  member_config:\n  - { entity: storage-pool, name: default, key: size, value: %s }\n' "$size"; } |
      cluster_member "$name" admin init --preseed >>"$LOG" 2>&1 || fail "$name could not join the cluster" "tail -20 $LOG"
    change "cluster member $name joined"
  done
}

cluster_is_clustered() { cluster_member "$1" query /1.0 </dev/null 2>/dev/null | grep '"server_clustered": true' >/dev/null; }

cluster_client() { # a client with no socket, only a certificate
  cluster_answers && return
  rm -rf "$CLUSTER_CLIENT"; mkdir -p "$CLUSTER_CLIENT"
  local token name=cagematch-rig
  cluster_member "${CLUSTER_MEMBERS[0]}" config trust list --format csv -c fn </dev/null 2>>"$LOG" |
    awk -F, -v name="$name" '$2 == name || $1 == name { print $1 }' | while read -r token; do
      quietly cluster_member "${CLUSTER_MEMBERS[0]}" config trust remove "$token" </dev/null || true
    done
  token=$(cluster_member "${CLUSTER_MEMBERS[0]}" config trust add "$name" </dev/null 2>>"$LOG" | tail -1)
  quietly env -u INCUS_SOCKET -u INCUS_DIR INCUS_CONF="$CLUSTER_CLIENT" timeout 60 incus remote add "$CLUSTER_REMOTE" "$token" </dev/null ||
    fail "the client could not be told of the cluster" "tail -20 $LOG"
  change "remote $CLUSTER_REMOTE in $CLUSTER_CLIENT"
}

# (without settings the client knows no remote, and asks the daemon of this machine instead)
cluster_answers() { grep -qs "$CLUSTER_REMOTE:" "$CLUSTER_CLIENT/config.yml" && cluster query /1.0 </dev/null 2>/dev/null | grep '"auth": "trusted"' >/dev/null; }

# A member that has just come up is listed as online before it answers the others.
cluster_all_answer() { local name; for name in "${CLUSTER_MEMBERS[@]}"; do cluster query "/1.0/resources?target=$name" </dev/null >/dev/null 2>&1 || return 1; done; }
cluster_all_online() { [[ $(cluster cluster list --format csv -c s </dev/null 2>/dev/null | grep -c '^ONLINE$') == "${#CLUSTER_MEMBERS[@]}" ]]; }

cluster_import() {
  { wait_for 30 cluster_all_online && wait_for 30 cluster_all_answer; } || fail "not every member of the cluster is online" "INCUS_CONF=$CLUSTER_CLIENT incus cluster list $CLUSTER_REMOTE:"
  if [[ $(cluster image list cagematch-base --format json </dev/null | image_recipe) != "$RECIPE" ]]; then
    quietly cluster image delete cagematch-base </dev/null || true
    quietly cluster image import "$IMAGE_DIR/meta.tar" "$IMAGE_DIR/rootfs.tar" --alias cagematch-base </dev/null ||
      fail "the cluster could not import the base image" "tail -5 $LOG"
    change "image cagematch-base in the cluster"
  fi
  local name trial=cagematch-rig-trial
  for name in "${CLUSTER_MEMBERS[@]}"; do
    cluster delete -f "$trial-$name" >/dev/null 2>&1 </dev/null || true
    quietly cluster launch cagematch-base "$trial-$name" --target "$name" </dev/null &&
      quietly wait_for 5 cluster exec "$trial-$name" -- grep -q 'lo:' /proc/net/dev ||
      fail "cluster member $name cannot run the base image" "tail -5 $LOG; tail -20 $STATE/log/incusd-$name.log"
    quietly cluster delete -f "$trial-$name" </dev/null
  done
}

cluster_down() { # [purge]
  local name netns
  for name in "${CLUSTER_MEMBERS[@]}"; do
    if [[ -n $(incus_daemon_pids "$(cluster_dir "$name")") ]]; then
      quietly timeout 20 env -u INCUS_SOCKET -u INCUS_REMOTE -u INCUS_CONF INCUS_DIR="$(cluster_dir "$name")" incus admin shutdown --timeout 10 </dev/null || true
      change "cluster member $name stopped"
    fi
    incus_end "$(cluster_dir "$name")"
  done
  for netns in "${CLUSTER_MEMBERS[@]/#/cagematch-}" "$CLUSTER_LAN"; do
    ip netns delete "$netns" 2>>"$LOG" || true
  done
  ip link delete "$CLUSTER_LINK" 2>>"$LOG" || true
  [[ ${1:-} != purge ]] || rm -rf "$OUR_CLUSTER"
}
