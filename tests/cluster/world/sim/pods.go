package sim

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

var everything = labels.Everything()

// agentDelay is how long Cilium's agent takes from ready to having written its configuration.
const agentDelay = time.Second

// StopsAfter is the annotation of a pod that takes longer to stop than others, whatever its grace
// period.
const StopsAfter = "kubectl-cni.test/stops-after"

// stopDelay is how long a container takes to stop, from the deletion's time stamp, which knows whole seconds
// only. A pod that is back under its name before the disruption controller has seen the old one go would count
// as being disrupted for two minutes: https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/disruption/disruption.go (DeletionTimeout).
const stopDelay = 1500 * time.Millisecond

// syncPod takes a pod one step further. Jobs' ends are kwok's.
func (c *Cluster) syncPod(ctx context.Context, k key) error {
	pod, err := c.pods.Pods(k.namespace).Get(k.name)
	if err != nil {
		return err
	}
	node := c.Node(pod.Spec.NodeName)
	if node == nil {
		return nil
	}
	if pod.DeletionTimestamp != nil {
		return c.stopPod(ctx, pod)
	}
	_, never := pod.Annotations[NeverReady]
	switch {
	case isFinished(pod):
		node.unplug(pod.UID)
		return nil
	case pod.Status.PodIP == "":
		return c.startPod(ctx, node, pod)
	case !isReady(pod) && !never:
		return c.restoreReady(ctx, node, pod)
	}
	return c.agentRuns(ctx, node, pod)
}

// stopPod takes a deleted pod off the server, as a kubelet does: by its UID. (kwok's own deletes by
// name alone, and so may hit the pod that was made anew meanwhile.) Finalizers still hold it.
func (c *Cluster) stopPod(ctx context.Context, pod *corev1.Pod) error {
	delay := stopDelay
	if longer, err := time.ParseDuration(pod.Annotations[StopsAfter]); err == nil {
		delay = longer
	}
	asked := pod.DeletionTimestamp.Time
	if pod.DeletionGracePeriodSeconds != nil {
		asked = asked.Add(-time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second)
	}
	if wait := delay - time.Since(asked); wait > 0 {
		c.queue.AddAfter(key{"pod", pod.Namespace, pod.Name}, wait)
		return nil
	}
	if len(pod.Finalizers) > 0 {
		return nil
	}
	options := metav1.NewDeleteOptions(0)
	options.Preconditions = metav1.NewUIDPreconditions(string(pod.UID))
	err := c.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, *options)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

func (c *Cluster) startPod(ctx context.Context, node *Node, pod *corev1.Pod) error {
	address := node.Address
	if !pod.Spec.HostNetwork {
		var err error
		if address, err = node.plug(pod.UID); err != nil {
			if pod.Status.StartTime == nil {
				return c.patchStatus(ctx, pod, waitingStatus(pod, node))
			}
			return nil // watchConfs brings it back here
		}
	}
	return c.patchStatus(ctx, pod, runningStatus(pod, node, address))
}

// restoreReady corrects a Ready that the node lifecycle controller took away, as a kubelet does:
// it does so for all pods of a node that is not ready.
func (c *Cluster) restoreReady(ctx context.Context, node *Node, pod *corev1.Pod) error {
	var lost time.Time
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			lost = condition.LastTransitionTime.Time
		}
	}
	if wait := restoreDelay - time.Since(lost); wait > 0 {
		c.queue.AddAfter(key{"pod", pod.Namespace, pod.Name}, wait)
		return nil
	}
	address, err := netip.ParseAddr(pod.Status.PodIP)
	if err != nil {
		return err
	}
	return c.patchStatus(ctx, pod, runningStatus(pod, node, address))
}

func (c *Cluster) patchStatus(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error {
	_, err := c.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType,
		podPatch(pod, status), metav1.PatchOptions{}, "status")
	return err
}

// agentRuns plays what a CNI's own pod does on its node.
func (c *Cluster) agentRuns(ctx context.Context, node *Node, pod *corev1.Pod) error {
	if !pod.Spec.HostNetwork || !node.isNewAgent(pod) {
		return nil
	}
	if pod.Labels["app"] == "flannel" || pod.Labels["k8s-app"] == "flannel" {
		if err := node.startFlannel(); err != nil {
			return err
		}
		return c.annotateNode(ctx, node)
	}
	time.AfterFunc(agentDelay, func() { c.agentWrites(ctx, node, pod) })
	return nil
}

// agentWrites is Cilium's agent writing its configuration, if it still runs and is told to.
func (c *Cluster) agentWrites(ctx context.Context, node *Node, pod *corev1.Pod) {
	now, err := c.pods.Pods(pod.Namespace).Get(pod.Name)
	if err != nil || now.UID != pod.UID || now.DeletionTimestamp != nil {
		return
	}
	config := map[string]string{}
	if m, err := c.client.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, "cilium-config", metav1.GetOptions{}); err == nil {
		config = m.Data
	}
	if config["custom-cni-conf"] == "true" {
		return
	}
	network, err := netip.ParsePrefix(config["cluster-pool-ipv4-cidr"])
	if err != nil || network.Bits() > 16 {
		network = netip.MustParsePrefix(ciliumNetwork)
	}
	if err := node.startCilium(c.topology.subnet(network, node.index), config["cni-exclusive"] != "false"); err != nil {
		time.AfterFunc(agentDelay, func() { c.agentWrites(ctx, node, pod) })
	}
}

// annotateNode writes what flanneld writes on its node, unless it is there.
func (c *Cluster) annotateNode(ctx context.Context, n *Node) error {
	object, err := c.nodes.Get(n.Name)
	if err != nil {
		return err
	}
	if object.Annotations["flannel.alpha.coreos.com/public-ip"] != "" {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": n.flannelAnnotations()}})
	if err != nil {
		return err
	}
	_, err = c.client.CoreV1().Nodes().Patch(ctx, n.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// isNewAgent tells whether this pod is a CNI's agent that the node has not seen yet.
func (n *Node) isNewAgent(pod *corev1.Pod) bool {
	flannel := pod.Labels["app"] == "flannel" || pod.Labels["k8s-app"] == "flannel"
	if !flannel && pod.Labels["k8s-app"] != "cilium" {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.agents[flannel] == pod.UID {
		return false
	}
	n.agents[flannel] = pod.UID
	return true
}

// startCilium is the agent's last step on the node.
func (n *Node) startCilium(addresses netip.Prefix, exclusive bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ciliumRange, n.exclusive = addresses, exclusive
	return n.writeCiliumConf(exclusive)
}

// networkState changes whenever a waiting pod may have a chance or the node's readiness may change.
func (n *Node) networkState() string {
	state := string(n.Conf())
	if _, err := os.Stat(n.path("run/flannel/subnet.env")); err == nil {
		state += " subnet.env"
	}
	return state
}
