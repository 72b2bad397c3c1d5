# Docker with a daemon of our own: private config, data, socket. A Docker that is already there is used as it is.
# shellcheck shell=bash

DOCKER_SOCK=$RUN/docker.sock
DEFAULT_DOCKER_SOCK=/var/run/docker.sock
DOCKER_DATA=$STATE/docker
DOCKER_EXEC=$RUN/docker
DOCKER_CONFIG_FILE=$STATE/docker.json
DOCKER_FOREIGN=

docker_up() {
  set_env CAGEMATCH_BASE_IMAGE "$(image_name)"
  if docker_is_foreign; then
    DOCKER_FOREIGN=yes DOCKER_SOCK=$DEFAULT_DOCKER_SOCK
    set_env DOCKER_HOST
    note "a Docker daemon already answers on $DEFAULT_DOCKER_SOCK: used as it is"
    return
  fi
  if docker_answers; then
    docker_reap
  else
    docker_sweep
    firewall_before
    [[ -f $DOCKER_CONFIG_FILE ]] || docker_write_config
    detach "$STATE/log/dockerd.log" dockerd --config-file "$DOCKER_CONFIG_FILE" --data-root "$DOCKER_DATA" \
      --exec-root "$DOCKER_EXEC" --pidfile "$RUN/docker.pid" -H "unix://$DOCKER_SOCK"
    wait_for 40 docker_answers || fail "dockerd did not come up in 40 s" "tail -20 $STATE/log/dockerd.log"
    change "dockerd started, pid $(cat "$RUN/docker.pid")"
  fi
  set_env DOCKER_HOST "unix://$DOCKER_SOCK"
  link_if_free "$DEFAULT_DOCKER_SOCK" "$DOCKER_SOCK"
}

docker_is_foreign() {
  ! same_socket "$DEFAULT_DOCKER_SOCK" "$RUN/docker.sock" &&
    [[ -S $DEFAULT_DOCKER_SOCK ]] && DOCKER_SOCK=$DEFAULT_DOCKER_SOCK docker_answers
}

# Two clients may be on PATH, and a new one may refuse an old daemon: take the first that this daemon answers.
dock() {
  local client=docker
  [[ -z ${DOCKER_CLIENT:-} ]] || client=$DOCKER_CLIENT
  env -u DOCKER_CONTEXT -u DOCKER_TLS_VERIFY DOCKER_HOST="unix://$DOCKER_SOCK" timeout "${DOCKER_TIMEOUT:-120}" "$client" "$@"
}
docker_answers() {
  [[ -S $DOCKER_SOCK ]] || return 1
  for DOCKER_CLIENT in docker /usr/bin/docker; do
    dock version --format '{{.Server.Version}}' >/dev/null 2>&1 && return
  done
  return 1
}

docker_import() {
  local name; name=$(image_name)
  if [[ $(dock image inspect -f '{{ index .Config.Labels "cagematch.recipe" }}' "$name" 2>/dev/null) != "$RECIPE" ]]; then
    quietly dock import --change "LABEL cagematch.recipe=$RECIPE" --change 'CMD ["bash"]' \
      --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' "$IMAGE_DIR/rootfs.tar" "$name" ||
      fail "docker could not import the base image" "tail -5 $LOG"
    quietly dock image prune -f --filter label=cagematch.recipe || true   # the one that just lost its name
    [[ -z $DOCKER_FOREIGN ]] || remember docker-image-elsewhere "$name"
    change "image $name in docker"
  fi
  docker_trial "" || fail "docker cannot run the base image" "tail -5 $LOG; tail -20 $STATE/log/dockerd.log"
}

# A trial is bounded, because a runtime may hang where its platform does not fit (gVisor on kvm, observed), and does
# what an agent does: 60 processes under the usual limits. gVisor counts its own host threads against --pids-limit,
# and with 512 died on them until told to ignore cgroups (observed, ptrace platform).
docker_trial() { # [RUNTIME]
  local name=cagematch-rig-trial id ok=0
  dock rm -f "$name" >/dev/null 2>&1 || true
  # shellcheck disable=SC2016
  id=$(dock create --init --name "$name" ${1:+--runtime="$1"} --memory 1g --pids-limit 512 "$(image_name)" \
    sh -c 'for i in $(seq 60); do sleep 0.2 & done; wait; node -e "process.exit(0)"' 2>>"$LOG") || return 1
  DOCKER_TIMEOUT=10 quietly dock start -a "$id" || ok=1
  dock rm -f "$name" >/dev/null 2>&1 || true
  # After a start that failed, gVisor's processes and their shim stay behind, and docker has forgotten them (observed).
  if (( ok )); then docker_kill_container "$id"; fi
  return "$ok"
}

# ── OCI runtimes beside runc: a file each in this folder, its lines the arguments; they make up the config ─
DOCKER_RUNTIMES=$STATE/docker-runtimes

docker_write_config() {
  local file path list=() args
  for file in "$DOCKER_RUNTIMES"/*.args; do
    [[ -f $file ]] || continue
    path=$(command -v "$(basename "$file" .args)")
    args=$(sed 's/.*/"&"/' "$file" | paste -sd,)
    list+=("\"$(basename "$file" .args)\": {\"path\": \"$path\", \"runtimeArgs\": [$args]}")
  done
  local IFS=,
  printf '{"runtimes": {%s}}\n' "${list[*]}" >"$DOCKER_CONFIG_FILE.new"
  mv "$DOCKER_CONFIG_FILE.new" "$DOCKER_CONFIG_FILE"
}

docker_reload() { # runtimes are among what dockerd re-reads on HUP, so what runs goes on running
  docker_write_config
  kill -HUP "$(cat "$RUN/docker.pid")"
  wait_for 5 docker_knows "$@" || detail "dockerd has not taken up the new settings"
}
docker_knows() { # [RUNTIME ARG…]
  [[ -n ${1:-} ]] || return 0
  local want=$1; shift
  [[ $(dock info --format "{{ with index .Runtimes \"$want\" }}{{ .Path }} {{ .Args }}{{ end }}" 2>/dev/null) == "$(command -v "$want") [$*]" ]]
}

docker_try_runtime() { # NAME [ARG…]: kept if a container really runs with it
  local name=$1; shift
  mkdir -p "$DOCKER_RUNTIMES"
  if (( $# )); then printf '%s\n' "$@"; fi >"$DOCKER_RUNTIMES/$name.args"
  docker_reload "$name" "$@"
  if docker_trial "$name"; then return; fi
  rm "$DOCKER_RUNTIMES/$name.args"; docker_reload
  return 1
}

docker_settled() { # NAME: was the answer for this very binary on this very kernel found before? 0 kept, 1 refused, 2 not known
  local file=$DOCKER_RUNTIMES/$1.verdict
  [[ $(head -1 "$file" 2>/dev/null) == "$(runtime_signature "$1")" ]] || return 2
  [[ -f $DOCKER_RUNTIMES/$1.args ]]
}
docker_settle() { runtime_signature "$1" >"$DOCKER_RUNTIMES/$1.verdict"; }
runtime_signature() { printf '%s %s\n' "$("$1" --version 2>/dev/null | head -1)" "$(uname -r)"; }

docker_add_crun() { # crun 1.8 refuses a hybrid cgroup v1 layout (observed), so it is asked and not assumed
  local known=0
  has crun || return 0
  docker_settled crun || known=$?
  (( known == 2 )) || return 0
  if docker_try_runtime crun; then change "docker runtime crun"; else detail "crun does not run here"; fi
  docker_settle crun
}

# ── after a hard kill: containers outlive their daemon, and with them mounts and namespaces ─────────────
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
