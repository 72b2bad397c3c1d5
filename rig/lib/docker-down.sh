# What outlives dockerd and how it is cleared away: containers after a hard kill, mounts, bridges, firewall chains.
# shellcheck shell=bash

docker_kill_container() { # ID: the processes of one container of ours, whichever daemon has forgotten them
  local id=$1 pid pids=()
  pid=$(cat "$DOCKER_EXEC/containerd/daemon/io.containerd.runtime.v2.task/moby/$id/init.pid" 2>/dev/null || true)
  if [[ -n $pid ]] && grep -qs "$id" "/proc/$pid/cgroup"; then pids+=("$pid"); fi
  mapfile -t -O "${#pids[@]}" pids < <(our_pids runsc "/moby/$id"; our_pids containerd-shim-runc-v2 "$id")
  if (( ${#pids[@]} )); then kill -KILL "${pids[@]}" 2>/dev/null || true; wait_for 5 all_gone "${pids[@]}" || true; fi
}

docker_orphans() { # ids of containers that have processes
  { find "$DOCKER_EXEC/containerd/daemon/io.containerd.runtime.v2.task/moby" -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null || true
    local pid; for pid in $(our_pids containerd-shim-runc-v2 "$DOCKER_EXEC"); do
      tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -xE '[0-9a-f]{64}' || true; done; } | sort -u
}

docker_reap() { # while the daemon is up: only what it no longer knows
  local id known; known=$(dock ps -aq --no-trunc)
  for id in $(docker_orphans); do
    grep -q "$id" <<<"$known" || { detail "reaping the leftovers of container $id"; docker_kill_container "$id"; }
  done
}

docker_sweep() { # while the daemon is down: everything of ours, so that it starts on clean ground
  local id pids
  mapfile -t pids < <(our_pids dockerd "$DOCKER_EXEC"; our_pids containerd "$DOCKER_EXEC")
  stop_pids 10 "${pids[@]}"
  for id in $(docker_orphans); do docker_kill_container "$id"; done
  unmount_under "$DOCKER_EXEC" "$DOCKER_DATA"
  rm -rf "$DOCKER_EXEC" "$RUN/docker.pid" "$RUN/docker.sock"
}

# ── dockerd sets up bridges, firewall chains, forwarding, and leaves them behind when it ends ───────────
firewall_before() { # remember what there was, so that rig/down can put it back
  iptables -n -L DOCKER >/dev/null 2>&1 && return
  remember firewall ours
  recall forward-policy | grep . >/dev/null || remember forward-policy "$(iptables -S FORWARD | awk '$1 == "-P" { print $3 }')"
  recall ip-forward | grep . >/dev/null || remember ip-forward "$(cat /proc/sys/net/ipv4/ip_forward)"
}

docker_bridges() { # docker0 and a br-ID for each network that our daemon's own records name
  local name
  for name in /sys/class/net/*; do
    name=${name##*/}
    case $name in
      docker0) echo "$name" ;;
      br-????????????) grep -qsa "${name#br-}" "$DOCKER_DATA"/network/files/local-kv.db && echo "$name" ;;
    esac
  done
  return 0
}

firewall_restore() {
  recalls firewall ours || return 0
  local bridge table rule pattern='DOCKER'
  for bridge in $(docker_bridges); do
    pattern+="|$bridge"; ip link delete "$bridge" 2>/dev/null || true
  done
  for table in filter nat; do
    iptables -t "$table" -S 2>/dev/null | grep -E "^-A .*($pattern)" | sed 's/^-A/-D/' | while read -r rule; do
      xargs iptables -t "$table" <<<"$rule" 2>>"$LOG" || true
    done
    for rule in $(iptables -t "$table" -S 2>/dev/null | awk '$1 == "-N" && $2 ~ /^DOCKER/ { print $2 }'); do
      iptables -t "$table" -X "$rule" 2>>"$LOG" || true
    done
  done
  iptables -P FORWARD "$(recall forward-policy)"
  recall ip-forward >/proc/sys/net/ipv4/ip_forward
  forget firewall; forget forward-policy; forget ip-forward
}

docker_down() { # [purge]
  local pids
  mapfile -t pids < <(our_pids dockerd "$DOCKER_EXEC")
  if (( ${#pids[@]} )); then
    if DOCKER_SOCK=$RUN/docker.sock docker_answers; then
      # dockerd would wait ten seconds for each container that ignores TERM
      dock ps -q | xargs -r "$DOCKER_CLIENT" -H "unix://$RUN/docker.sock" stop -t 2 >>"$LOG" 2>&1 || true
    fi
    stop_pids 30 "${pids[@]}"; change "dockerd stopped"
  fi
  docker_sweep
  firewall_restore
  if [[ ${1:-} == purge ]]; then
    if recalls docker-image-elsewhere "$(image_name)" && DOCKER_SOCK=$DEFAULT_DOCKER_SOCK docker_answers; then
      DOCKER_SOCK=$DEFAULT_DOCKER_SOCK dock rmi -f "$(image_name)" >>"$LOG" 2>&1 || true
    fi
    rm -rf "$DOCKER_DATA" "$DOCKER_CONFIG_FILE" "$DOCKER_RUNTIMES"
  fi
}
