#!/usr/bin/env bash
# Writes ids.json: what each bundled recipe makes of minipy. make_ids.sh FURL [RECIPE...], all of minipy's by default; FURL is
# a program that is known to be right, such as the one of the last release.
set -euo pipefail
furl=$(realpath "$1")
shift
cd "$(dirname "$0")/../../.."
recipes=("$@")
[ $# -gt 0 ] || mapfile -t recipes < <(basename -s .yaml -a recipes/minipy-*.yaml)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for recipe in "${recipes[@]}"; do
  "$furl" compress checkpoints/minipy --recipe "recipes/$recipe.yaml" --output "$folder/a.furl" --json >"$folder/a.json"
  python3 - "$recipe" "$folder/a.json" Tests/Fixtures/minipy/ids.json <<'EOF'
import json, os, sys
name, made, path = sys.argv[1:]
ids = json.load(open(path)) if os.path.exists(path) else {}
ids[name] = json.load(open(made))["artifact_id"]
with open(path, "w") as file:
    json.dump(dict(sorted(ids.items())), file, indent=1)
    file.write("\n")
EOF
  rm "$folder/a.furl"
done
