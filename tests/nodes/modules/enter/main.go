// enter runs a command in the PID namespace that a file names, and is to its caller what the command
// would be: same terminal, signals passed on, same end. nsenter --pid does not pass signals on.
//
// usage: enter PID-NAMESPACE COMMAND [ARGUMENT...]
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: enter PID-NAMESPACE COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	status, err := run(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	end(status)
}

func run(namespace string, args []string) (syscall.WaitStatus, error) {
	// The namespace is for the children of the thread that enters it.
	runtime.LockOSThread()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals)

	file, err := os.Open(namespace)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWPID); err != nil {
		return 0, fmt.Errorf("enter %s: %w", namespace, err)
	}
	command := exec.Command(args[0], args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := command.Start(); err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			if passOn(s) {
				_ = command.Process.Signal(s)
			}
		}
	}()
	var failure *exec.ExitError
	if err := command.Wait(); err != nil && !errors.As(err, &failure) {
		return 0, err
	}
	return command.ProcessState.Sys().(syscall.WaitStatus), nil
}

// passOn: what a terminal sends, it has sent to the command as well.
func passOn(s os.Signal) bool {
	switch s {
	case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE:
		return false
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGWINCH:
		_, err := unix.IoctlGetTermios(0, unix.TCGETS)
		return err != nil
	}
	return true
}

// end ends as the command has ended.
func end(status syscall.WaitStatus) {
	if !status.Signaled() {
		os.Exit(status.ExitStatus())
	}
	signal.Reset(status.Signal())
	_ = syscall.Kill(os.Getpid(), status.Signal())
	os.Exit(128 + int(status.Signal()))
}
