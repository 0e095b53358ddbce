package sim

import (
	"fmt"
	"runtime"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/version"
)

const controlPlaneRole = "node-role.kubernetes.io/control-plane"

// flannelAnnotations are what flanneld writes on its node.
func (n *Node) flannelAnnotations() map[string]string {
	const prefix = "flannel.alpha.coreos.com/"
	return map[string]string{
		prefix + "backend-data":        fmt.Sprintf(`{"VNI":1,"VtepMAC":"%s"}`, vtepMAC(n.index)),
		prefix + "backend-type":        "vxlan",
		prefix + "kube-subnet-manager": "true",
		prefix + "public-ip":           n.Address.String(),
	}
}

// object is the Node as its kubelet would have registered it.
func (n *Node) object() *corev1.Node {
	labels := map[string]string{
		"kubernetes.io/hostname": n.Name,
		"kubernetes.io/os":       "linux", "beta.kubernetes.io/os": "linux",
		"kubernetes.io/arch": runtime.GOARCH, "beta.kubernetes.io/arch": runtime.GOARCH,
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: labels},
		Spec:       n.spec(),
		Status:     n.status(),
	}
	if isControlPlane(n.Name) {
		labels[controlPlaneRole] = ""
		labels["node.kubernetes.io/exclude-from-external-load-balancers"] = ""
		node.Spec.Taints = []corev1.Taint{{Key: controlPlaneRole, Effect: corev1.TaintEffectNoSchedule}}
	}
	return node
}

func isControlPlane(name string) bool { return strings.HasPrefix(name, "cp") }

// mirrorPod is how a kubelet shows a static pod. Evicting it is pointless, and drain passes it over.
func mirrorPod(name string, node *corev1.Node) *corev1.Pod {
	isController := true
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name + "-" + node.Name, Namespace: "kube-system",
			Labels: map[string]string{"component": name, "tier": "control-plane"},
			Annotations: map[string]string{
				corev1.MirrorPodAnnotationKey: "static",
				"kubernetes.io/config.source": "file",
			},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name,
				UID: node.UID, Controller: &isController}},
		},
		Spec: corev1.PodSpec{
			NodeName: node.Name, HostNetwork: true, PriorityClassName: "system-node-critical",
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}},
			Containers:  []corev1.Container{{Name: name, Image: "registry.k8s.io/" + name + ":" + version.Get().GitVersion}},
		},
	}
}

func (n *Node) spec() corev1.NodeSpec {
	return corev1.NodeSpec{PodCIDR: n.podCIDR.String(), PodCIDRs: []string{n.podCIDR.String()}}
}

func (n *Node) status() corev1.NodeStatus {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("32"),
		corev1.ResourceMemory:           resource.MustParse("64Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("200Gi"),
		corev1.ResourcePods:             resource.MustParse(fmt.Sprint(n.maxPods())),
	}
	healthy := func(t corev1.NodeConditionType, reason, message string) corev1.NodeCondition {
		return nodeCondition(t, corev1.ConditionFalse, reason, message)
	}
	return corev1.NodeStatus{
		Capacity:    capacity,
		Allocatable: capacity,
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: n.Address.String()},
			{Type: corev1.NodeHostName, Address: n.Name},
		},
		Conditions: []corev1.NodeCondition{
			healthy(corev1.NodeMemoryPressure, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
			healthy(corev1.NodeDiskPressure, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
			healthy(corev1.NodePIDPressure, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
			n.readyCondition(),
		},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 10250}},
		NodeInfo: corev1.NodeSystemInfo{
			Architecture: runtime.GOARCH, OperatingSystem: "linux",
			OSImage: "Debian GNU/Linux 12 (bookworm)", KernelVersion: "6.1.0-simulated",
			ContainerRuntimeVersion: "containerd://2.1.4", KubeletVersion: version.Get().GitVersion,
			MachineID: n.Name, SystemUUID: n.Name, BootID: n.Name,
		},
	}
}

// maxPods leaves a /26 its network, gateway and broadcast addresses.
func (n *Node) maxPods() int { return min(110, 1<<(32-n.podCIDR.Bits())-4) }

// readyCondition says what a kubelet says: without a CNI configuration the node is not ready.
func (n *Node) readyCondition() corev1.NodeCondition {
	if n.Conf() == noCNI {
		return nodeCondition(corev1.NodeReady, corev1.ConditionFalse, "KubeletNotReady",
			"container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "+
				"message:Network plugin returns error: cni plugin not initialized")
	}
	return nodeCondition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status")
}

func nodeCondition(t corev1.NodeConditionType, s corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
	now := metav1.Now()
	return corev1.NodeCondition{Type: t, Status: s, Reason: reason, Message: message,
		LastHeartbeatTime: now, LastTransitionTime: now}
}
