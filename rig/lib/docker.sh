# Docker with a daemon of our own: private config, data, socket. A Docker that is already there is used as it is.
# shellcheck shell=bash

DOCKER_SOCK=$RUN/docker.sock
DEFAULT_DOCKER_SOCK=/var/run/docker.sock
DOCKER_DATA=$STATE/docker
DOCKER_EXEC=$RUN/docker
DOCKER_CONFIG_FILE=$STATE/docker.json
DOCKER_FOREIGN=

docker_up() {
  if docker_is_foreign; then
    DOCKER_FOREIGN=yes DOCKER_SOCK=$DEFAULT_DOCKER_SOCK
    note "a Docker daemon already answers on $DEFAULT_DOCKER_SOCK: used as it is"
    return
  fi
  if ! docker_answers; then
    docker_sweep
    remember_network
    [[ -f $DOCKER_CONFIG_FILE ]] || printf '{}\n' >"$DOCKER_CONFIG_FILE"
    detach "$STATE/log/dockerd.log" dockerd --config-file "$DOCKER_CONFIG_FILE" --data-root "$DOCKER_DATA" \
      --exec-root "$DOCKER_EXEC" --pidfile "$RUN/docker.pid" -H "unix://$DOCKER_SOCK"
    wait_for 30 docker_answers || fail "dockerd did not come up in 30 s" "tail -20 $STATE/log/dockerd.log"
    change "dockerd started, pid $(cat "$RUN/docker.pid")"
  fi
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
  env -u DOCKER_CONTEXT -u DOCKER_TLS_VERIFY DOCKER_HOST="unix://$DOCKER_SOCK" timeout 120 "$client" "$@"
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
    remember docker-image "$name"; change "docker image $name"
  fi
  docker_trial "" || fail "docker cannot run the base image" "tail -5 $LOG; tail -20 $STATE/log/dockerd.log"
}

docker_trial() { # [RUNTIME]: bounded, because a runtime may hang where its platform does not fit (gVisor on kvm, observed)
  local name=cagematch-rig-trial ok=0
  dock rm -f "$name" >/dev/null 2>&1 || true
  quietly timeout 20 env DOCKER_HOST="unix://$DOCKER_SOCK" "$DOCKER_CLIENT" run --name "$name" ${1:+--runtime="$1"} "$(image_name)" \
    node -e 'require("fs").writeFileSync("/tmp/a", "b")' || ok=1
  dock rm -f "$name" >/dev/null 2>&1 || true
  return "$ok"
}

docker_reload() { # runtimes are among what dockerd re-reads on HUP, so running containers stay
  kill -HUP "$(cat "$RUN/docker.pid")"
}
