// Package plane runs the control plane: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler and kwok, each a process of this same binary with a log file of its own.
package plane

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"kubectl-cni/tests/cluster/world/faults"
)

// Every world has a network namespace of its own, so ports need no choosing.
const (
	serverURL = "https://127.0.0.1:6443"
	etcdURL   = "http://127.0.0.1:2379"
	peerURL   = "http://127.0.0.1:2380"
)

// auditPolicy records who did what without the bodies: tests count requests in it.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
`

// Plane is one control plane whose files are below Dir.
type Plane struct {
	Dir string
	// Binary is this program, which is all the components; kubectl is beside it.
	Binary string
	// Address is what the API server advertises; it cannot be the loopback's.
	Address string
	// Stages is kwok's configuration.
	Stages []byte
	// SlowWatches are held back from the controller manager.
	SlowWatches faults.SlowWatches
	// Failed receives the first component that ended by itself.
	Failed chan error
}

func (p *Plane) path(name string) string { return filepath.Join(p.Dir, name) }

// Start makes the identities and starts etcd and the API server; it returns once that is ready.
func (p *Plane) Start(ctx context.Context) error {
	if err := p.writeIdentities(); err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	for file, content := range map[string][]byte{"pki/audit.yaml": []byte(auditPolicy), "pki/stages.yaml": p.Stages} {
		if err := os.WriteFile(p.path(file), content, 0o600); err != nil {
			return err
		}
	}
	if err := p.run("etcd", etcdFlags(p.path("etcd/data"))); err != nil {
		return err
	}
	if err := p.run("kube-apiserver", p.apiServerFlags()); err != nil {
		return err
	}
	return p.waitReady(ctx)
}

// StartControllers starts what works on the API server's objects.
func (p *Plane) StartControllers() error {
	kubeconfig, err := p.controllerManagerKubeconfig()
	if err != nil {
		return err
	}
	if err := p.run("kube-controller-manager", p.controllerManagerFlags(kubeconfig)); err != nil {
		return err
	}
	if err := p.run("kube-scheduler", p.schedulerFlags()); err != nil {
		return err
	}
	return p.run("kwok", p.kwokFlags())
}

// controllerManagerKubeconfig leads to the API server, through a proxy if its watches are to be slow.
func (p *Plane) controllerManagerKubeconfig() (string, error) {
	direct := p.path("pki/controller-manager.yaml")
	if len(p.SlowWatches) == 0 {
		return direct, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", direct)
	if err != nil {
		return "", err
	}
	dir := p.path("pki/slow-watch")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	return faults.Start(config, dir, &faults.Faults{SlowWatches: p.SlowWatches})
}

// Client is a client of the simulated kubelets' identity, without client-go's own brakes.
func (p *Plane) Client() (*kubernetes.Clientset, error) {
	config, err := p.restConfig()
	if err != nil {
		return nil, err
	}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	return kubernetes.NewForConfig(config)
}

func (p *Plane) restConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", p.path("pki/kubelets.yaml"))
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = -1, -1
	return config, nil
}

// Kubectl runs the kubectl beside this binary as the administrator.
func (p *Plane) Kubectl(ctx context.Context, args ...string) error {
	args = append([]string{"--kubeconfig", p.path("kubeconfig")}, args...)
	command := exec.CommandContext(ctx, filepath.Join(filepath.Dir(p.Binary), "kubectl"), args...)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %v: %w\n%s", args[2:], err, output)
	}
	return nil
}

func (p *Plane) run(name string, flags []string) error {
	log, err := os.Create(p.path("log/" + name + ".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(p.Binary, append([]string{name}, flags...)...)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		err := command.Wait()
		select {
		case p.Failed <- fmt.Errorf("%s ended (%v): see %s", name, err, log.Name()):
		default:
		}
	}()
	return nil
}

func (p *Plane) waitReady(ctx context.Context) error {
	client, err := p.Client()
	if err != nil {
		return err
	}
	for {
		_, err := client.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil {
			return nil
		}
		select {
		case failure := <-p.Failed:
			return failure
		case <-ctx.Done():
			return fmt.Errorf("the API server does not become ready: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
