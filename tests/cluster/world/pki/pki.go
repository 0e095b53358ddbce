// Package pki makes the keys, certificates and kubeconfigs of one throw-away cluster.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const year = 365 * 24 * time.Hour

// Authority signs everything within one cluster and writes what it signs into a directory.
type Authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

// Subject says whom a certificate is for and how long it lives.
type Subject struct {
	Name, Group string
	// ServerIPs makes it a serving certificate for these addresses and for localhost.
	ServerIPs []net.IP
	// Expired makes it one that ended an hour ago.
	Expired bool
}

// NewAuthority makes a CA and writes NAME.crt and NAME.key below dir.
func NewAuthority(dir, name string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(now.UnixNano()),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-24 * time.Hour),
		NotAfter:              now.Add(10 * year),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a := &Authority{dir: dir, key: key, cert: cert, pem: certPEM(der)}
	if err := a.write(name, a.pem, key); err != nil {
		return nil, err
	}
	return a, nil
}

// Issue writes NAME.crt and NAME.key for the subject and returns both as PEM.
func (a *Authority) Issue(name string, s Subject) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: s.Name},
		NotBefore:    now.Add(-12 * time.Hour),
		NotAfter:     now.Add(year),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if s.Group != "" {
		template.Subject.Organization = []string{s.Group}
	}
	if s.Expired {
		template.NotAfter = now.Add(-time.Hour)
	}
	if s.ServerIPs != nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		template.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
		template.IPAddresses = append(s.ServerIPs, net.IPv4(127, 0, 0, 1), net.IPv6loopback)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	if err != nil {
		return nil, nil, err
	}
	keyBytes, err := keyPEM(private)
	if err != nil {
		return nil, nil, err
	}
	cert = certPEM(der)
	return cert, keyBytes, a.write(name, cert, private)
}

// WriteServiceAccountKey writes NAME.key, the key that signs ServiceAccount tokens.
func (a *Authority) WriteServiceAccountKey(name string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	return a.write(name, nil, key)
}

// PEM is the CA's certificate.
func (a *Authority) PEM() []byte { return a.pem }

func (a *Authority) write(name string, cert []byte, key crypto.PrivateKey) error {
	keyBytes, err := keyPEM(key)
	if err != nil {
		return err
	}
	base := filepath.Join(a.dir, name)
	if err := os.WriteFile(base+".key", keyBytes, 0o600); err != nil || cert == nil {
		return err
	}
	return os.WriteFile(base+".crt", cert, 0o644)
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
