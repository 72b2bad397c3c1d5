# Podman, rootful and as an ordinary user: no daemon, but a private containers.conf that fits this machine.
# shellcheck shell=bash

PODMAN_CONF=$STATE/podman/containers.conf
ROOTLESS_HOME=$STATE/home
rootless_uid() { id -u "$ROOTLESS_USER" 2>/dev/null; }
rootless_run() { printf '%s/user-%s' "$RUN" "$(rootless_uid)"; }

podman_up() {
  podman_config
  podman_after_reboot
  ensure_user
  pod info >/dev/null 2>>"$LOG" || fail "podman info fails" "CONTAINERS_CONF=$PODMAN_CONF podman info"
  # The process that holds the user's namespaces may have been killed, or be older than the user's id range;
  # podman goes on with what that process has, until it is told to start anew (both observed).
  rootless_has_range || { quietly rootless system migrate || true
    rootless_has_range || fail "rootless podman gets no id range for user $ROOTLESS_USER" "tail -20 $LOG"; }
}

pod() { CONTAINERS_CONF=$PODMAN_CONF timeout 120 podman "$@"; }
rootless() { # as the user, from a folder it may read, with nothing of root's environment
  ( cd "$ROOTLESS_HOME" && timeout 120 setpriv --reuid "$ROOTLESS_USER" --regid "$(id -g "$ROOTLESS_USER")" --clear-groups \
      env -i PATH="$PATH" HOME="$ROOTLESS_HOME" USER="$ROOTLESS_USER" XDG_RUNTIME_DIR="$(rootless_run)" \
      CONTAINERS_CONF="$PODMAN_CONF" podman "$@" )
}

rootless_has_range() { (( $(rootless unshare cat /proc/self/uid_map 2>>"$LOG" | wc -l) > 1 )); }

# ── what this machine needs to be told; an ordinary one needs nothing ───────────────────────────────────
podman_config() { # [RUNTIME]
  local runtime=${1:-$(sed -n 's/^runtime = "\(.*\)"/\1/p' "$PODMAN_CONF" 2>/dev/null)} limits=() engine=()
  # Podman asks for higher limits than ours, and raising one needs CAP_SYS_RESOURCE: hold it to what we have.
  # It also lowers its own nproc to pid_max first, so the hard limit alone is refused too (observed, 4.3.1).
  if ! can_raise_limits; then
    limits+=("nofile=$(ulimit -Hn):$(ulimit -Hn)" "nproc=$(nproc_limit):$(nproc_limit)")
  fi
  if ! has_systemd; then engine+=('cgroup_manager = "cgroupfs"' 'events_logger = "file"'); fi
  if [[ -n $runtime ]]; then engine+=("runtime = \"$runtime\""); fi
  mkdir -p "$(dirname "$PODMAN_CONF")"
  { echo "# Written by cagematch rig/up for this machine; podman reads it through CONTAINERS_CONF."
    echo "[containers]"
    if (( ${#limits[@]} )); then printf 'default_ulimits = ["%s", "%s"]\n' "${limits[@]}"; fi
    echo "[engine]"
    if (( ${#engine[@]} )); then printf '%s\n' "${engine[@]}"; fi; } >"$PODMAN_CONF.new"
  if cmp -s "$PODMAN_CONF.new" "$PODMAN_CONF"; then rm "$PODMAN_CONF.new"; return; fi
  mv "$PODMAN_CONF.new" "$PODMAN_CONF"
  chmod 644 "$PODMAN_CONF"; chmod 755 "$(dirname "$PODMAN_CONF")"
  change "podman settings $PODMAN_CONF"
}
nproc_limit() {
  local hard max; hard=$(ulimit -Hu); max=$(cat /proc/sys/kernel/pid_max)
  if [[ $hard == unlimited ]] || (( hard > max )); then echo "$max"; else echo "$hard"; fi
}

podman_after_reboot() { # Podman trusts these files to vanish with a reboot. Where /run is on disk they do not.
  [[ $REBOOTED == yes ]] || return 0
  rm -f /run/libpod/alive
  detail "new boot: removed /run/libpod/alive so that podman looks at its containers afresh"
}

# ── the ordinary user ───────────────────────────────────────────────────────────────────────────────────
ensure_user() {
  if ! rootless_uid >/dev/null; then
    quietly useradd --system --home-dir "$ROOTLESS_HOME" --create-home --shell /bin/bash --user-group "$ROOTLESS_USER" ||
      fail "could not create the user $ROOTLESS_USER" "tail -5 $LOG"
    remember user "$ROOTLESS_USER"; change "user $ROOTLESS_USER (home $ROOTLESS_HOME)"
  fi
  local file start; start=$(free_range)
  for file in /etc/subuid /etc/subgid; do
    grep -qs "^$ROOTLESS_USER:" "$file" && continue
    printf '%s:%s:65536\n' "$ROOTLESS_USER" "$start" >>"$file"
    remember subid "$file"; change "a range for $ROOTLESS_USER in $file"
  done
  local dir
  mkdir -p "$ROOTLESS_HOME" && chown "$ROOTLESS_USER:" "$ROOTLESS_HOME"
  dir=$(rootless_run); mkdir -p "$dir"; chown "$ROOTLESS_USER:" "$dir"; chmod 700 "$dir"
}
free_range() { # the first 65536 ids that no one has, in either file
  cat /etc/subuid /etc/subgid 2>/dev/null | awk -F: 'BEGIN { free = 100000 } { if ($2 + $3 > free) free = $2 + $3 } END { printf "%.0f", free }'
}

# ── the base image, in both stores, and the proof that it runs ──────────────────────────────────────────
podman_import() {
  podman_import_into pod "root's podman"
  podman_choose_runtime
  podman_import_into rootless "$ROOTLESS_USER's podman"
  quietly rootless run --rm --userns=keep-id "localhost/$(image_name)" true ||
    fail "rootless podman cannot run the base image" "tail -5 $LOG"
}

podman_import_into() { # AS WHOSE
  local name; name=localhost/$(image_name)
  [[ $("$1" image inspect -f '{{ index .Labels "cagematch.recipe" }}' "$name" 2>/dev/null) != "$RECIPE" ]] || return 0
  quietly "$1" import --change "LABEL cagematch.recipe=$RECIPE" --change 'CMD ["bash"]' \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$name" <"$IMAGE_DIR/rootfs.tar" ||
    fail "$2 could not import the base image" "tail -5 $LOG"
  change "image $name in $2"
}

podman_choose_runtime() { # crun 1.8 refuses a hybrid cgroup v1 layout (observed): ask the runtimes, not the version
  local image runtime; image=localhost/$(image_name)
  quietly pod run --rm "$image" true && return
  for runtime in crun runc; do
    has "$runtime" && quietly pod --runtime "$runtime" run --rm "$image" true || continue
    podman_config "$runtime"
    return
  done
  fail "podman cannot run the base image with crun or runc" "tail -20 $LOG"
}
