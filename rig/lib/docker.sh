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
