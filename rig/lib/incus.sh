# Incus with a daemon of our own under INCUS_DIR: one storage pool, no network. One already there is used as it is.
# shellcheck shell=bash

OUR_INCUS=$STATE/incus
DEFAULT_INCUS_SOCK=/run/incus/unix.socket   # where a client looks first when INCUS_DIR is unset
INCUS_FOREIGN=

incus_up() {
  set_env CAGEMATCH_INCUS_BASE cagematch-base
  if incus_is_foreign; then
    INCUS_FOREIGN=yes
    set_env INCUS_DIR
    note "an Incus daemon already answers: used as it is"
    return
  fi
  if ! incus_answers; then
    incus_sweep
    mkdir -p "$OUR_INCUS"
    # Its helpers lie beside it; INCUS_DIR keeps database, sockets, logs and mounts in one place of our own.
    detach "$STATE/log/incusd.log" env INCUS_DIR="$OUR_INCUS" PATH="$(dirname "$(incusd)"):$PATH" "$(incusd)" --group root
    wait_for 60 incus_answers || fail "incusd did not come up in 60 s" "tail -20 $STATE/log/incusd.log"
    change "incusd started, pid $(incus_daemon_pids)"
  fi
  set_env INCUS_DIR "$OUR_INCUS"
  incus_preseed
  link_if_free "$DEFAULT_INCUS_SOCK" "$OUR_INCUS/unix.socket"
}

incusd() { local path; for path in /usr/libexec/incus/incusd /usr/lib/incus/incusd /opt/incus/bin/incusd; do [[ ! -x $path ]] || { echo "$path"; return; }; done; command -v incusd; }
inc() { # the client, of whichever daemon is in use
  if [[ -n $INCUS_FOREIGN ]]; then env -u INCUS_DIR -u INCUS_SOCKET timeout 120 incus "$@"
  else env -u INCUS_SOCKET INCUS_DIR="$OUR_INCUS" timeout 120 incus "$@"; fi
}
incus_answers() { inc query /1.0 </dev/null 2>/dev/null | grep '"auth": "trusted"' >/dev/null; }
incus_is_foreign() {
  has incus && ! same_socket "$DEFAULT_INCUS_SOCK" "$OUR_INCUS/unix.socket" && INCUS_FOREIGN=yes incus_answers
}

incus_preseed() { # `incus admin init --minimal` wants a network and fails to pick a subnet here (observed)
  inc storage show default >/dev/null 2>&1 </dev/null && return
  local driver; driver=$(pool_driver)
  { echo "storage_pools:"; echo "- name: default"; echo "  driver: $driver"
    [[ $driver != btrfs ]] || printf '  config:\n    size: 16GiB\n'
    printf 'profiles:\n- name: default\n  devices:\n    root: { type: disk, path: /, pool: default }\n'; } |
    quietly inc admin init --preseed || fail "incus refused its first settings" "tail -20 $LOG"
  change "incus pool default ($driver) and default profile"
}

pool_driver() { # a launch takes 0.15 s from a btrfs snapshot, 1 to 3 s where the image is unpacked into a folder (measured)
  if has mkfs.btrfs && [[ -e /dev/loop-control ]] && { grep -qw btrfs /proc/filesystems || modprobe -q btrfs 2>/dev/null; }
  then echo btrfs; else echo dir; fi
}

incus_import() {
  local have
  have=$(inc image list cagematch-base --format json </dev/null | image_recipe)
  if [[ $have != "$RECIPE" ]]; then
    [[ -z $have ]] || quietly inc image delete cagematch-base </dev/null || true
    quietly inc image import "$IMAGE_DIR/meta.tar" "$IMAGE_DIR/rootfs.tar" --alias cagematch-base </dev/null ||
      fail "incus could not import the base image" "tail -5 $LOG"
    [[ -z $INCUS_FOREIGN ]] || remember incus-image-elsewhere cagematch-base
    change "image cagematch-base in incus"
  fi
  incus_trial || fail "incus cannot run the base image" "tail -5 $LOG; tail -20 $STATE/log/incusd.log"
}

image_recipe() { tr ',' '\n' | sed -n 's/.*"cagematch.recipe":"\([^"]*\)".*/\1/p' | head -1; } # of images as JSON: what ours was made from

incus_trial() { # boots it and asks for lo; also the first launch after an import, which unpacks the image into the pool
  local name=cagematch-rig-trial ok=0
  inc delete -f "$name" >/dev/null 2>&1 </dev/null || true
  quietly inc launch cagematch-base "$name" </dev/null &&
    quietly wait_for 5 inc exec "$name" -- grep -q 'lo:' /proc/net/dev &&
    quietly inc exec "$name" -- node -e 'require("net").createServer().listen(0, "127.0.0.1", function () { require("net").connect(this.address().port, "127.0.0.1", () => process.exit(0)) })' </dev/null || ok=1
  inc delete -f "$name" >/dev/null 2>&1 </dev/null || true
  return "$ok"
}

# ── after a hard kill: instances and their helpers go on; the daemon takes them up again when it comes back ─
incus_daemon_pids() { # [DIR]: the daemon itself, not the helpers and monitors that are forked from the same file
  local pid
  for pid in $(our_pids incusd "INCUS_DIR=${1:-$OUR_INCUS}" environ); do
    is_process "$pid" incusd "--group" && printf '%s\n' "$pid"
  done
  return 0
}

incus_sweep() {
  local pids; mapfile -t pids < <(incus_daemon_pids)
  stop_pids 10 "${pids[@]}"
  rm -f "$OUR_INCUS/unix.socket"
}

incus_kill_instances() { # DIR: what the daemon, now gone, left running: each monitor's container, then monitors and proxies
  local pids; mapfile -t pids < <(our_pids incusd "INCUS_DIR=$1" environ; our_pids incusd "$1/")
  (( ${#pids[@]} )) || return 0
  local inits; mapfile -t inits < <(children_of "${pids[@]}")
  kill -KILL "${inits[@]}" 2>/dev/null || true
  stop_pids 5 "${pids[@]}"
}

incus_end() { # DIR: whatever a daemon that was told to stop may have left
  local pids loop
  mapfile -t pids < <(incus_daemon_pids "$1")
  stop_pids 20 "${pids[@]}"
  incus_kill_instances "$1"
  unmount_under "$1"
  for loop in $(losetup -n -O NAME,BACK-FILE | awk -v dir="$1/" 'index($2, dir) == 1 { print $1 }'); do
    losetup -d "$loop" 2>>"$LOG" || true
  done
  rm -f "$1/unix.socket"
}

incus_down() { # [purge]
  local pids; mapfile -t pids < <(incus_daemon_pids)
  if (( ${#pids[@]} )); then
    if incus_answers; then
      quietly inc stop --all --force </dev/null || true
      quietly timeout 30 env INCUS_DIR="$OUR_INCUS" incus admin shutdown --timeout 20 </dev/null || true
    fi
    change "incusd stopped"
  fi
  incus_end "$OUR_INCUS"
  if [[ ${1:-} == purge ]]; then
    if recalls incus-image-elsewhere cagematch-base; then INCUS_FOREIGN=yes inc image delete cagematch-base </dev/null >>"$LOG" 2>&1 || true; fi
    rm -rf "$OUR_INCUS"
  fi
}
