#!/usr/bin/env bash
# Keep one comment on a pull request: replace the one that begins with the same marker, else write it.
# upsert-comment.sh OWNER/REPOSITORY NUMBER FILE; `gh` finds its token in GH_TOKEN.
set -euo pipefail
repository=$1 number=$2 file=$3
marker=$(head -n 1 "$file")
case $marker in
  '<!-- plan-review: '*' -->') ;;
  *) echo "$file begins with no marker; accepted: what 'plan_review comment' wrote" >&2; exit 2 ;;
esac
export marker
# Only what this pipeline's own account wrote is replaced: anybody can begin a comment with the marker.
id=$(gh api --paginate "repos/$repository/issues/$number/comments" \
  --jq '.[] | select(.user.type == "Bot" and (.body | startswith(env.marker))) | .id' | head -n 1)
if [ -n "$id" ]; then
  gh api --method PATCH "repos/$repository/issues/comments/$id" --field body=@"$file" --silent
else
  gh api --method POST "repos/$repository/issues/$number/comments" --field body=@"$file" --silent
fi
