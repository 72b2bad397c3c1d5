# The base image: a small Debian (or the host's Ubuntu) with Node and npm, made from apt and npm alone,
# because no image registry can be counted on. Built once, kept by the hash of its recipe: this file, comments apart.
# shellcheck shell=bash

NODE_MAJOR=22
NPM_MAJOR=10
BASE_PACKAGES=ca-certificates,git,procps,ripgrep,busybox-static

image_name()  { printf 'cagematch-base:%s' "$(codename)"; }
recipe_hash() { { grep -v '^ *#' "$RIG/lib/image.sh"; codename; uname -m; } | sha256sum | cut -c1-12; }

build_image() { # sets IMAGE_DIR, which then holds rootfs.tar and meta.tar
  RECIPE=$(recipe_hash)
  IMAGE_DIR=$STATE/image/$RECIPE
  [[ ! -f $IMAGE_DIR/done ]] || return 0
  find "$STATE/image" -mindepth 1 -maxdepth 1 -exec rm -rf {} + 2>/dev/null || true   # an older recipe, or a half-made one
  mkdir -p "$IMAGE_DIR/add"
  fetch_node "$IMAGE_DIR/add"
  write_init "$IMAGE_DIR/add"
  bootstrap "$IMAGE_DIR/add" "$IMAGE_DIR/rootfs.tar"
  write_incus_metadata "$IMAGE_DIR/meta.tar"
  rm -rf "$IMAGE_DIR/add"
  touch "$IMAGE_DIR/done"
  change "base image $IMAGE_DIR/rootfs.tar ($(du -h "$IMAGE_DIR/rootfs.tar" | cut -f1))"
}

fetch_node() { # ROOT: Node and npm come as npm packages, from whatever registry npm is set to
  has npm || fail "npm is needed on the host to fetch Node for the base image" "install Node 20 or newer, with npm"
  local root=$1 arch=x64 kept=$1/usr/local/lib/node_modules/npm
  [[ $(uname -m) != aarch64 ]] || arch=arm64
  mkdir -p "$root/pack" "$root/usr/local/bin" "$kept"
  ( cd "$root/pack" && quietly npm pack --silent "node-linux-$arch@$NODE_MAJOR" "npm@$NPM_MAJOR" ) ||
    fail "npm could not fetch node-linux-$arch@$NODE_MAJOR and npm@$NPM_MAJOR" "npm view node-linux-$arch version"
  tar -xzf "$root"/pack/node-linux-*.tgz -C "$root/usr/local" --strip-components=1 --no-same-owner package/bin/node
  tar -xzf "$root"/pack/npm-[0-9]*.tgz -C "$kept" --strip-components=1 --no-same-owner
  rm -rf "$root/pack" "$kept/man" "$kept/docs"
  chmod 755 "$root/usr/local/bin/node" "$kept"/bin/*.js
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
}

write_init() { # ROOT: Incus boots /sbin/init. Without one `lo` stays down and nothing answers on 127.0.0.1 (observed)
  mkdir -p "$1/etc"
  cat >"$1/etc/inittab" <<'INITTAB'
::sysinit:/bin/busybox ip link set lo up
INITTAB
}

bootstrap() { # ADD TARBALL
  local add=$1 tarball=$2 uri suite component sources=()
  while read -r uri suite component; do
    case $suite/$component in *-backports/*) ;; */main | */universe) sources+=("deb $uri $suite $component") ;; esac
  done < <(distribution_sources)
  (( ${#sources[@]} )) || fail "no Debian or Ubuntu archive found among the apt sources" "apt-get update"
  local slim=() path
  for path in man doc info locale lintian linda bug; do slim+=("--dpkgopt=path-exclude=/usr/share/$path/*"); done
  # shellcheck disable=SC2016  # "$1" is for mmdebstrap's shell
  quietly mmdebstrap --quiet --mode=root --variant=minbase --include="$BASE_PACKAGES" "${slim[@]}" \
    --aptopt='Acquire::Languages "none"' \
    --customize-hook="cp -a '$add'/. \"\$1\"" \
    --customize-hook='ln -sf /bin/busybox "$1/sbin/init"' \
    --customize-hook='rm -rf "$1"/var/cache/apt/*.bin "$1"/var/cache/debconf/* "$1"/var/log/* "$1"/usr/share/locale/*' \
    "$(codename)" "$tarball" "${sources[@]}" ||
    fail "mmdebstrap could not make the base image" "tail -30 $LOG"
}

write_incus_metadata() { # TARBALL
  local dir; dir=$(mktemp -d)
  cat >"$dir/metadata.yaml" <<YAML
architecture: $(uname -m)
creation_date: $(date +%s)
properties:
  description: cagematch base ($(codename), Node $NODE_MAJOR)
  os: cagematch
  release: $(codename)
  cagematch.recipe: "$RECIPE"
YAML
  tar -C "$dir" -cf "$1" metadata.yaml
  rm -rf "$dir"
}
