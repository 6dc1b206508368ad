# shellcheck shell=bash
# Environment of a job. The batch scripts in this folder source it first, in the folder you submit from. Edit it once
# for your cluster, or use another file: NER_DIST_ENVIRONMENT=my_cluster.sh sbatch …

# Python: the checkout's .venv if it exists; otherwise load modules or conda below.
if [[ -f .venv/bin/activate ]]; then
    # shellcheck source=/dev/null
    source .venv/bin/activate
fi
# module load python/3.11 cuda/12.4
# source "$HOME/miniforge3/bin/activate" ner_dist

# If this is set, all Python commands run in this container.
# export NER_DIST_CONTAINER="apptainer exec --nv --bind $PWD ner_dist.sif"

# For compute nodes without internet access: use only the files that `ner-dist prepare` downloaded.
# export HF_HUB_OFFLINE=1

# Network between nodes: set this if the preflight says that nodes cannot reach each other (`ip -brief address` on a
# node lists the interfaces; see docs/cluster.md).
# export NCCL_SOCKET_IFNAME=ib0 GLOO_SOCKET_IFNAME=ib0
# export NCCL_IB_HCA=mlx5 NCCL_DEBUG=INFO
# export NER_DIST_ADDRESS=10.0.0.1 NER_DIST_PORT=29500
