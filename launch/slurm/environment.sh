# shellcheck shell=bash
# What a job sets up before anything else: sourced by the batch scripts here, in the folder you submit from.
# Edit it once for your cluster, or name another file: NER_DIST_ENVIRONMENT=my_cluster.sh sbatch …

# Python: the checkout's own environment if there is one, else modules or conda.
if [[ -f .venv/bin/activate ]]; then
    source .venv/bin/activate
fi
# module load python/3.11 cuda/12.4
# source "$HOME/miniforge3/bin/activate" ner_dist

# Everything Python runs in a container, if this is set.
# export NER_DIST_CONTAINER="apptainer exec --nv --bind $PWD ner_dist.sif"

# Compute nodes without a network: what `ner-dist prepare` fetched is enough.
# export HF_HUB_OFFLINE=1

# The network between nodes, if preflight says that they do not reach each other (`ip -brief address` on a node
# lists the interfaces; docs/cluster.md says more).
# export NCCL_SOCKET_IFNAME=ib0 GLOO_SOCKET_IFNAME=ib0
# export NCCL_IB_HCA=mlx5 NCCL_DEBUG=INFO
# export NER_DIST_ADDRESS=10.0.0.1 NER_DIST_PORT=29500
