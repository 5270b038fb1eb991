# Gives a bash or zsh shell ROS 2, libtorch and this package's messages, for cargo, Python and cmake alike:
#   source tools/env.sh
# The Rust binaries do not need it: their library path is built in.

if [ -n "${ZSH_VERSION:-}" ]; then
  eval '_am_root=${(%):-%x}' # zsh's way to name the sourced file; other shells could not even parse it
else
  _am_root=${BASH_SOURCE[0]}
fi
_am_root=$(cd "$(dirname "$_am_root")/.." && pwd -P)

# Prepends $2 to the variable named $1 unless its first entry is there already.
_am_prepend() {
  eval "_am_old=\${$1:-}"
  case ":$_am_old:" in
    *":${2%%:*}:"*) ;;
    *) eval "export $1=\"\$2\${_am_old:+:\$_am_old}\"" ;;
  esac
}

if [ -f "$_am_root/.deps/env.sh" ]; then
  . "$_am_root/.deps/env.sh"
  _am_prepend PATH "$_am_bin"
  _am_prepend LD_LIBRARY_PATH "$_am_lib"
  _am_prepend PYTHONPATH "$_am_python"
  # A small /dev/shm, such as the 64 MB of Docker, has no room for the segments of the usual transport profile.
  _am_shm=$(df -Pk /dev/shm 2>/dev/null | { read -r _am_line; read -r _am_line _am_size _am_line && echo "$_am_size"; } || :)
  if [ "$FASTRTPS_DEFAULT_PROFILES_FILE" = "$_am_root/params/fastdds.xml" ] && [ "${_am_shm:-0}" -lt 412876 ]; then
    export FASTRTPS_DEFAULT_PROFILES_FILE="$_am_root/params/fastdds_small.xml"
  fi
  _am_status=0
else
  echo "env.sh: nothing is set up yet; run tools/setup first" >&2
  _am_status=1
fi
unset -f _am_prepend
unset _am_root _am_bin _am_lib _am_python _am_old _am_shm
eval "unset _am_status; return $_am_status"
