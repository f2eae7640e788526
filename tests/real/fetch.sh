#!/usr/bin/env bash
# Puts a real Prometheus and Alertmanager into .cache/real/bin, with promtool and amtool, and espeak-ng.
#
# What SEVROUTER_PROMETHEUS, SEVROUTER_ALERTMANAGER and SEVROUTER_ESPEAK_NG name, or PATH holds, is taken as it is. The rest comes out of
# the packages of Debian or Ubuntu, unpacked and not installed: no root, no service started, and the system's package
# lists stay as they are. Where that cannot be, this says why and ends well: the tests then skip, or fail if CI=true.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
real="$PWD/.cache/real"

give_up() {
  {
    echo "*** No real ${packages[*]} for the tests: $1"
    echo '*** Install what is missing, or name it: SEVROUTER_PROMETHEUS=… SEVROUTER_ALERTMANAGER=… SEVROUTER_ESPEAK_NG=…'
    echo '*** (paths of the binaries).'
  } >&2
  exit 0
}

have() {
  local named=$1
  shift
  [[ -z $named ]] || return 0
  local name
  for name in "$@"; do
    if [[ -x $real/bin/$name ]] || command -v "$name" >/dev/null; then return 0; fi
  done
  return 1
}

# apt with state, cache and hooks of its own. The system's sources and proxies still hold.
private_apt() {
  apt-get -c "$work/apt.conf" "$@" >>"$work/log" 2>&1
}

download() {
  local package
  for package in "${packages[@]}"; do
    if [[ $package == espeak-ng ]]; then
      download_with_libraries "$package" "$@" || return 1
    else
      (cd "$work/packages" && private_apt "$@" download "$package") || return 1
    fi
  done
}

# With those of its libraries that are not installed here.
download_with_libraries() {
  local package=$1
  shift
  private_apt "$@" --yes --no-install-recommends --download-only install "$package" &&
    mv "$work"/cache/archives/*.deb "$work/packages/"
}

packages=()
have "${SEVROUTER_PROMETHEUS:-}" prometheus || packages+=(prometheus)
have "${SEVROUTER_ALERTMANAGER:-}" alertmanager prometheus-alertmanager || packages+=(prometheus-alertmanager)
have "${SEVROUTER_ESPEAK_NG:-}" espeak-ng || packages+=(espeak-ng)
[[ ${#packages[@]} -gt 0 ]] || exit 0

for tool in apt-get dpkg-deb; do
  command -v "$tool" >/dev/null || give_up "there is no $tool here, and only Debian's packages are known to this script."
done

mkdir -p "$real/bin"
work=$(mktemp -d "$real/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{packages,cache/archives/partial,lists/partial}
cat >"$work/apt.conf" <<EOF
Dir::Cache "$work/cache";
APT::Sandbox::User "$(id -un)";
Debug::NoLocking "true";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
Acquire::Languages "none";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
EOF

echo "Fetching ${packages[*]} for the tests …"
# The system's lists may be there and fresh, which saves half a minute. If not, lists of our own are fetched; that
# one source of several cannot be reached is no reason to stop.
own_lists=(-o "Dir::State::lists=$work/lists")
if ! download; then
  private_apt "${own_lists[@]}" update || true
  download "${own_lists[@]}" || give_up "apt-get could not download them:
$(tail -n 5 "$work/log")"
fi

for package in "$work"/packages/*.deb; do
  dpkg-deb --extract "$package" "$work/tree"
done

# Debian's Alertmanager reads its default templates from one fixed folder. This one reads them from the folder that
# its starter hands it as file descriptor 9, under a name of the same length.
install_alertmanager() {
  local fixed=/usr/share/prometheus/alertmanager
  local handed=/proc/self/fd/9
  while [[ ${#handed} -lt ${#fixed} ]]; do handed+=/; done
  LC_ALL=C sed -i "s|$fixed|$handed|g" "$1"
  rm -rf "$real/alertmanager"
  mkdir "$real/alertmanager"
  mv "$1" "$real/alertmanager/alertmanager"
  mv "$work/tree$fixed" "$real/alertmanager/share"
  cat >"$work/starter" <<'EOF'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")/../alertmanager
exec 9<"$here/share"
exec "$here/alertmanager" "$@"
EOF
  chmod +x "$work/starter"
  mv -f "$work/starter" "$real/bin/alertmanager"
}

for name in prometheus promtool amtool; do
  if [[ -x $work/tree/usr/bin/$name ]]; then mv -f "$work/tree/usr/bin/$name" "$real/bin/$name"; fi
done
if [[ -x $work/tree/usr/bin/prometheus-alertmanager ]]; then
  install_alertmanager "$work/tree/usr/bin/prometheus-alertmanager"
fi

# espeak-ng finds its voices and libraries where its starter says.
install_espeak() {
  rm -rf "$real/espeak-ng"
  mkdir "$real/espeak-ng"
  mv "$1" "$real/espeak-ng/espeak-ng"
  mv "$work/tree/usr/lib" "$real/espeak-ng/lib"
  cat >"$work/starter" <<'EOF'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")/../espeak-ng
libraries=$(echo "$here"/lib/*-linux-*)
export ESPEAK_DATA_PATH="$libraries" LD_LIBRARY_PATH="$libraries:$libraries/pulseaudio"
exec "$here/espeak-ng" "$@"
EOF
  chmod +x "$work/starter"
  mv -f "$work/starter" "$real/bin/espeak-ng"
}

if [[ -x $work/tree/usr/bin/espeak-ng ]]; then install_espeak "$work/tree/usr/bin/espeak-ng"; fi
