package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

const (
	workers = 16
	// startDelay is how long a pod's containers take to start.
	startDelay = 300 * time.Millisecond
	// restoreDelay is how long a kubelet needs to correct a status that a controller wrote.
	restoreDelay = 2 * time.Second
	// confPeriod is how often a runtime looks at /etc/cni/net.d.
	confPeriod = 500 * time.Millisecond
)

// Cluster plays the kubelets of all nodes.
type Cluster struct {
	client   kubernetes.Interface
	topology Topology
	dir      string // where the nodes' own directories are

	pods     corelisters.PodLister
	nodes    corelisters.NodeLister
	services corelisters.ServiceLister
	queue    workqueue.TypedRateLimitingInterface[key]
	synced   []cache.InformerSynced

	mu     sync.Mutex
	byName map[string]*Node
	byAddr map[netip.Addr]*Node
	next   int // the first index that no node ever had
}

// key names an object to look at.
type key struct{ kind, namespace, name string }

// NewCluster makes the nodes of the topology; nothing runs yet.
func NewCluster(client kubernetes.Interface, topology Topology, dir string) (*Cluster, error) {
	c := &Cluster{
		client: client, topology: topology, dir: dir,
		byName: map[string]*Node{}, byAddr: map[netip.Addr]*Node{},
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[key](
			200*time.Millisecond, 5*time.Second)),
	}
	for _, name := range topology.Names() {
		if _, err := c.addNode(name); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Node finds a node by name, NodeAt by its InternalIP; nil if there is none.
func (c *Cluster) Node(name string) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byName[name]
}

func (c *Cluster) NodeAt(address netip.Addr) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byAddr[address]
}

func (c *Cluster) allNodes() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*Node, 0, len(c.byName))
	for _, n := range c.byName {
		all = append(all, n)
	}
	return all
}

func (c *Cluster) addNode(name string) (*Node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, ok := c.byName[name]; ok {
		return n, nil
	}
	if limit := 1 << (c.topology.subnetBits() - 16); c.next >= limit {
		return nil, fmt.Errorf("no pod subnet left for node %s", name)
	}
	n := newNode(c.topology, name, c.next, filepath.Join(c.dir, name))
	if err := n.makeDirs(); err != nil {
		return nil, err
	}
	c.next++
	c.byName[name], c.byAddr[n.Address] = n, n
	return n, nil
}

// CreateNodes creates all Node objects as of a cluster that has run on flannel for long: many at
// once, for one after the other takes minutes.
func (c *Cluster) CreateNodes(ctx context.Context) error {
	names := c.topology.Names()
	errs := make(chan error, len(names))
	slots := make(chan struct{}, workers)
	for _, name := range names {
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			errs <- c.createNode(ctx, c.Node(name))
		}()
	}
	for range names {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) createNode(ctx context.Context, n *Node) error {
	if err := n.startFlannel(); err != nil {
		return err
	}
	n.bridge = true
	object := n.object()
	object.Annotations = n.flannelAnnotations()
	created, err := c.client.CoreV1().Nodes().Create(ctx, object, metav1.CreateOptions{})
	if err != nil || !isControlPlane(n.Name) {
		return err
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		if _, err := c.client.CoreV1().Pods("kube-system").Create(ctx, mirrorPod(name, created), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// Run watches the API server and plays until ctx ends. It returns once all caches are filled.
func (c *Cluster) Run(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(c.client, 0,
		informers.WithTransform(func(object any) (any, error) {
			if o, ok := object.(metav1.Object); ok {
				o.SetManagedFields(nil) // half of the memory, and nobody reads them
			}
			return object, nil
		}))
	pods, nodes, services := factory.Core().V1().Pods(), factory.Core().V1().Nodes(), factory.Core().V1().Services()
	c.pods, c.nodes, c.services = pods.Lister(), nodes.Lister(), services.Lister()
	for kind, informer := range map[string]cache.SharedIndexInformer{
		"pod": pods.Informer(), "node": nodes.Informer(), "service": services.Informer()} {
		if _, err := informer.AddEventHandler(c.handler(kind)); err != nil {
			return err
		}
		c.synced = append(c.synced, informer.HasSynced)
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), c.synced...) {
		return ctx.Err()
	}
	for range workers {
		go c.work(ctx)
	}
	go c.watchConfs(ctx)
	return nil
}

func (c *Cluster) handler(kind string) cache.ResourceEventHandlerFuncs {
	enqueue := func(object any) {
		o := object.(metav1.Object)
		k := key{kind, o.GetNamespace(), o.GetName()}
		if pod, ok := object.(*corev1.Pod); ok && pod.Status.PodIP == "" {
			c.queue.AddAfter(k, startDelay)
			return
		}
		c.queue.Add(k)
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    enqueue,
		UpdateFunc: func(_, object any) { enqueue(object) },
		DeleteFunc: func(object any) {
			if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = gone.Obj
			}
			if pod, ok := object.(*corev1.Pod); ok {
				if node := c.Node(pod.Spec.NodeName); node != nil {
					node.unplug(pod.UID)
				}
			}
		},
	}
}

func (c *Cluster) work(ctx context.Context) {
	for {
		k, quit := c.queue.Get()
		if quit || ctx.Err() != nil {
			return
		}
		var err error
		switch k.kind {
		case "pod":
			err = c.syncPod(ctx, k)
		case "node":
			err = c.syncNode(ctx, k.name)
		case "service":
			err = c.syncService(ctx, k)
		}
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			c.queue.Forget(k)
		} else {
			c.queue.AddRateLimited(k)
		}
		c.queue.Done(k)
	}
}

// watchConfs looks at the nodes' /etc/cni/net.d like their runtimes do, for ssh sessions and tests
// write there. Only a change costs requests.
func (c *Cluster) watchConfs(ctx context.Context) {
	seen := map[string]string{}
	for ctx.Err() == nil {
		for _, n := range c.allNodes() {
			state := n.networkState()
			if seen[n.Name] == state {
				continue
			}
			seen[n.Name] = state
			c.queue.Add(key{kind: "node", name: n.Name})
			c.retryWaiting(n.Name)
		}
		time.Sleep(confPeriod)
	}
}

// retryWaiting looks again at the pods of a node that have no network yet.
func (c *Cluster) retryWaiting(node string) {
	pods, err := c.pods.List(everything)
	if err != nil {
		return
	}
	for _, pod := range pods {
		if pod.Spec.NodeName == node && pod.Status.PodIP == "" {
			c.queue.Add(key{"pod", pod.Namespace, pod.Name})
		}
	}
}

// syncNode keeps the node's Ready condition true to its files, and fills in a node that a test
// created with nothing but a name.
func (c *Cluster) syncNode(ctx context.Context, name string) error {
	object, err := c.nodes.Get(name)
	if err != nil {
		return err
	}
	n, err := c.addNode(name)
	if err != nil {
		return err
	}
	ready := n.readyCondition()
	for _, condition := range object.Status.Conditions {
		if condition.Type == ready.Type && condition.Status == ready.Status && condition.Reason == ready.Reason {
			return nil
		}
	}
	// Not a NodeStatus: it would carry its empty fields along and blank the node's.
	var status any = map[string]any{"conditions": []corev1.NodeCondition{ready}}
	if len(object.Status.Addresses) == 0 {
		status = n.status()
		if err := c.registerNode(ctx, n); err != nil {
			return err
		}
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	_, err = c.client.CoreV1().Nodes().Patch(ctx, name, types.StrategicMergePatchType, patch,
		metav1.PatchOptions{}, "status")
	return err
}

// registerNode adds what a joining kubelet and the controller manager would write besides status.
func (c *Cluster) registerNode(ctx context.Context, n *Node) error {
	full := n.object()
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"labels": full.Labels},
		"spec":     map[string]any{"podCIDR": full.Spec.PodCIDR, "podCIDRs": full.Spec.PodCIDRs},
	})
	if err != nil {
		return err
	}
	_, err = c.client.CoreV1().Nodes().Patch(ctx, n.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	return err
}

// syncService gives a LoadBalancer Service the address that a cloud would, but for one of the class kubectl-cni.test/nobody.
func (c *Cluster) syncService(ctx context.Context, k key) error {
	service, err := c.services.Services(k.namespace).Get(k.name)
	if err != nil {
		return err
	}
	class := service.Spec.LoadBalancerClass
	nobodys := class != nil && *class == "kubectl-cni.test/nobody"
	if service.Spec.Type != corev1.ServiceTypeLoadBalancer || nobodys || len(service.Status.LoadBalancer.Ingress) > 0 {
		return nil
	}
	ip := service.Spec.LoadBalancerIP
	if ip == "" { // TEST-NET-2; the last byte follows the clusterIP's
		ip = "198.51.100" + service.Spec.ClusterIP[strings.LastIndex(service.Spec.ClusterIP, "."):]
	}
	patch := fmt.Sprintf(`{"status":{"loadBalancer":{"ingress":[{"ip":%q}]}}}`, ip)
	_, err = c.client.CoreV1().Services(k.namespace).Patch(ctx, k.name, types.MergePatchType, []byte(patch),
		metav1.PatchOptions{}, "status")
	return err
}
