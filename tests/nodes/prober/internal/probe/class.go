package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// errStatus is an HTTP answer other than 200.
var errStatus = errors.New("not 200 OK")

// class puts an error into one word; none is the empty word.
func class(err error) string {
	var dns *net.DNSError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &dns) && dns.IsNotFound:
		return "nxdomain"
	case errors.As(err, &dns) && dns.IsTimeout:
		return "dns-timeout"
	case errors.As(err, &dns):
		return "dns"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, syscall.ETIMEDOUT):
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "unreachable"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "eof"
	case errors.Is(err, errStatus):
		return "status"
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EMFILE):
		return "prober" // out of ports or files: not the network's fault
	}
	return "other"
}
