// Command addresses is what a cloud does for Services of type LoadBalancer, as far as a cluster on one machine needs it:
// each gets an address of a range, kube-proxy does the rest. For tests only.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	kubeconfig := flag.String("kubeconfig", "", "the API server, as a kubeconfig `file`")
	first := flag.String("first", "", "first `address` of the range")
	last := flag.String("last", "", "last `address` of the range")
	flag.Parse()
	if err := run(*kubeconfig, *first, *last); err != nil {
		fmt.Fprintln(os.Stderr, "addresses:", err)
		os.Exit(1)
	}
}

// run hands out addresses until SIGTERM or SIGINT.
func run(kubeconfig, first, last string) error {
	from, err := netip.ParseAddr(first)
	if err != nil {
		return err
	}
	to, err := netip.ParseAddr(last)
	if err != nil {
		return err
	}
	pool, err := newPool(from, to)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()
	return newController(client, pool).run(ctx)
}
