#!/usr/bin/env bash
# Gives this machine the ImageMagick 7 that Imago is built and tested against.
# See --help. Kept to bash 3.2, because macOS still ships that.
set -euo pipefail

usage() {
  cat <<USAGE
Usage: ${0##*/} [--prefix DIR] [--build] [--help]
Makes sure of an ImageMagick ($series) with its headers, and of what
building Imago against it needs (libclang, pkg-config, a C compiler, libjpeg,
libwebp, fonts):
  1. one that pkg-config finds, with a working magick beside it, is used as it is;
  2. else the system's own package is installed, where it is new enough;
  3. else, with apt, it is built from Debian's source package, into /usr/local
     as root, into \$HOME/.local otherwise.
Safe to run again: with nothing to do it takes a second.
  --prefix DIR         use DIR only, and build into it; or set PREFIX=DIR
  --build              build even where another ImageMagick would do
Also from the environment:
  IMAGO_DEBIAN_SUITE   the Debian suite whose source is built (default: trixie)
  IMAGO_DEBIAN_MIRROR  a Debian mirror's address, for a machine whose apt knows none
USAGE
}

# magick_rust takes 7.1.1 and later, and 7.2 may change the ABI.
readonly series='at least 7.1.1, below 7.2'
version_fits() { [[ ${1#*:} =~ ^7\.1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 1)); }

# What Imago's tests hold ImageMagick to: delegates as `magick -version` names them,
# formats as `magick -list format` does (r: reads, rw: also writes).
readonly delegates='bzlib fftw fontconfig freetype heic jng jp2 jpeg jxl lcms lqr
  lzma openexr pangocairo png raw rsvg tiff webp xml zlib zstd'
readonly formats='JPEG:rw PNG:rw WEBP:rw TIFF:rw GIF:rw HEIC:rw AVIF:rw JXL:rw
  JP2:rw EXR:rw DNG:r SVG:r PANGO:r'

# Debian's names. ImageMagick's default font is Helvetica or Arial by name, which
# only the URW fonts answer to: without them `label:` fails, DejaVu or not.
readonly tool_packages='gcc pkg-config libclang-dev libjpeg-dev libwebp-dev fonts-dejavu-core fonts-urw-base35'
readonly build_packages='g++ make patch xz-utils libbz2-dev libfftw3-dev libfontconfig-dev
  libfreetype-dev libheif-dev libjpeg-dev libjxl-dev liblcms2-dev liblqr-1-0-dev
  liblzma-dev libopenexr-dev libopenjp2-7-dev libpango1.0-dev libpng-dev libraw-dev librsvg2-dev
  libtiff-dev libwebp-dev libxml2-dev libzstd-dev zlib1g-dev'
# Not in every release: newer libheif has its codecs in packages of their own.
readonly optional_packages='libraqm-dev libheif-plugin-aomdec libheif-plugin-aomenc
  libheif-plugin-dav1d libheif-plugin-libde265 libheif-plugin-x265'

suite=${IMAGO_DEBIAN_SUITE:-trixie}
prefix=${PREFIX:-}
build_asked=no
root='' # where the ImageMagick that is used lives: its bin/magick, its lib
work='' log='' keep_log=no job='' job_label='' lists_updated=no told_why=no

say() { printf 'imagemagick: %s\n' "$*"; }
warn() { say "$@" >&2; }
die() { warn "error: $*"; told_why=yes; exit 1; }
is_root() { [[ $(id -u) -eq 0 ]]; }
have() { command -v "$1" >/dev/null 2>&1; }

cleanup() {
  local status=$?
  set +e
  trap '' INT TERM HUP
  case ${job:+$job_label} in
    '') ;;
    apt-get* | dpkg*) warn "letting $job_label finish" ;; # else packages stay half configured
    *) kill "$job" ;;
  esac
  wait
  [[ -z $work ]] || rm -rf "$work"
  [[ $keep_log == yes ]] || rm -f "$log"
  [[ $status -eq 0 || $told_why == yes ]] || warn "stopped before the end (status $status); run it again to begin anew"
  exit "$status"
}

fail_with_log() {
  keep_log=yes
  warn "the log's last lines:"
  tail -n 30 "$log" >&2
  die "$1 (whole log: $log)"
}

# run_logged LABEL TOTAL COMMAND...: runs the command with its output in the log,
# showing how long it has taken and, given a TOTAL, how many files it compiled.
run_logged() {
  local total=$2 start=$SECONDS told=$SECONDS status=0 line
  job_label=$1
  shift 2
  [[ -t 1 ]] || say "$job_label ..."
  # The job must not hold the lock on: it may outlive a killed script.
  "$@" >>"$log" 2>&1 </dev/null 9<&- &
  job=$!
  while kill -0 "$job" 2>/dev/null; do
    sleep 0.2
    line="$job_label: $((SECONDS - start)) s"
    [[ -z $total ]] || line+=", $(grep -cE '^  (CC|CXX) .*o$' "$log" || true) of $total files"
    if [[ -t 1 ]]; then printf '\r\033[Kimagemagick: %s' "$line"
    elif ((SECONDS - told >= 20)); then told=$SECONDS; say "$line"; fi
  done
  wait "$job" || status=$?
  job=''
  [[ ! -t 1 ]] || printf '\n'
  return "$status"
}

find_installed() {
  local version found path=$prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
  version=$(PKG_CONFIG_PATH=$path pkg-config --modversion MagickWand 2>/dev/null) || return 1
  found=$(PKG_CONFIG_PATH=$path pkg-config --variable=exec_prefix MagickWand)
  [[ $prefix_asked == no || $found == "$prefix" ]] || return 1
  root=$found
  version_fits "$version" && [[ $("$root/bin/magick" -version 2>/dev/null) == *"ImageMagick $version"* ]] && return
  say "the ImageMagick $version under $found will not do: not $series, or without a magick that runs"
  return 1
}

# lacking MAGICK DELEGATES: prints what Imago needs and this magick has not.
lacking() {
  local magick=$1 about list want
  about=" $("$magick" -version | sed -n 's/^Delegates[^:]*: *//p') "
  for want in $2; do [[ $about == *" $want "* ]] || printf '%s ' "$want"; done
  # Which column has the mode depends on how ImageMagick was built.
  list=" $("$magick" -list format | awk '{ sub(/\*$/, "", $1)
    for (i = 2; i <= 3; i++) if ($i ~ /^[r-][w-][+-]$/) { print $1 ":" $i; break } }' | tr '\n' ' ')"
  for want in $formats; do [[ $list == *" $want"* ]] || printf '%s ' "$want"; done
  [[ $("$magick" -list font) == *Font:* ]] || printf 'fonts '
  "$magick" label:Ag null: >/dev/null 2>&1 || printf 'a-font-for-label: '
}

# A source of no concern here may fail, and a package that is missing is told by name.
apt_update() {
  [[ $lists_updated == yes ]] || run_logged 'apt-get update' '' apt-get update || warn 'apt-get update failed; going on'
  lists_updated=yes
}
apt_candidate() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: \([0-9].*\)/\1/p'; }
offered() { for name in "$@"; do [[ -z $(apt_candidate "$name") ]] || printf '%s ' "$name"; done; }

apt_need() {
  local installed name missing=''
  # shellcheck disable=SC2016 # dpkg-query fills these in
  installed=" $(dpkg-query -W -f '${Package}=${db:Status-Status}\n' "$@" 2>/dev/null | tr '\n' ' ' || true)"
  for name in "$@"; do [[ $installed == *" $name=installed "* ]] || missing+=" $name"; done
  [[ -n $missing ]] || return 0
  is_root || die "packages are missing. Have an administrator run:
apt-get update && apt-get install -y --no-install-recommends$missing"
  apt_update
  for name in $missing; do [[ -n $(apt_candidate "$name") ]] || die "apt offers no $name on this machine"; done
  say "packages to install:$missing"
  export DEBIAN_FRONTEND=noninteractive
  # An earlier run that was killed may have left dpkg half way.
  run_logged 'dpkg --configure -a' '' dpkg --configure -a || true
  # shellcheck disable=SC2086 # a list of names
  run_logged 'apt-get install' '' apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=600 $missing ||
    fail_with_log 'apt-get install failed'
}

dnf_need() {
  ! rpm -q "$@" >/dev/null 2>&1 || return 0
  is_root || die "packages are missing. Have an administrator run: dnf install -y $*"
  run_logged 'dnf install' '' dnf install -y "$@" || fail_with_log 'dnf install failed'
}

# What building Imago needs beside ImageMagick, and the packages named, in one go.
need_tools_and() {
  # shellcheck disable=SC2086 # a list of names
  case $manager in
    apt) apt_need $tool_packages "$@" ;;
    dnf) dnf_need gcc clang-devel libjpeg-turbo-devel libwebp-devel pkgconf-pkg-config "$@" ;;
    brew) brew install pkg-config jpeg-turbo webp "$@" ;; # macOS's own clang brings libclang
  esac
}

install_system_package() {
  local version='' extra
  case $manager in
    brew) need_tools_and imagemagick && return ;; # Homebrew has only the newest
    dnf) version=$(dnf -q repoquery --latest-limit=1 --qf '%{version}\n' ImageMagick-devel | tail -n 1) ;;
    apt)
      [[ -n $(apt_candidate libmagickwand-dev) ]] || ! is_root || apt_update
      version=$(apt_candidate libmagickwand-dev)
      ;;
  esac
  version_fits "$version" || { say "the system's own package is ${version:-not to be had}: not $series"; return 1; }
  [[ $manager == apt ]] || { need_tools_and ImageMagick ImageMagick-devel; return; }
  # The coders with many dependencies are in a package named by its soname.
  extra=$(apt-cache search --names-only '^libmagickcore-7\.q16-[0-9]+-extra$' | sed 's/ .*//')
  # shellcheck disable=SC2046,SC2086 # lists of names
  need_tools_and imagemagick libmagickwand-dev $extra $(offered ${optional_packages#libraqm-dev})
}

# Prints "SITE LABEL" of each Debian archive that apt is set up with.
debian_sites() {
  [[ -z ${IMAGO_DEBIAN_MIRROR:-} ]] || { printf '%s Debian\n' "$IMAGO_DEBIAN_MIRROR"; return; }
  # shellcheck disable=SC2016 # apt fills these in
  apt-get indextargets --format '$(SITE) $(LABEL)' 'Created-By: Packages' | sort -u |
    awk 'NF == 2 && ($2 == "Debian" || $2 == "Debian-Security")'
}

# apt with lists, cache and sources of its own, so that the machine's apt never
# hears of the other suite. Of the machine's settings only how to reach the
# network is kept: hooks would act on the machine, and others may weaken the checks.
private_apt() { APT_CONFIG="$work/apt/conf" "$@"; }

set_up_private_apt() {
  local sites site label keyring
  sites=$(debian_sites)
  # apt knows the labels only once it has lists.
  [[ -n $sites ]] || ! is_root || { apt_update; sites=$(debian_sites); }
  [[ -n $sites ]] || die "apt on this machine knows no Debian mirror to take ImageMagick's source from. Install the
package debian-archive-keyring, set IMAGO_DEBIAN_MIRROR to a Debian mirror's address (it ends in /debian) and run
this again; or install an ImageMagick ($series) yourself, with its MagickWand.pc on PKG_CONFIG_PATH."
  for keyring in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp} ''; do [[ ! -f $keyring ]] || break; done
  [[ -n $keyring ]] || die "Debian's archive keyring is not here: install the package debian-archive-keyring"
  mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
  while read -r site label; do
    printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' \
      "$site" "$suite$([[ $label == Debian ]] || printf -- -security)" "$keyring"
  done <<<"$sites" >"$work/apt/debian.sources"
  {
    apt-config dump | grep -iE '^Acquire::(https?|socks|Retries|ForceIPv)' || true
    printf '%s "%s";\n' Dir::State::lists "$work/apt/lists" Dir::Cache "$work/apt/cache" \
      Dir::Etc::sourcelist "$work/apt/debian.sources" Dir::Etc::sourceparts /dev/null \
      Dir::Etc::parts /dev/null Dir::Etc::main /dev/null APT::Sandbox::User "$(id -un)"
  } >"$work/apt/conf"
}

# fetch SHA256 FILE: from whichever address the signed indices give for that hash.
fetch() {
  local url
  while read -r url; do
    if private_apt /usr/lib/apt/apt-helper download-file "$url" "$2" "SHA256:$1" >>"$log" 2>&1 </dev/null &&
      printf '%s  %s\n' "$1" "$2" | sha256sum --check --quiet >>"$log" 2>&1; then return 0; fi
    rm -f "$2"
  done < <(awk -v hash="$1" '$1 == hash { print $3 }' "$work/files" | sort -u)
  return 1
}

get_source() {
  local versions version
  set_up_private_apt
  # The exit status is not asked: not every suite has a security suite.
  run_logged "reading the source index of Debian $suite" '' private_apt apt-get update || true
  versions=$(private_apt apt-cache showsrc --only-source imagemagick 2>>"$log" |
    sed -n 's/^Version: //p' | sort -ruV || true)
  [[ -n $versions ]] || fail_with_log "Debian $suite, as these mirrors give it, has no ImageMagick"
  for version in $versions; do
    private_apt apt-get --print-uris --only-source source "imagemagick=$version" 2>>"$log" |
      sed -nE "s/^'([^']+)' ([^ ]+) [0-9]+ SHA256:([0-9a-f]{64})\$/\3 \2 \1 $version/p" || true
  done >"$work/files"

  for version in $versions; do
    ! version_fits "$version" || ! get_tarballs "$version" || return 0
  done
  for version in $versions; do
    ! version_fits "$version" || ! get_older_revision "$version" || return 0
  done
  fail_with_log "Debian $suite has no ImageMagick ($series) whose files are all to be had"
}

# get_tarballs VERSION: both tarballs, by the hashes in $work/files. The .dsc is not
# fetched: the signed index has the hashes itself, and it is a file that mirrors may lack.
get_tarballs() {
  local hash name
  say "fetching the source of imagemagick $1"
  rm -f "$work"/{orig,debian}.tar
  while read -r hash name; do
    case $name in
      *.orig.tar.?z*) fetch "$hash" "$work/orig.tar" ;;
      *.debian.tar.?z*) fetch "$hash" "$work/debian.tar" ;;
    esac || { say "  $name is not to be had: trying an older revision"; break; }
  done < <(awk -v version="$1" '$4 == version && !/\.asc / { print $1, $2 }' "$work/files")
  [[ -f $work/orig.tar && -f $work/debian.tar ]]
}

# get_older_revision VERSION: a mirror may offer an index before the files that it names,
# while it still has the revisions before them. For those the .dsc, which a developer of
# Debian has signed, says what the index says no more.
get_older_revision() {
  local version=$1 stem=${1%u*} number=${1##*u} keyring site directory name
  [[ $stem == *+deb* && $number =~ ^[0-9]+$ ]] || return 1
  need_tools_and debian-keyring gpgv
  for keyring in /usr/share/keyrings/debian-keyring.{gpg,pgp} ''; do [[ ! -f $keyring ]] || break; done
  [[ -n $keyring ]] || return 1
  while ((--number > 0)); do
    version=${stem}u$number
    name=imagemagick_${version#*:}.dsc
    while read -r site directory; do
      private_apt /usr/lib/apt/apt-helper download-file "$site/$directory/$name" "$work/dsc" >>"$log" 2>&1 </dev/null &&
        gpgv --keyring "$keyring" --output "$work/signed" "$work/dsc" >>"$log" 2>&1 || continue
      awk -v at="$site/$directory" -v version="$version" '/^[^ ]/ { here = /^Checksums-Sha256:/; next }
        here { print $1, $3, at "/" $3, version }' "$work/signed" >>"$work/files"
    done < <(places)
    ! grep -qF " $version" "$work/files" || ! get_tarballs "$version" || return 0
  done
  return 1
}

# Prints "SITE DIRECTORY" of each place that may have files of the source package.
places() {
  local site directory
  for site in $(sed -n 's/^URIs: //p' "$work/apt/debian.sources"); do
    for directory in $(private_apt apt-cache showsrc --only-source imagemagick 2>>"$log" | sed -n 's/^Directory: //p' | sort -u); do
      printf '%s %s\n' "$site" "$directory"
    done
  done
}

unpack_source() {
  local name options
  mkdir "$work/source"
  tar -xf "$work/orig.tar" -C "$work/source" --strip-components=1
  tar -xf "$work/debian.tar" -C "$work/source"
  # shellcheck disable=SC2034 # a series file may give options after the name
  while read -r name options; do
    case $name in '' | '#'*) continue ;; esac
    patch -d "$work/source" -p1 --forward --batch <"$work/source/debian/patches/$name" >>"$log" 2>&1 ||
      fail_with_log "Debian's patch $name does not apply"
  done <"$work/source/debian/patches/series"
  # Debian builds without JPEG XL, so nobody there saw that a patch lost this semicolon.
  sed -i '/^ *sample_size$/ { N; s/^\( *sample_size\)\n\( *if \)/\1;\n\2/; }' "$work/source/coders/jxl.c"
}

configure_source() {
  mkdir "$work/build" && cd "$work/build" || exit
  # Delegates are named so that the result is the same whatever else is installed;
  # gcc-arch would tie it to this CPU. The policy is open because Imago sets its own.
  CFLAGS=-O3 exec ../source/configure --prefix="$prefix" --libdir="$prefix/lib" \
    --enable-shared --disable-static --disable-dependency-tracking --disable-docs \
    --with-quantum-depth=16 --disable-hdri --without-gcc-arch --with-security-policy=open \
    --without-x --without-perl --without-magick-plus-plus \
    --with-{bzlib,fftw,fontconfig,freetype,heic,jpeg,jxl,lcms,lqr,lzma,openexr,openjp2,pango} \
    --with-{png,raqm,raw,rsvg,tiff,webp,xml,zlib,zstd} \
    --without-{autotrace,djvu,dmr,dps,flif,fpx,gslib,gvc,jbig,jemalloc,tcmalloc,uhdr,wmf,zip}
}

build_source() {
  local missing total stage=$work/stage$prefix
  run_logged 'configure' '' configure_source || fail_with_log 'configure failed'
  total=$(make -C "$work/build" -n all 2>/dev/null | grep -cE 'echo "  (CC|CXX) ' || true)
  run_logged 'make' "$total" make -C "$work/build" -j "$(getconf _NPROCESSORS_ONLN)" || fail_with_log 'make failed'
  run_logged 'make install, into a staging tree' '' make -C "$work/build" install DESTDIR="$work/stage" ||
    fail_with_log 'make install failed'
  # Older names of magick: they would hide another ImageMagick's convert.
  find "$stage/bin" -type l ! -name magick-script -delete
  missing=$(export LD_LIBRARY_PATH=$stage/lib MAGICK_CONFIGURE_PATH=$stage/etc/ImageMagick-7:$stage/share/ImageMagick-7
    lacking "$stage/bin/magick" "$delegates")
  [[ -z $missing ]] || fail_with_log "what was built lacks: $missing"
}

# Moves the staged files in, each by a rename, so that a program that runs keeps
# the library it has open. Until the mark is gone, the next run does it all again.
install_stage() {
  local stage=$work/stage$prefix file
  say "installing into $prefix"
  mkdir -p "$prefix/lib/pkgconfig"
  touch "$unfinished"
  rm -f "$prefix"/lib/pkgconfig/{ImageMagick,MagickCore,MagickWand}{,-7.*}.pc
  while read -r file; do
    mkdir -p "$prefix/${file%/*}"
    mv -f "$stage/$file" "$prefix/$file"
  done < <(cd "$stage" && find . ! -type d ! -name '*.pc' && find . -name '*.pc')
  ! is_root || ldconfig
  rm -f "$unfinished"
}

build_and_install() {
  [[ $manager == apt ]] || die "this system's packages give no ImageMagick ($series), and the source
is built from Debian's only. Install one yourself, with its MagickWand.pc on PKG_CONFIG_PATH."
  # shellcheck disable=SC2046,SC2086 # lists of names
  need_tools_and $build_packages $(offered $optional_packages)
  # In the prefix, so that installing is renaming. What a killed run left there is
  # nobody's now, since this run holds the lock.
  rm -rf "$prefix"/.imago-imagemagick.* || true
  work=$(mktemp -d "$prefix/.imago-imagemagick.XXXXXX")
  get_source
  unpack_source
  build_source
  install_stage
  find_installed || die "pkg-config does not find what was just installed into $prefix"
}

finish() {
  local missing
  # What this script builds was checked; what others built may do without.
  missing=$(lacking "$root/bin/magick" '')
  [[ -z $missing ]] || warn "note: this ImageMagick lacks: $missing(with apt, ${0##*/} --build makes one that has it all)"
  [[ $(pkg-config --variable=exec_prefix MagickWand 2>/dev/null) == "$root" ]] ||
    say "to build with it: export PKG_CONFIG_PATH=$root/lib/pkgconfig\${PKG_CONFIG_PATH:+:\$PKG_CONFIG_PATH}"
  [[ $root != "$prefix" || $(PATH=$PATH:/sbin ldconfig -p 2>/dev/null) == *" $root/lib/libMagickWand"* ]] ||
    say "to run with it:   export LD_LIBRARY_PATH=$root/lib\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
  [[ $(command -v magick) == "$root/bin/magick" ]] || say "to find magick:   export PATH=$root/bin:\$PATH"
  say "in $root:"
  "$root/bin/magick" -version
}

while (($#)); do
  case $1 in
    --prefix) prefix=${2:?--prefix needs a directory}; shift ;;
    --build) build_asked=yes ;;
    -h | --help) usage; exit ;;
    *) usage >&2; die "unknown argument: $1" ;;
  esac
  shift
done

prefix_asked=yes
[[ -n $prefix ]] || { prefix_asked=no; if is_root; then prefix=/usr/local; else prefix=$HOME/.local; fi; }
[[ $prefix == /* ]] || prefix=$PWD/$prefix
prefix=${prefix%/}
[[ $prefix =~ ^/[^[:space:]]+$ ]] || die "'$prefix' will not do: ImageMagick's build takes no white space, nor this script /"
unfinished=$prefix/lib/.imago-imagemagick-unfinished

manager=none
if have dnf; then manager=dnf; fi
if have apt-get; then manager=apt; fi
if [[ $(uname -s) == Darwin ]] && have brew; then manager=brew; fi

trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
log=$(mktemp "${TMPDIR:-/tmp}/imago-imagemagick-log.XXXXXX")

if [[ $manager == apt ]]; then # the others build nothing, and lock for themselves
  mkdir -p "$prefix" || die "$prefix cannot be made"
  exec 9<"$prefix"
  flock -n 9 || { say "another run is at work on $prefix: waiting for it"; flock 9; }
fi
have pkg-config || ! is_root || need_tools_and # a user is told of all packages at once, below
if [[ -e $unfinished ]]; then
  say "an earlier run was stopped while it installed into $prefix: doing it again"
  build_asked=yes
fi
if [[ $build_asked == no ]] && find_installed; then
  say 'a good one is there already'
  [[ $manager == brew ]] || need_tools_and
elif [[ $build_asked == no && $prefix_asked == no ]] && install_system_package; then
  find_installed || die "the system's package is installed, and pkg-config does not find it"
else
  build_and_install
fi
finish
