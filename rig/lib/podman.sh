# Podman, rootful and as an ordinary user: no daemon, but a private containers.conf that fits this machine.
# shellcheck shell=bash

PODMAN_CONF=$STATE/podman/containers.conf
ROOTLESS_HOME=$STATE/home
rootless_uid() { id -u "$ROOTLESS_USER" 2>/dev/null; }
rootless_run() { printf '%s/user-%s' "$RUN" "$(rootless_uid)"; }

podman_up() {
  set_env CAGEMATCH_BASE_IMAGE "$(image_name)"
  set_env CONTAINERS_CONF "$PODMAN_CONF"
  set_env CAGEMATCH_ROOTLESS_USER "$ROOTLESS_USER"
  podman_config
  podman_after_reboot
  ensure_user
  set_env CAGEMATCH_ROOTLESS_RUNTIME_DIR "$(rootless_run)"
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
  # With no storage.conf anywhere (Debian ships none) rootless podman copies every layer whole (vfs, observed).
  local store=$ROOTLESS_HOME/.config/containers
  if [[ ! -f $store/storage.conf ]]; then
    mkdir -p "$store"; printf '[storage]\ndriver = "overlay"\n' >"$store/storage.conf"
    chown -R "$ROOTLESS_USER:" "$ROOTLESS_HOME/.config"
  fi
  open_tun
}
open_tun() { # udev makes it 0666; where no udev runs it stays root's, and no ordinary user gets a network (observed)
  [[ -c /dev/net/tun ]] || { mkdir -p /dev/net; mknod /dev/net/tun c 10 200 2>/dev/null || return 0; }
  local mode; mode=$(stat -c %a /dev/net/tun)
  [[ $mode != 666 ]] || return 0
  chmod 666 /dev/net/tun; remember tun-mode "$mode"; change "/dev/net/tun opened to users (mode $mode -> 666)"
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
  quietly "$1" image prune -f --filter label=cagematch.recipe || true   # the one that just lost its name
  change "image $name in $2"
}

podman_choose_runtime() { # crun 1.8 refuses a hybrid cgroup v1 layout (observed): ask the runtimes, not the version
  local image runtime; image=localhost/$(image_name)
  quietly pod run --rm "$image" true && return
  for runtime in crun runc; do
    has "$runtime" || continue
    if quietly pod --runtime "$runtime" run --rm "$image" true; then podman_config "$runtime"; return; fi
  done
  fail "podman cannot run the base image with crun or runc" "tail -20 $LOG"
}

# ── down: podman has no daemon, so what is ours is what grew from our image, and the user's processes ───
podman_down() { # [purge]
  has podman || return 0
  local ours; mapfile -t ours < <(pod ps -q --filter label=cagematch.recipe 2>/dev/null)
  if (( ${#ours[@]} )); then
    quietly pod stop -t 2 "${ours[@]}" || true
    change "stopped ${#ours[@]} podman container(s) made from our image"
  fi
  # one that was killed together with its monitor keeps its mounts and network namespace until this
  mapfile -t ours < <(pod ps -aq --filter label=cagematch.recipe 2>/dev/null)
  (( ! ${#ours[@]} )) || quietly pod container cleanup "${ours[@]}" || true
  [[ ${1:-} != purge ]] || (( ! ${#ours[@]} )) || quietly pod rm -f "${ours[@]}" || true
  if [[ ${1:-} == purge ]]; then
    mapfile -t ours < <(pod images -q --filter label=cagematch.recipe 2>/dev/null | sort -u)
    (( ! ${#ours[@]} )) || quietly pod rmi -f "${ours[@]}" || true
  fi
  # netavark takes its bridge away with the last container, unless that one was killed
  if [[ -d /sys/class/net/podman0 && -z $(ls /sys/class/net/podman0/brif) && -z $(pod ps -q 2>/dev/null) ]]; then
    ip link delete podman0 2>/dev/null || true
  fi
  user_down "${1:-}"
}

user_down() { # [purge]
  recalls user "$ROOTLESS_USER" && rootless_uid >/dev/null || return 0
  [[ ! -f $PODMAN_CONF ]] || quietly rootless stop --all -t 2 || true
  local pids; mapfile -t pids < <(user_pids)
  stop_pids 5 "${pids[@]}"
  unmount_under "$ROOTLESS_HOME" "$(rootless_run)"
  rm -rf "$(rootless_run)"
  local mode; mode=$(recall tun-mode)
  if [[ -n $mode ]]; then chmod "$mode" /dev/net/tun; forget tun-mode; fi
  [[ ${1:-} == purge ]] || return 0
  quietly userdel "$ROOTLESS_USER" || true
  local file
  for file in $(recall subid); do sed -i "/^$ROOTLESS_USER:/d" "$file"; done
  rm -rf "$ROOTLESS_HOME" "$(dirname "$PODMAN_CONF")"
  forget user; forget subid
  change "user $ROOTLESS_USER removed"
}

user_pids() { # everything that runs as the user, or as one of the ids that were given to it
  local start; start=$(awk -F: -v user="$ROOTLESS_USER" '$1 == user { print $2 }' /etc/subuid | head -1)
  ps -eo uid=,pid= | awk -v uid="$(rootless_uid)" -v from="${start:-0}" '$1 == uid || (from > 0 && $1 >= from && $1 < from + 65536) { print $2 }'
}
