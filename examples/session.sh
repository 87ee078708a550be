#!/bin/sh
# A session with a running server: two renditions of one image, submitted, followed to their end, and shown.
#
#   sh examples/session.sh [SERVER [FOLDER]]
#
# SERVER is where it listens, FOLDER the URL of the folder that holds foo.png: anything the server is allowed to read and
# write, such as s3://mybucket/imago.
set -eu
server=${1:-http://127.0.0.1:8080}
folder=${2:-s3://mybucket/imago}

answer=$(curl --silent --show-error --fail-with-body "$server/api/v1/work" \
  --header 'Content-Type: application/json' \
  --data @- <<JSON
{
  "actions": [
    {
      "infile": "$folder/foo.png",
      "outfile": "$folder/out/foo 200x200.jpg",
      "operations": ["resize 200X200", "quality 100"],
      "mimetype": "image/jpg"
    },
    {
      "infile": "$folder/foo.png",
      "outfile": "$folder/out/foo-4xx4k.tiff",
      "operations": ["resize 4000X4000"],
      "mimetype": "image/tiff"
    }
  ]
}
JSON
)
echo "$answer"

# The job's id is 32 hexadecimal digits.
id=$(printf '%s' "$answer" | sed 's/.*"id": *"\([0-9a-f]*\)".*/\1/')

# Answers when the job has finished, or after 300 seconds.
curl --silent --show-error --fail-with-body "$server/api/v1/work/$id?timeout=300"
echo
