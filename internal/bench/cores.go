package main

import (
	"fmt"
	"os/exec"
	"strconv"
)

// coresArg is the first argument of the process that makes the load, once it has its
// cores; the second is the core of the server.
const coresArg = "with-server-on"

// cores says who runs where. None are named where a process cannot be bound to a
// core, or where there is only one.
type cores struct {
	server []int
	all    []int
}

func (c cores) String() string {
	if c.server == nil {
		return "server and load not pinned"
	}
	if len(c.all) > 2 {
		return "server on one core, load on the others"
	}
	return "server on one core, load on the other"
}

// takeCores leaves the first core to the server: it binds this process to the
// others, which takes starting it anew, as its threads are bound one by one. It
// returns what is left of the arguments.
func takeCores(args []string) (cores, []string, error) {
	if len(args) >= 2 && args[0] == coresArg {
		server, err := strconv.Atoi(args[1])
		if err != nil {
			return cores{}, nil, fmt.Errorf("%s: %w", coresArg, err)
		}
		mine, err := allowed()
		return cores{server: []int{server}, all: append([]int{server}, mine...)}, args[2:], err
	}
	all, err := allowed()
	if err != nil || len(all) < 2 {
		return cores{}, args, err
	}
	return cores{}, nil, becomeOn(all[1:], append([]string{coresArg, strconv.Itoa(all[0])}, args...))
}

// startOn starts a process on some cores, or wherever there is room if none are named.
func startOn(cpus []int, cmd *exec.Cmd) error {
	if cpus == nil {
		return cmd.Start()
	}
	return onCores(cpus, cmd.Start)
}
