package sim

import (
	"encoding/json"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NeverReady is an annotation with which a test keeps a pod running but not ready.
const NeverReady = "kubectl-cni.test/never-ready"

// podPatch is a patch of a pod's status that only fits this very pod, not a namesake.
func podPatch(pod *corev1.Pod, status corev1.PodStatus) []byte {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"status":   status,
	})
	if err != nil {
		panic(err) // a PodStatus always marshals
	}
	return patch
}

// waitingStatus is a pod whose sandbox cannot be made yet.
func waitingStatus(pod *corev1.Pod, node *Node) corev1.PodStatus {
	status := corev1.PodStatus{Phase: corev1.PodPending, StartTime: now(), HostIP: node.Address.String()}
	status.HostIPs = []corev1.HostIP{{IP: status.HostIP}}
	status.Conditions = conditions(pod, corev1.ConditionFalse)
	for _, c := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image,
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}},
		})
	}
	return status
}

// runningStatus is a pod all of whose containers run and are ready.
func runningStatus(pod *corev1.Pod, node *Node, address netip.Addr) corev1.PodStatus {
	ready := corev1.ConditionTrue
	if _, never := pod.Annotations[NeverReady]; never {
		ready = corev1.ConditionFalse
	}
	status := corev1.PodStatus{
		Phase: corev1.PodRunning, StartTime: now(),
		HostIP: node.Address.String(), HostIPs: []corev1.HostIP{{IP: node.Address.String()}},
		PodIP: address.String(), PodIPs: []corev1.PodIP{{IP: address.String()}},
		Conditions: conditions(pod, ready),
	}
	if pod.Status.StartTime != nil {
		status.StartTime = pod.Status.StartTime
	}
	running := func(c *corev1.Container, ready bool) corev1.ContainerStatus {
		started := true
		return corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: c.Image, Ready: ready, Started: &started,
			ContainerID: "containerd://" + containerID(pod.UID),
			State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: *now()}},
		}
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		s := running(c, true)
		if c.RestartPolicy == nil { // else a sidecar, which runs on
			s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				Reason: "Completed", StartedAt: *now(), FinishedAt: *now()}}
		}
		status.InitContainerStatuses = append(status.InitContainerStatuses, s)
	}
	for i := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses,
			running(&pod.Spec.Containers[i], ready == corev1.ConditionTrue))
	}
	return status
}

func conditions(pod *corev1.Pod, ready corev1.ConditionStatus) []corev1.PodCondition {
	initialized := corev1.ConditionTrue
	if ready == corev1.ConditionFalse && len(pod.Spec.InitContainers) > 0 {
		initialized = corev1.ConditionFalse
	}
	list := []corev1.PodCondition{
		{Type: corev1.PodReadyToStartContainers, Status: ready},
		{Type: corev1.PodInitialized, Status: initialized},
		{Type: corev1.ContainersReady, Status: ready},
		{Type: corev1.PodReady, Status: ready},
	}
	for _, gate := range pod.Spec.ReadinessGates {
		list = append(list, corev1.PodCondition{Type: gate.ConditionType, Status: ready})
	}
	for i := range list {
		list[i].LastTransitionTime = *now()
		if list[i].Status == corev1.ConditionFalse && list[i].Type == corev1.PodReady {
			list[i].Reason = "ContainersNotReady"
		}
	}
	return list
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func isFinished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func now() *metav1.Time {
	t := metav1.Now()
	return &t
}
