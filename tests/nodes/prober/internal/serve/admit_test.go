package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAdmitsWithItsOwnCertificate(t *testing.T) {
	dir := t.TempDir()
	if err := WriteCertificate(dir, "gate.shop.svc"); err != nil {
		t.Fatal(err)
	}
	address := freePort(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		_, err := Run(ctx, Options{Admit: address, TLS: dir})
		ended <- err
	}()
	pem, err := os.ReadFile(filepath.Join(dir, certificateFile))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "gate.shop.svc"}}}
	for _, c := range []struct{ body, want string }{
		{`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"7","name":"x"}}`,
			`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"7","allowed":true}}` + "\n"},
		{`{}`, "no AdmissionReview\n"},
	} {
		var answer *http.Response
		for range 100 {
			answer, err = client.Post("https://"+address+"/", "application/json", strings.NewReader(c.body))
			if err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(answer.Body); string(body) != c.want {
			t.Errorf("%s: got %s", c.body, body)
		}
		answer.Body.Close()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
