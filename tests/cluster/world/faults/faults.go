package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	errKilled = errors.New("the child is dead")
	errLost   = errors.New("the answer is lost")
)

// Faults is what goes wrong on the way; the zero value is a plain proxy.
type Faults struct {
	// KillAfter and KillBefore are the number of the write (1 is the first) whose answer the child
	// does not live to see, or which the server never sees; 0 is none.
	KillAfter, KillBefore int
	// Kill ends the child and returns once it is dead.
	Kill func()
	// ConflictFirstPatch answers the first PATCH of each path with 409.
	ConflictFirstPatch bool
	// SlowFirstDelete holds back what the server answered to the first DELETE.
	SlowFirstDelete time.Duration
	// LoseAnswer hangs up instead of answering the first request of "METHOD PLURAL", a dry run excepted.
	LoseAnswer string
	// BeforeFirstWrite, if any, runs while the first write waits. Its error kills the child.
	BeforeFirstWrite func() error
	SlowWatches      SlowWatches

	writes  atomic.Int64
	killed  atomic.Bool
	patched sync.Map // path -> true
	first   sync.Once
	deleted atomic.Bool
	lost    atomic.Bool
	failure atomic.Value
}

// Writes is how many have come, those that were not passed on among them.
func (f *Faults) Writes() int64 { return f.writes.Load() }

// Err is the failure of BeforeFirstWrite.
func (f *Faults) Err() error {
	err, _ := f.failure.Load().(error)
	return err
}

// transport passes requests on, or not.
type transport struct {
	faults *Faults
	next   http.RoundTripper
}

func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	switch request.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return t.write(request)
	}
	response, err := t.next.RoundTrip(request)
	if err == nil {
		if delay := t.faults.SlowWatches.of(request.URL); delay > 0 {
			response.Body = holdBack(response.Body, delay)
		}
	}
	return response, err
}

func (t *transport) write(request *http.Request) (*http.Response, error) {
	f := t.faults
	number := int(f.writes.Add(1))
	if number == f.KillBefore {
		return nil, f.kill()
	}
	f.first.Do(func() {
		if f.BeforeFirstWrite == nil {
			return
		}
		if err := f.BeforeFirstWrite(); err != nil {
			f.failure.Store(err)
			_ = f.kill()
		}
	})
	// What a dead child had already handed to the kernel must not happen after its end.
	if f.killed.Load() {
		return nil, errKilled
	}
	answer, err := t.pass(request)
	if err == nil && number == f.KillAfter {
		answer.Body.Close()
		return nil, f.kill()
	}
	return answer, err
}

func (f *Faults) kill() error {
	f.killed.Store(true)
	f.Kill()
	return errKilled
}

func (t *transport) pass(request *http.Request) (*http.Response, error) {
	if t.faults.ConflictFirstPatch && request.Method == http.MethodPatch {
		if _, seen := t.faults.patched.LoadOrStore(request.URL.Path, true); !seen {
			return conflict(request)
		}
	}
	response, err := t.next.RoundTrip(request)
	if err == nil && request.Method == http.MethodDelete && !t.faults.deleted.Swap(true) {
		select {
		case <-time.After(t.faults.SlowFirstDelete):
		case <-request.Context().Done():
		}
	}
	if err == nil && t.faults.loses(request) && !t.faults.lost.Swap(true) {
		response.Body.Close()
		return nil, errLost
	}
	return response, err
}

func (f *Faults) loses(request *http.Request) bool {
	method, plural, _ := strings.Cut(f.LoseAnswer, " ")
	return request.Method == method && strings.Contains(request.URL.Path+"/", "/"+plural+"/") &&
		!request.URL.Query().Has("dryRun")
}

// conflict is what the API server says of a change to an object that has changed meanwhile.
func conflict(request *http.Request) (*http.Response, error) {
	parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	resource := schema.GroupResource{}
	if len(parts) > 1 {
		resource.Resource = parts[len(parts)-2]
	}
	if parts[0] == "apis" && len(parts) > 1 {
		resource.Group = parts[1]
	}
	status := apierrors.NewConflict(resource, parts[len(parts)-1], errors.New("the object has been "+
		"modified; please apply your changes to the latest version and try again")).Status()
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	body, err := json.Marshal(status)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusConflict, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)), Request: request,
	}, nil
}
