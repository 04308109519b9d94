// Command kubernetes is a control plane and a node in one binary: the upstream commands as they are, the first argument
// says which, and an etcd that keeps nothing safe. For tests only.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// components are named as their upstream binaries are, without "kube-".
var components = map[string]func() *cobra.Command{
	"etcd":               etcdCommand,
	"apiserver":          apiserver.NewAPIServerCommand,
	"controller-manager": controllermanager.NewControllerManagerCommand,
	"scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubelet":            func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	"proxy":              proxy.NewProxyCommand,
}

func main() {
	name, arguments := "", []string(nil)
	if len(os.Args) > 1 {
		name, arguments = os.Args[1], os.Args[2:]
	}
	component, known := components[name]
	if !known {
		fmt.Fprintln(os.Stderr, "usage: kubernetes etcd|apiserver|controller-manager|scheduler|kubelet|proxy FLAGS…")
		os.Exit(2)
	}
	// The kubelet reads os.Args itself.
	os.Args = append([]string{os.Args[0]}, arguments...)
	command := component()
	command.SetArgs(arguments)
	if err := command.Execute(); err != nil {
		os.Exit(1)
	}
}
