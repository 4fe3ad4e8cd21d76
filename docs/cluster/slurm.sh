#!/bin/bash
#SBATCH --job-name=palimpsest
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
# From a checkout on a disk that all nodes see: sbatch docs/cluster/slurm.sh [what `palimpsest repro` is told]
# This script runs on the first node: Ray's head and the driver are here, and one process of Ray on each other node.
set -euo pipefail
cd "$SLURM_SUBMIT_DIR"
source .venv/bin/activate

port=$((20000 + SLURM_JOB_ID % 10000))
export RAY_ADDRESS="$(hostname -I | cut -d" " -f1):$port"
RAY_AUTH_TOKEN=$(python -c "import secrets; print(secrets.token_hex())") # in the environment alone
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
export PALIMPSEST_ENGINE=ray
gpus=${SLURM_GPUS_ON_NODE:-0}
actors=$((SLURM_NNODES * gpus))
export PALIMPSEST_ACTORS=${PALIMPSEST_ACTORS:-$((actors ? actors : SLURM_NNODES))} # also of nodes that are yet to join

driver=
trap 'kill -TERM $driver 2>/dev/null; wait $driver; exit 143' TERM # near the end of the time: what is done is kept
resources=(--num-cpus "$SLURM_CPUS_PER_TASK" --num-gpus "$gpus")
ray start --head --port "$port" --include-dashboard false "${resources[@]}" >/dev/null # Slurm ends it with the job
if ((SLURM_NNODES > 1)); then
  srun --nodes $((SLURM_NNODES - 1)) --ntasks $((SLURM_NNODES - 1)) --exclude "$(hostname -s)" \
    ray start --address "$RAY_ADDRESS" "${resources[@]}" --block >/dev/null &
fi
palimpsest repro "$@" &
driver=$!
wait "$driver"
