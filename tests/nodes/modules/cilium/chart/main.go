// chart renders a Helm chart as `helm template` does, for a cluster of Kubernetes 1.36.3: Helm's own
// packages, without the command around them, which would take minutes to compile.
//
// usage: chart CHART RELEASE NAMESPACE [VALUES-FILE...]
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
)

const kubernetesVersion = "v1.36.3"

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: chart CHART RELEASE NAMESPACE [VALUES-FILE...]")
		os.Exit(2)
	}
	if err := render(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func render(path, release, namespace string, valuesFiles []string) error {
	chart, err := loader.Load(path)
	if err != nil {
		return err
	}
	values, err := readValues(valuesFiles)
	if err != nil {
		return err
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	version, err := chartutil.ParseKubeVersion(kubernetesVersion)
	if err != nil {
		return err
	}
	capabilities.KubeVersion = *version
	options := chartutil.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, values, options, capabilities)
	if err != nil {
		return err
	}
	files, err := engine.Engine{}.Render(chart, all)
	if err != nil {
		return err
	}
	return print(files)
}

// readValues merges the files key by key; a later one wins.
func readValues(files []string) (map[string]any, error) {
	values := map[string]any{}
	for _, file := range files {
		read, err := chartutil.ReadValuesFile(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		values = chartutil.MergeTables(read, values)
	}
	return values, nil
}

// print writes the objects in the order in which Helm installs them.
func print(files map[string]string) error {
	for name := range files {
		if strings.HasSuffix(name, "NOTES.txt") {
			delete(files, name)
		}
	}
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return err
	}
	if len(hooks) > 0 {
		return errors.New("the chart has hooks, which nobody would run")
	}
	for _, m := range manifests {
		if _, err := fmt.Printf("---\n# Source: %s\n%s\n", m.Name, strings.TrimSpace(m.Content)); err != nil {
			return err
		}
	}
	return nil
}
