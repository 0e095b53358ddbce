package probe

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
)

// dial opens a connection; the context's deadline holds for all that is done on it.
func dial(ctx context.Context, address string) (*net.TCPConn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	return conn.(*net.TCPConn), nil
}

// get asks the address for its page over a connection of its own, and reads it to the end.
func get(ctx context.Context, address string) error {
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	// The server closes first and the reset leaves neither side a socket in TIME_WAIT: at hundreds of
	// connections a second, those would fill the connection tracking table.
	defer conn.Close()
	conn.SetLinger(0)
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+address+"\r\nConnection: close\r\n\r\n")
	if err != nil {
		return err
	}
	in := bufio.NewReaderSize(conn, 512)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return errStatus
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// getByName resolves NAME:PORT through the name server and asks the first address for its page.
func getByName(ctx context.Context, name, server string) error {
	host, port, err := net.SplitHostPort(name)
	if err != nil {
		return err
	}
	// A resolver of its own for each probe: one that is shared makes a look-up wait for the answer to
	// an earlier one for the same name. The dot keeps search domains out.
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, server)
	}}
	addresses, err := resolver.LookupNetIP(ctx, "ip4", strings.TrimSuffix(host, ".")+".")
	if err != nil {
		return err
	}
	return get(ctx, net.JoinHostPort(addresses[0].String(), port))
}
