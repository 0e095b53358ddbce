// Package faults stands between clients and the API server and lets go wrong what rarely does by
// itself: a client killed between two of its writes, a conflict, a watch that lags behind.
package faults

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd/api"

	"kubectl-cni/tests/cluster/world/pki"
)

// ownToken stands for the identity the proxy lends. Whoever brings another token keeps its own.
const ownToken = "token-of-a-fault-proxy"

// Start serves a proxy for config's server on a free port until this process ends. What it needs is
// written below dir; the result is the path of the kubeconfig that leads to it.
func Start(config *rest.Config, dir string, faults *Faults) (kubeconfig string, err error) {
	authority, err := pki.NewAuthority(dir, "ca")
	if err != nil {
		return "", err
	}
	cert, key, err := authority.Issue("proxy", pki.Subject{Name: "fault-proxy", ServerIPs: []net.IP{}})
	if err != nil {
		return "", err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return "", err
	}
	handler, err := newHandler(config, faults)
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	kubeconfig = filepath.Join(dir, "kubeconfig")
	user := &api.AuthInfo{Token: ownToken}
	if err := pki.WriteKubeconfig(kubeconfig, "https://"+listener.Addr().String(), authority.PEM(), user); err != nil {
		return "", err
	}
	server := &http.Server{Handler: handler, ErrorLog: silent(),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return kubeconfig, nil
}

func newHandler(config *rest.Config, faults *Faults) (http.Handler, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	lender, err := newLender(config)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     &transport{faults: faults, next: lender},
		FlushInterval: -1, // a watch's event must not wait for the next one
		ErrorHandler:  noAnswer,
		ErrorLog:      silent(),
	}, nil
}

// noAnswer ends a request that could not be passed on. The client of a killed child, or one that
// has left, gets nothing: no answer of ours could be mistaken for the API server's.
func noAnswer(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(err, errKilled) && !errors.Is(err, errLost) && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "faults: %s %s: %v\n", r.Method, r.URL.Path, err)
	}
	panic(http.ErrAbortHandler)
}

func silent() *log.Logger { return log.New(io.Discard, "", 0) }

// lender is the way to the API server: with the proxy's identity for ownToken, else with what the
// client brought. (Both at once would not do: a client certificate counts more than a token.)
type lender struct{ own, none http.RoundTripper }

func newLender(config *rest.Config) (*lender, error) {
	config = rest.CopyConfig(config)
	config.DisableCompression = true // what the client asked for is passed on as it is
	own, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	anonymous := rest.AnonymousClientConfig(config)
	anonymous.DisableCompression = true
	none, err := rest.TransportFor(anonymous)
	if err != nil {
		return nil, err
	}
	return &lender{own: own, none: none}, nil
}

func (l *lender) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Header.Get("Authorization") != "Bearer "+ownToken {
		return l.none.RoundTrip(request)
	}
	request = request.Clone(request.Context())
	request.Header.Del("Authorization")
	return l.own.RoundTrip(request)
}
