# The OS sandbox (@anthropic-ai/sandbox-runtime) needs three programs and a kernel that lets users make namespaces.
# shellcheck shell=bash

native_up() {
  local as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
  quietly timeout 10 "${as[@]}" bwrap --unshare-all --ro-bind / / --dev /dev --proc /proc true && return
  note "bubblewrap is installed, but an ordinary user may not make namespaces with it here"
  if [[ $(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null) == 1 ]]; then
    note "hint: sysctl kernel.apparmor_restrict_unprivileged_userns=0   (left to you: it concerns the whole machine)"
  fi
}
