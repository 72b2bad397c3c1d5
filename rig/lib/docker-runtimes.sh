# OCI runtimes that docker is told of beside runc. Each is a file in a folder, its lines the arguments; the folder
# makes up daemon.json, and a runtime stays in it only if a container really ran.
# shellcheck shell=bash

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
