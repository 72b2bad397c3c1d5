# gVisor as a docker runtime, with the fewest flags that really run a container on this machine.
# shellcheck shell=bash

gvisor_up() {
  if [[ -n $DOCKER_FOREIGN ]]; then
    note "gVisor left as it is: this Docker is not ours to configure (sudo runsc install registers it)"; return
  fi
  if ! has runsc; then note "gVisor left out: this distribution has no runsc package"; return; fi
  local known=0
  docker_settled runsc || known=$?
  if (( known == 0 )) && docker_trial runsc; then return; fi
  if (( known == 1 )); then note "gVisor left out: no flags were found with which runsc runs here"; return; fi
  gvisor_choose || { docker_settle runsc; note "gVisor left out: runsc runs with none of the flags tried, see $LOG"; return; }
  docker_settle runsc
  change "docker runtime runsc ($(paste -sd' ' "$DOCKER_RUNTIMES/runsc.args"))"
}

# systrap is newer and faster than ptrace, and old builds do not know it. kvm is never tried: it hangs on a nested
# host (observed). --network=host means the container's own network namespace without gVisor's stack: that stack
# refuses kernels which show net.core.rmem_default in every namespace (observed, runsc of 2022 on 6.18).
gvisor_choose() {
  local platform extra
  for platform in systrap ptrace; do
    runsc flags 2>&1 | grep -w "$platform" >/dev/null || continue
    for extra in "" "--network=host" "--ignore-cgroups" "--ignore-cgroups --network=host"; do
      # shellcheck disable=SC2086
      docker_try_runtime runsc "--platform=$platform" $extra && return
    done
  done
  return 1
}
