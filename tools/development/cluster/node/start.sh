#!/bin/bash
# The first process in the node's namespaces: brings up what a node has, and keeps it up. Started by cluster/node.py with
# NODE (its name), STATE (its folder), PROGRAM (the one binary), PAUSE (the sandbox's image archive), ADDRESS, GATEWAY, CGROUP.
set -euo pipefail
cd "$(dirname "$0")"
pki=$STATE/pki
log=$STATE/log

main() {
    hostname "$NODE"
    own_mounts
    own_kernel_settings
    own_network
    configuration

    keep containerd containerd --config /run/config/containerd.toml
    # Nothing here outlives the test, so nothing needs to reach the disk.
    keep etcd "$PROGRAM" etcd --data-dir=/var/lib/etcd --unsafe-no-fsync --log-level=warn
    keep kube-apiserver "$PROGRAM" kube-apiserver \
        --etcd-servers=http://127.0.0.1:2379 \
        --advertise-address="$ADDRESS" \
        --service-cluster-ip-range=10.96.0.0/16 \
        --client-ca-file="$pki/ca.crt" \
        --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
        --kubelet-client-certificate="$pki/apiserver-kubelet.crt" \
        --kubelet-client-key="$pki/apiserver-kubelet.key" \
        --kubelet-preferred-address-types=InternalIP \
        --service-account-issuer=https://kubernetes.default.svc.cluster.local \
        --service-account-key-file="$pki/service-accounts.key" \
        --service-account-signing-key-file="$pki/service-accounts.key" \
        --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
        --allow-privileged=true

    until ctr version >/dev/null 2>&1; do sleep .05; done
    ctr -n k8s.io images import "$PAUSE"
    until "$PROGRAM" kubectl --kubeconfig "$pki/admin.conf" get --raw /readyz >/dev/null 2>&1; do sleep .1; done

    keep kube-controller-manager "$PROGRAM" kube-controller-manager \
        --kubeconfig="$pki/controller-manager.conf" --leader-elect=false --bind-address=127.0.0.1 \
        --use-service-account-credentials=true --root-ca-file="$pki/ca.crt" \
        --service-account-private-key-file="$pki/service-accounts.key" \
        --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key"
    keep kube-scheduler "$PROGRAM" kube-scheduler \
        --kubeconfig="$pki/scheduler.conf" --leader-elect=false --bind-address=127.0.0.1
    keep kubelet "$PROGRAM" kubelet --config=/run/config/kubelet.yaml --kubeconfig="$pki/kubelet.conf" \
        --hostname-override="$NODE" --node-ip="$ADDRESS"
    keep kube-proxy "$PROGRAM" kube-proxy --config=/run/config/kube-proxy.yaml --hostname-override="$NODE"
    wait
}

# Each program has its usual paths, in folders of this node. Containers see the kubelet's mounts, the host sees none.
own_mounts() {
    mount --make-rprivate /
    mount --bind "$STATE/lib" /var/lib
    mount --bind "$log" /var/log
    mount -t tmpfs tmpfs /run
    mount --make-rshared /
    mkdir -p /run/containerd /run/config/cni
}

# The kubelet insists on these, and they have no namespace: it finds what it wants, and the host keeps its own.
own_kernel_settings() {
    for setting in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
        file=/run/$(basename "${setting%=*}")
        echo "${setting#*=}" >"$file"
        mount --bind "$file" "/proc/sys/${setting%=*}"
    done
}

# eth0 is the node's end of a cable that the host plugs in.
own_network() {
    until ip link show eth0 >/dev/null 2>&1; do sleep .05; done
    ip link set lo up
    ip addr add "$ADDRESS/24" dev eth0
    ip link set eth0 up
    ip route add default via "$GATEWAY"
    echo 1 >/proc/sys/net/ipv4/ip_forward
}

configuration() {
    cp cni.conflist /run/config/cni/
    : >/run/config/resolv.conf
    for file in containerd.toml kubelet.yaml kube-proxy.yaml; do
        sed -e "s|@PKI@|$pki|" -e "s|@CGROUP@|$CGROUP|" "$file" >"/run/config/$file"
    done
}

# Start a program, and start it again whenever it ends, as a service manager does.
keep() { # NAME COMMAND...
    local called=$1
    shift
    while :; do
        "$@" || echo "$called ended: $?"
        sleep .5
    done >>"$log/$called.log" 2>&1 &
}

main
