#!/bin/sh
# From a stream of mariadb-backup's to a prepared data directory. POSIX shell: it runs where the database tools live,
# which may be a small container.
#
#     sh unpack.sh DIRECTORY NEEDED VERSION STEP...
#
# NEEDED are the bytes that must be free, VERSION that of the server that was saved, empty where nobody knows it. STEP is
# `place`, which makes the directory; `extract`, of the stream on standard input; `prepare`; or `options`, the part of
# `prepare` that says which options of the archive's own file are kept. All but the first work in the working directory,
# which `place` makes the directory. A step that fails leaves its reason on standard
# error, after `cloudbackup: `; what is learnt goes to standard output, a line each, after `cloudbackup `.
set -u
directory=$1 needed=$2 made=$3
shift 3
unusable=65 # exit code: the directory is not empty, or none

fail() {
  echo "cloudbackup: $1" >&2
  exit "${2:-1}"
}
say() { printf 'cloudbackup %s\t%s\n' "$1" "$2"; }
series() { printf '%s' "$1" | sed 's/^\([0-9]*\.[0-9]*\)\..*/\1/'; }

find_tools() {
  for tool in mariadb-backup mariabackup; do command -v "$tool" >/dev/null && break; done
  command -v "$tool" >/dev/null || fail "$tool: not found"
  command -v mbstream >/dev/null || fail "mbstream: not found"
  have=$("$tool" --no-defaults --version 2>&1 | sed -n 's/.*based on MariaDB server //p')
  umask 007
  # shellcheck disable=SC3045 # where a shell has no such limit, the system's holds
  ulimit -n "$(ulimit -H -n)" 2>/dev/null
}

same_series() {
  [ "$(series "$made")" = "$(series "$have")" ] ||
    fail "the backup is of MariaDB $(series "$made"), mariadb-backup is of $(series "$have")"
}

# Before anything is unpacked, with the rights of whoever restores.
place() {
  if [ -e "$directory" ] || [ -L "$directory" ]; then
    [ -d "$directory" ] || fail "$directory is no directory" "$unusable"
    [ -z "$(ls -A "$directory")" ] || fail "$directory is not empty" "$unusable"
  fi
  [ -z "$made" ] || same_series
  { mkdir -p -- "$directory" && chmod 700 -- "$directory"; } || fail "cannot make $directory"
  trap 'exit 143' TERM INT HUP
  trap 'code=$?; [ "$code" = 0 ] || rm -rf -- "$directory"; exit "$code"' EXIT
  cd -- "$directory" || fail "cannot enter $directory"
  # shellcheck disable=SC2004 # the text is an expression
  free=$(stat -f -c '%a * %S' .) && free=$(($free)) || free=$needed
  [ "$free" -ge "$needed" ] || fail "no room in $directory: $needed bytes are needed, $free are free"
}

odd() { find . "$@" -print | head -n 1 | tr -c '[:alnum:]_./#@\n-' '?'; }

# mbstream leaves out a name with `..` or a leading slash, says so and ends with 0 (tried, 10.11.19). mariadb-backup
# copies files of known kinds only (ext_list of its backup_copy.cc); MyRocks has a folder of its own. A copy of a table
# with DATA DIRECTORY brings a file *.isl that names the live server's file, and a server started on the copy would open
# that one (tried, 10.11.19): none may be left, nor an option file. mariadb-backup copies neither the files of a replica's
# threads, nor lists of binary logs, nor the log of unfinished changes to tables (ddl_recovery.log). A server that finds a
# master.info follows the master that whoever made the archive names (tried, 10.11.19); by the others it would rename and
# remove files.
extract() {
  mbstream -x 2>cloudbackup_said && code=0 || code=$?
  cat cloudbackup_said >&2
  [ "$code" = 0 ] || fail "mbstream cannot unpack the archive"
  ! grep -q 'invalid filename' cloudbackup_said || fail "the archive holds a file whose name leads out of the directory"
  rm -f -- cloudbackup_said cloudbackup_padding
  name=$(odd ! -type f ! -type d)
  [ -z "$name" ] || fail "the archive holds $name, which is no plain file"
  name=$(odd -mindepth 3)
  [ -z "$name" ] || fail "the archive holds $name, which is deeper than any table"
  name=$(odd -mindepth 2 -type f ! -path './#rocksdb/*' \
    ! -name '*.ibd' ! -name '*.ibd.new' ! -name '*.isl' ! -name '*.link' ! -name '*.frm' ! -name '*.frm.new' \
    ! -name '*.MYD' ! -name '*.MYI' ! -name '*.MAD' ! -name '*.MAI' ! -name '*.MRG' ! -name '*.TRG' ! -name '*.TRN' \
    ! -name '*.ARM' ! -name '*.ARZ' ! -name '*.CSM' ! -name '*.CSV' ! -name '*.opt' ! -name '*.par' ! -name '*.new' \
    ! -name '*.ren' ! -name '*.del' ! -name '*.crt')
  [ -z "$name" ] || fail "the archive holds $name, which is no file of a table"
  find . -mindepth 1 -maxdepth 1 -type f \( -name '*.cnf' -o -name '*.ini' -o -name '.*' -o -name '*.info' \
    -o -name '*.index' -o -name '*ddl[_-]recovery*' \) ! -name backup-my.cnf -exec rm -f -- {} +
  for name in checkpoints info; do
    [ -f "xtrabackup_$name" ] || [ -f "mariadb_backup_$name" ] ||
      fail "the archive is no whole backup: *_$name is missing"
  done
  made=$(sed -n 's/^server_version = //p' xtrabackup_info mariadb_backup_info 2>/dev/null)
  same_series
  say version "$made"
  say position "$(cat xtrabackup_binlog_info mariadb_backup_binlog_info 2>/dev/null)"
  for name in slave galera; do
    grep -h . "xtrabackup_${name}_info" "mariadb_backup_${name}_info" 2>/dev/null | head -n 20 |
      while IFS= read -r line; do say $name "$line"; done
  done
}

written() { sed -n "s/^$1=//p" backup-my.cnf | tail -n 1; }

# mariadb-backup --prepare takes the option file that comes in the archive for its own: it loads any plugin that stands
# there, from any directory, and follows any path (tried, 10.11.19: a program out of the archive ran as root). So only
# what the data needs is left of it, and plugins are known ones, from where programs are installed.
options() {
  for plugin in $(written plugin_load | tr ';' ' '); do
    name=${plugin%%=*} library=${plugin#*=}
    [ "$name" = "${library%.so}" ] || name="$name from $library"
    case $name in
      provider_bzip2 | provider_lz4 | provider_lzma | provider_lzo | provider_snappy) ;;
      file_key_management)
        [ -r "$(written file_key_management_filename)" ] ||
          fail "the data is encrypted with the keys in $(written file_key_management_filename), which cannot be read"
        ;;
      *) fail "the data needs the server's plugin $name, which is not loaded because an archive says so" ;;
    esac
  done
  library=$(written plugin_dir | tr -d '"')
  case $library/ in "$directory"/* | *..*) library= ;; /usr/* | /opt/*) ;; *) library= ;; esac
  case $(written innodb_data_file_path) in
    */*) fail "the system tablespace lies outside of the data directory: $(written innodb_data_file_path)" ;;
  esac
  { sed -n -e '/\.\./d' -e '/^\[mysqld\]$/p' -e '/^innodb_[a-z_]*=\(\.\/\)\{0,1\}[^/]*$/p' -e '/^plugin_load=/p' \
    -e '/^file_key_management_[a-z_]*=/p' backup-my.cnf >cloudbackup_options &&
    cat cloudbackup_options >backup-my.cnf; } || fail "cannot read the archive's backup-my.cnf"
  rm -f cloudbackup_options
  [ -z "$(written plugin_load)" ] || echo "plugin_dir=${library:-/usr/lib/mysql/plugin}" >>backup-my.cnf
}

prepare_once() {
  "$tool" --prepare --target-dir="$directory" >cloudbackup_prepare 2>&1 && code=0 || code=$?
  cat cloudbackup_prepare >&2
}

prepare() {
  options
  find . \( -name '*.isl' -o -name '*.link' \) | while IFS= read -r file; do
    case $file in *.isl) say link "$file" ;; esac
    rm -f -- "$file"
  done
  # With pages that were damaged on the server, a first run ends with 1 once all others are as they should be.
  if [ -s innodb_corrupted_pages ]; then
    prepare_once
    sed -n 's/.*corrupted page \([0-9]*\) of tablespace \(.*\) can not be fixed.*/\1\t\2/p' cloudbackup_prepare |
      while IFS= read -r line; do say damaged "$line"; done
  fi
  rm -f innodb_corrupted_pages
  prepare_once
  case $(tail -n 1 cloudbackup_prepare) in
    *'completed OK!') ;;
    *)
      code=1
      echo 'cloudbackup: mariadb-backup did not say that it completed' >&2
      ;;
  esac
  rm -f cloudbackup_prepare
  say walls "${CLOUDBACKUP_WALLS:-}"
  [ "$code" = 0 ] || exit "$code"
}

[ "$1" = options ] || find_tools
for step in "$@"; do "$step"; done
