package sim

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const settlePeriod = 100 * time.Millisecond

// WaitServiceAccounts waits until pods can be created in every namespace.
func (c *Cluster) WaitServiceAccounts(ctx context.Context) error {
	namespaces, err := c.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, ns := range namespaces.Items {
		err := until(ctx, func() (bool, error) {
			_, err := c.client.CoreV1().ServiceAccounts(ns.Name).Get(ctx, "default", metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			return err == nil, err
		})
		if err != nil {
			return fmt.Errorf("the default ServiceAccount of %s: %w", ns.Name, err)
		}
	}
	return nil
}

// WaitSettled waits until every workload has all its pods and every pod is ready or has finished.
func (c *Cluster) WaitSettled(ctx context.Context) error {
	missing := "nothing looked at"
	err := until(ctx, func() (bool, error) {
		if missing = c.unreadyPod(); missing != "" {
			return false, nil
		}
		var err error
		missing, err = c.unreadyWorkload(ctx)
		return missing == "", err
	})
	if err != nil {
		return fmt.Errorf("the cluster does not settle (%s): %w", missing, err)
	}
	return nil
}

// unreadyPod asks our own cache, so it may be asked often.
func (c *Cluster) unreadyPod() string {
	pods, err := c.pods.List(everything)
	if err != nil {
		return err.Error()
	}
	for _, pod := range pods {
		if !isReady(pod) && !isFinished(pod) {
			return fmt.Sprintf("pod %s/%s", pod.Namespace, pod.Name)
		}
	}
	return ""
}

func (c *Cluster) unreadyWorkload(ctx context.Context) (string, error) {
	all := metav1.ListOptions{}
	apps := c.client.AppsV1()
	daemonSets, err := apps.DaemonSets("").List(ctx, all)
	if err != nil {
		return "", err
	}
	for _, d := range daemonSets.Items {
		s := d.Status
		if s.ObservedGeneration < d.Generation || s.DesiredNumberScheduled == 0 || s.NumberAvailable < s.DesiredNumberScheduled {
			return "DaemonSet " + d.Name, nil
		}
	}
	deployments, err := apps.Deployments("").List(ctx, all)
	if err != nil {
		return "", err
	}
	for _, d := range deployments.Items {
		if d.Status.ObservedGeneration < d.Generation || d.Status.AvailableReplicas < *d.Spec.Replicas {
			return "Deployment " + d.Name, nil
		}
	}
	sets, err := apps.StatefulSets("").List(ctx, all)
	if err != nil {
		return "", err
	}
	for _, s := range sets.Items {
		if s.Status.ObservedGeneration < s.Generation || s.Status.AvailableReplicas < *s.Spec.Replicas {
			return "StatefulSet " + s.Name, nil
		}
	}
	return c.unreadyBudgetOrJob(ctx)
}

// unreadyBudgetOrJob: a budget that has not counted its pods yet refuses every eviction.
func (c *Cluster) unreadyBudgetOrJob(ctx context.Context) (string, error) {
	budgets, err := c.client.PolicyV1().PodDisruptionBudgets("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	for _, b := range budgets.Items {
		if b.Status.ObservedGeneration < b.Generation || b.Status.DisruptionsAllowed == 0 {
			return "PodDisruptionBudget " + b.Name, nil
		}
	}
	jobs, err := c.client.BatchV1().Jobs("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	for _, j := range jobs.Items {
		if j.Status.Active+j.Status.Succeeded+j.Status.Failed == 0 {
			return "Job " + j.Name, nil
		}
	}
	return "", nil
}

func until(ctx context.Context, done func() (bool, error)) error {
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settlePeriod):
		}
	}
}
