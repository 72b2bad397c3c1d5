# Incus with a daemon of our own under INCUS_DIR: one storage pool, no network. One already there is used as it is.
# shellcheck shell=bash

OUR_INCUS=$STATE/incus
DEFAULT_INCUS_SOCK=/run/incus/unix.socket   # where a client looks first when INCUS_DIR is unset
INCUS_FOREIGN=

incus_up() {
  if incus_is_foreign; then
    INCUS_FOREIGN=yes
    note "an Incus daemon already answers: used as it is"
    return
  fi
  if ! incus_answers; then
    incus_sweep
    mkdir -p "$OUR_INCUS"
    # Its helpers lie beside it, and a custom INCUS_DIR keeps database, sockets and mounts in one place.
    detach "$STATE/log/incusd.log" env INCUS_DIR="$OUR_INCUS" PATH="$(dirname "$(incusd)"):$PATH" "$(incusd)" --group root
    wait_for 60 incus_answers || fail "incusd did not come up in 60 s" "tail -20 $STATE/log/incusd.log"
    our_pids incusd "--group root" >"$RUN/incus.pid"
    change "incusd started, pid $(head -1 "$RUN/incus.pid")"
  fi
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
  have=$(inc image list cagematch-base --format json </dev/null | tr ',' '\n' | sed -n 's/.*"cagematch.recipe":"\([^"]*\)".*/\1/p' | head -1)
  if [[ $have != "$RECIPE" ]]; then
    [[ -z $have ]] || quietly inc image delete cagematch-base </dev/null || true
    quietly inc image import "$IMAGE_DIR/meta.tar" "$IMAGE_DIR/rootfs.tar" --alias cagematch-base </dev/null ||
      fail "incus could not import the base image" "tail -5 $LOG"
    remember incus-image cagematch-base; change "incus image cagematch-base"
  fi
  incus_trial || fail "incus cannot run the base image" "tail -5 $LOG; tail -20 $STATE/log/incusd.log"
}

incus_trial() { # boots it and asks for lo; also the first launch after an import, which unpacks the image into the pool
  local name=cagematch-rig-trial ok=0
  inc delete -f "$name" >/dev/null 2>&1 </dev/null || true
  quietly inc launch cagematch-base "$name" </dev/null &&
    quietly wait_for 5 inc exec "$name" -- grep -q 'lo:' /proc/net/dev &&
    quietly inc exec "$name" -- node -e 'require("net").createServer().listen(0, "127.0.0.1", function () { require("net").connect(this.address().port, "127.0.0.1", () => process.exit(0)) })' </dev/null || ok=1
  inc delete -f "$name" >/dev/null 2>&1 </dev/null || true
  return "$ok"
}
