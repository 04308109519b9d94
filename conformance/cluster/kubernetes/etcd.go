package main

import (
	"context"
	"fmt"
	"net/url"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

// etcdCommand is an etcd of one member on loopback that never waits for the disk: a power cut loses everything, and
// nobody minds.
func etcdCommand() *cobra.Command {
	return &cobra.Command{
		Use:           "etcd DIR",
		Args:          cobra.ExactArgs(1),
		SilenceUsage:  true,
		SilenceErrors: false,
		RunE: func(_ *cobra.Command, arguments []string) error {
			return runEtcd(arguments[0])
		},
	}
}

// runEtcd serves until SIGTERM or SIGINT.
func runEtcd(folder string) error {
	stopped, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()
	etcd, err := embed.StartEtcd(etcdConfig(folder))
	if err != nil {
		return err
	}
	defer etcd.Close()
	select {
	case <-stopped.Done():
		return nil
	case err := <-etcd.Err():
		return fmt.Errorf("etcd stopped: %w", err)
	}
}

func etcdConfig(folder string) *embed.Config {
	config := embed.NewConfig()
	config.Dir = folder
	clients := url.URL{Scheme: "http", Host: "127.0.0.1:2379"}
	peers := url.URL{Scheme: "http", Host: "127.0.0.1:2380"}
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{clients}, []url.URL{clients}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peers}, []url.URL{peers}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.UnsafeNoFsync = true
	config.LogLevel = "warn"
	return config
}
