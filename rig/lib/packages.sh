# Installs what the chosen parts need from the machine's own apt sources, and starts no service by doing so.
# shellcheck shell=bash

# A word that begins with ? is installed where the distribution has it and done without where not.
packages_for() {
  case $1 in
    docker) echo "docker.io ?docker-cli runc tini iptables ?crun" ;;   # tini: docker run --init
    gvisor) echo "?runsc" ;;
    podman) echo "podman crun runc catatonit uidmap slirp4netns fuse-overlayfs netavark aardvark-dns iptables ?passt" ;; # catatonit: podman run --init
    incus)  echo "incus-base incus-client ?btrfs-progs iproute2" ;;
    native) echo "bubblewrap socat ripgrep" ;;
    browser) browser_program >/dev/null || echo "?chromium"; echo fonts-dejavu-core ;; # Ubuntu has no such package, only a snap
    image)  echo "mmdebstrap busybox-static ca-certificates" ;;
  esac
}

install_packages() { # PART…
  local part word wanted=() missing=() have
  for part; do for word in $(packages_for "$part"); do wanted+=("$word"); done; done
  have=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | awk '/^ii/ { print $2 }')
  for word in $(printf '%s\n' "${wanted[@]}" | sort -u); do
    grep -qxF -- "${word#\?}" <<<"$have" || recalls no-such-package "${word#\?}" || missing+=("$word")
  done
  (( ${#missing[@]} )) || return 0

  private_apt_sources
  # One source that is out of reach must not stop us: what counts is whether the packages can be had.
  apt_get update || detail "apt-get update complained; going on"
  local plain=() incus=()
  for word in "${missing[@]}"; do
    if ! installable "${word#\?}"; then
      [[ $word == \?* || $word == incus-* ]] || fail "apt has no package $word" "apt-cache policy $word"
      if [[ $word == incus-* ]]; then incus+=("$word"); else remember no-such-package "${word#\?}"; fi
      continue
    fi
    case $word in incus-*) incus+=("$word") ;; *) plain+=("${word#\?}") ;; esac
  done
  hold_services
  if (( ${#plain[@]} )); then apt_install "${plain[@]}"; fi
  if (( ${#incus[@]} )); then install_incus "${incus[@]}"; fi
  release_services
}

apt_install() {
  apt_get install "$@" || fail "apt-get could not install: $*" "grep -n '^E:' $LOG | tail"
  local name names=()
  for name; do [[ $name == -* || $name == *-backports ]] || { remember package "$name"; names+=("$name"); }; done
  change "packages: ${names[*]}"
}

install_incus() { # Debian 12 has it only in backports; Debian 13 and Ubuntu 24.04 in their own archive
  local suite; suite=$(codename)-backports
  if installable incus-base; then
    if candidate incus-base | grep '~bpo' >/dev/null; then apt_install -t "$suite" "$@"; else apt_install "$@"; fi
    return
  fi
  add_backports "$suite" || fail "Incus is not in this machine's apt sources, and no Debian source was found to derive backports from" "see apt-cache policy incus"
  apt_get update || true
  installable incus-base || fail "Incus is neither in this distribution nor in $suite" "rig/up docker podman gvisor native"
  apt_install -t "$suite" "$@"
}

# ── private sources: the machine's, plus at most one of ours; nothing in /etc/apt is touched ────────────
private_apt_sources() {
  PARTS=$STATE/apt/sources.list.d
  rm -rf "$PARTS"; mkdir -p "$PARTS"
  local file
  for file in /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [[ ! -e $file ]] || ln -s "$file" "$PARTS/"
  done
  if installed_from_backports; then add_backports "$(codename)-backports" || true; fi
}
installed_from_backports() { dpkg-query -W -f '${Version}' incus-base 2>/dev/null | grep '~bpo' >/dev/null; }

apt_get() {
  DEBIAN_FRONTEND=noninteractive quietly apt-get -y -q --no-install-recommends \
    -o Dir::Etc::SourceParts="$PARTS" -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confold "$@"
}

candidate() { apt-cache -o Dir::Etc::SourceParts="$PARTS" policy "$1" | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'; }
installable() { [[ -n $(candidate "$1") ]]; }

distribution_sources() { # the distribution's own archives, whatever file format or mirror they are written with: URI SUITE COMPONENT
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(CODENAME) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk -v host="$(codename)" '($1 == "Debian" || $1 == "Ubuntu") && ($3 ~ "^" host || $4 ~ "^" host) { print $2, $4, $5 }' | sort -u
}

add_backports() { # SUITE: same archive as the release itself
  local uri
  uri=$(distribution_sources | awk -v suite="$(codename)" '$2 == suite && $3 == "main" { print $1; exit }')
  [[ -n $uri ]] || return 1
  { echo "Types: deb"; echo "URIs: $uri"; echo "Suites: $1"; echo "Components: main"
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [[ ! -f $keyring ]] || echo "Signed-By: $keyring"; } >"$PARTS/cagematch-backports.sources"
}

# ── installing docker.io or incus on a machine with systemd would start the system's own daemons ────────
hold_services() {
  [[ ! -e /usr/sbin/policy-rc.d ]] || return 0
  printf '#!/bin/sh\n# cagematch rig/up, while it installs packages\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
}
release_services() {
  grep -qs 'cagematch rig/up' /usr/sbin/policy-rc.d && rm -f /usr/sbin/policy-rc.d
  return 0
}
