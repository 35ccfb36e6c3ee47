#!/bin/sh
# train-job JOB.tar [BASE]: unpacks the job beside itself unless that was done, trains, and packs the results even when
# the machine is taken away (SIGTERM goes to fullcast, which ends with a checkpoint). A stop that comes while pictures are
# encoded leaves no results yet: what was encoded stays in job/, and the next call goes on there.
set -eu
job=$1
base=${2:-}
if [ ! -e job/workspace.json ]; then
  if [ -n "$base" ]; then fullcast unpack "$job" -w job --base "$base"; else fullcast unpack "$job" -w job; fi
fi
fullcast train -w job &
training=$!
trap 'kill -TERM "$training"' TERM INT
status=0
wait "$training" || status=$?
# A signal ends the first wait while fullcast still writes its checkpoint: wait for that too.
wait "$training" 2>/dev/null || true
if ls -d job/data/runs/*/checkpoints/step-* >/dev/null 2>&1; then
  fullcast pack results.tar --results -w job
else
  echo "no checkpoint yet, so no results are packed; run it again to go on" >&2
fi
exit "$status"
