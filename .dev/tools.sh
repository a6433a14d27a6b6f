# Finds the tools that Windrow's scripts need, and installs missing ones. Sourced by the scripts.
#
# Installed tools are left unchanged. Packages are installed with apt, as root or with sudo; without
# these rights an error names the packages. Linux only.

PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin

say() { printf '==> %s\n' "$*" >&2; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

need_rust() {
  command -v cargo >/dev/null ||
    fail "Rust is not installed. Install it with rustup (https://rustup.rs), then run this again."
}

# need_packages TOOL...: installs the packages of missing tools (compiler, postgres, pgbouncer, valgrind, venv, npm).
need_packages() {
  local what packages=()
  for what in "$@"; do
    "has_$what" || packages+=($("packages_of_$what"))
  done
  if ((${#packages[@]})); then
    apt_install "${packages[@]}"
  fi
  for what in "$@"; do
    "has_$what" || fail "$what is still missing after the installation; install it by hand, then run this again."
  done
}

# Compiles and links a program, because a compiler without the C library's headers is useless. The allocator is built
# by make.
has_compiler() {
  local program works=0
  command -v cc >/dev/null && command -v make >/dev/null || return 1
  program=$(mktemp)
  printf '#include <stdio.h>\nint main(void) { return puts(""); }\n' |
    cc -x c - -o "$program" 2>/dev/null || works=1
  rm -f "$program"
  return "$works"
}
packages_of_compiler() { echo gcc libc6-dev make; }

has_postgres() { postgres_bin_dir >/dev/null; }
packages_of_postgres() { echo postgresql; }

has_valgrind() { command -v valgrind >/dev/null; }
packages_of_valgrind() { echo valgrind; }

has_pgbouncer() { [[ -x /usr/sbin/pgbouncer ]]; }
packages_of_pgbouncer() { echo pgbouncer; }

has_venv() { python3 -c 'import ensurepip, venv' 2>/dev/null; }
packages_of_venv() { echo python3 python3-venv; }

has_npm() { command -v npm >/dev/null; }
packages_of_npm() { echo nodejs npm; }

# Prints the directory of `initdb` and `postgres`: from PATH, from Debian's highest version, or from
# pg_config. Follows a link in PATH.
postgres_bin_dir() {
  local dir
  for dir in \
    "$(dirname "$(readlink -f "$(command -v initdb || echo /nowhere/initdb)")")" \
    $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -t / -k 5,5nr) \
    "$(pg_config --bindir 2>/dev/null || true)"; do
    if [[ -x $dir/initdb && -x $dir/postgres ]]; then
      printf '%s\n' "$dir"
      return 0
    fi
  done
  return 1
}

# Empty for root.
AS_ROOT=()

apt_install() {
  local package
  if ! command -v apt-get >/dev/null; then
    fail "Missing packages: $* (Debian names). This system has no apt-get; install them, then run this again."
  fi
  if ((EUID != 0)); then
    # Without a terminal, sudo must not ask for a password.
    if ! command -v sudo >/dev/null || { [[ ! -t 0 ]] && ! sudo -n true 2>/dev/null; }; then
      fail "Missing packages: $*. Run 'apt-get install $*' as root, then run this again."
    fi
    AS_ROOT=(sudo)
  fi
  say "Installing $* with apt-get${AS_ROOT[*]:+, through sudo}"
  apt_get update
  for package in "$@"; do
    if [[ $package == postgresql ]]; then
      postgres_install
    else
      apt_get install --no-install-recommends "$package"
    fi
  done
}

# Debian's package creates a cluster and starts it on port 5432. Windrow does not use it, so this is
# switched off during the installation.
postgres_install() {
  local settings=/etc/postgresql-common/createcluster.conf package=postgresql-15 status=0
  apt-cache show "$package" >/dev/null 2>&1 || package=postgresql
  apt_get install --no-install-recommends postgresql-common
  "${AS_ROOT[@]}" cp -p "$settings" "$settings.windrow"
  "${AS_ROOT[@]}" sed -i -E 's/^#? *create_main_cluster *=.*/create_main_cluster = false/' "$settings"
  (apt_get install --no-install-recommends "$package") || status=$?
  "${AS_ROOT[@]}" mv "$settings.windrow" "$settings"
  return "$status"
}

apt_get() {
  "${AS_ROOT[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" >&2 </dev/null ||
    fail "apt-get $1 failed; see its output above."
}
