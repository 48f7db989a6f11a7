#!/usr/bin/env bash
# A real Slurm on this one machine, with two GPUs that are none, for the tests in this folder.
#
#     slurm.sh install          what Debian and Ubuntu call slurm-wlm and munge
#     slurm.sh start FOLDER     its configuration, state and logs go there; /etc/slurm leads to them
#     slurm.sh stop FOLDER
#
# Needs root, and a machine that is no part of a cluster.
set -euo pipefail

install() {
    command -v slurmctld >/dev/null && command -v munged >/dev/null && return
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends slurm-wlm munge >/dev/null
}

start() {
    local folder host memory
    if [ -e /etc/slurm/slurm.conf ]; then
        echo "/etc/slurm/slurm.conf is there: this machine has a Slurm already" >&2
        return 1
    fi
    mkdir -p "$1" && folder=$(cd "$1" && pwd)
    host=$(hostname -s)
    memory=$(($(awk '/^MemTotal/ {print $2}' /proc/meminfo) / 1024 - 1024))
    mkdir -p "$folder"/{state,spool,log}

    mkdir -m 0711 "$folder/munge"
    dd if=/dev/urandom of="$folder/munge/key" bs=128 count=1 status=none
    chmod 0400 "$folder/munge/key"
    munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
        --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" \
        --seed-file="$folder/munge/seed"

    # Slurm takes devices only; these are what /dev/null is.
    for gpu in 0 1; do mknod "$folder/gpu$gpu" c 1 3; done
    cat >"$folder/gres.conf" <<END
AutoDetect=off
NodeName=$host Name=gpu File=$folder/gpu[0-1]
END
    # A job that is put back into the queue waits for as long as credentials last, 120 s by default.
    cat >"$folder/slurm.conf" <<END
ClusterName=bitswitch-test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
SlurmUser=root
AuthInfo=socket=$folder/munge/socket,cred_expire=10
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
MinJobAge=300
KillWait=10
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/log/jobcomp.txt
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=16 RealMemory=$memory Gres=gpu:2 State=UNKNOWN
PartitionName=test Nodes=$host Default=YES State=UP
END
    # A link each: jobs are not told of a configuration that the environment names.
    mkdir -p /etc/slurm
    ln -s "$folder"/{slurm,gres}.conf /etc/slurm/
    slurmctld
    slurmd
    for _ in $(seq 120); do
        [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && return
        sleep 0.25
    done
    echo "Slurm does not come up: see $folder/log" >&2
    stop "$folder"
    return 1
}

stop() {
    local file
    for file in "$1"/slurmd.pid "$1"/slurmctld.pid "$1"/munge/pid; do
        [ -s "$file" ] && kill "$(cat "$file")" 2>/dev/null || continue
        # Each removes the file as it ends.
        for _ in $(seq 80); do
            [ -e "$file" ] || break
            sleep 0.25
        done
    done
    for file in slurm gres; do
        [ "$(readlink "/etc/slurm/$file.conf")" != "$1/$file.conf" ] || rm "/etc/slurm/$file.conf"
    done
}

"$@"
