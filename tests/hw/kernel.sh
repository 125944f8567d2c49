# Sourced by run.sh: fetches Debian's kernel once and unpacks it into the cache.
# Sets kernel_image, kernel_release and kernel_tree (a folder that holds lib/modules).

kernel_cache=${KWHOST_HW_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kwhost/hw}

# Names the newest versioned kernel package that this machine's apt knows.
kernel_package() {
  apt-cache depends --no-recommends --no-suggests linux-image-amd64 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

# Unpacks into a scratch folder first: a fetch that is cut short never looks like a complete one.
kernel_fetch() {
  local package scratch release
  package=$(kernel_package)
  if [[ -z $package ]]; then
    apt-get -qq update && package=$(kernel_package)
  fi
  [[ -n $package ]] || fail "no linux-image-amd64 in apt's sources; put vmlinuz and lib/modules into $kernel_cache/kernel"
  echo "hw: fetching $package into $kernel_cache (once)" >&2
  scratch=$(mktemp -d "$kernel_cache/fetch.XXXXXX")
  chmod 755 "$scratch"
  (
    cd "$scratch"
    apt-get -qq -o APT::Sandbox::User=root download "$package" >/dev/null
    dpkg-deb --fsys-tarfile ./*.deb | tar -x ./boot ./lib/modules
    rm -f ./*.deb
    release=$(basename lib/modules/*)
    mv "boot/vmlinuz-$release" vmlinuz
    rm -rf boot
    depmod -b . "$release"
  ) || { rm -rf "$scratch"; fail "could not fetch or unpack $package"; }
  mv -T "$scratch" "$kernel_cache/kernel" 2>/dev/null || rm -rf "$scratch" # another run was first
}

kernel_prepare() {
  mkdir -p "$kernel_cache"
  [[ -f $kernel_cache/kernel/vmlinuz ]] || kernel_fetch
  kernel_tree=$kernel_cache/kernel
  kernel_image=$kernel_tree/vmlinuz
  kernel_release=$(basename "$kernel_tree"/lib/modules/*)
}

# Prints the files of the given modules and of what they need, in loading order. Those that this
# kernel has built in, or lacks, are left out.
kernel_module_files() {
  local name
  for name in "$@"; do
    modprobe -d "$kernel_tree" -S "$kernel_release" --show-depends "$name" 2>/dev/null || true
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}
