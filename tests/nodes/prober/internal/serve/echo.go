package serve

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// MessageSize is the length of what a prober sends and gets back.
const MessageSize = 8

// echo sends back whatever it is sent.
type echo struct {
	served atomic.Int64 // messages

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
	listen net.Listener
	done   sync.WaitGroup
}

func newEcho() *echo { return &echo{open: map[net.Conn]bool{}} }

func (e *echo) serve(listener net.Listener) error {
	e.mu.Lock()
	e.listen = listener
	closed := e.closed
	e.mu.Unlock()
	if closed {
		return listener.Close()
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		if e.enter(conn) {
			go e.talk(conn)
		} else {
			conn.Close()
		}
	}
}

func (e *echo) enter(conn net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.open[conn] = true
	e.done.Add(1)
	return true
}

func (e *echo) talk(conn net.Conn) {
	defer e.done.Done()
	defer conn.Close()
	buffer := make([]byte, 64*MessageSize)
	for {
		n, err := conn.Read(buffer)
		if n > 0 {
			if _, err := conn.Write(buffer[:n]); err != nil {
				break
			}
			e.served.Add(int64(n / MessageSize))
		}
		if err != nil {
			break
		}
	}
	e.mu.Lock()
	delete(e.open, conn)
	e.mu.Unlock()
}

// close refuses new connections, and ends each open one after the message that it is echoing.
func (e *echo) close() {
	e.mu.Lock()
	e.closed = true
	if e.listen != nil {
		e.listen.Close()
	}
	for conn := range e.open {
		conn.SetReadDeadline(time.Now())
		conn.SetWriteDeadline(time.Now().Add(lastCall))
	}
	e.mu.Unlock()
	e.done.Wait()
}
