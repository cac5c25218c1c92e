// etcd with one member on loopback, in the same program. Nothing of it survives the test run, so it never waits for the
// disk.
package main

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
)

const quotaBytes = 2 << 30

func runEtcd(arguments []string) int {
	config, err := etcdConfig(arguments)
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		return 2
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	server, err := embed.StartEtcd(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		return 1
	}
	defer server.Close()
	select {
	case <-signals:
		return 0
	case err := <-server.Err():
		fmt.Fprintln(os.Stderr, "etcd:", err)
		return 1
	}
}

func etcdConfig(arguments []string) (*embed.Config, error) {
	flags := flag.NewFlagSet("etcd", flag.ExitOnError)
	folder := flags.String("data-dir", "", "folder of the data")
	client := flags.String("listen-client", "", "URL for clients")
	peer := flags.String("listen-peer", "", "URL for other members, which there are none of")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	clientURL, err := url.Parse(*client)
	if err != nil {
		return nil, err
	}
	peerURL, err := url.Parse(*peer)
	if err != nil {
		return nil, err
	}
	config := embed.NewConfig()
	config.Name = "headgate-tests"
	config.Dir = *folder
	config.LogLevel = "warn"
	config.ListenClientUrls = []url.URL{*clientURL}
	config.AdvertiseClientUrls = []url.URL{*clientURL}
	config.ListenPeerUrls = []url.URL{*peerURL}
	config.AdvertisePeerUrls = []url.URL{*peerURL}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.UnsafeNoFsync = true
	config.QuotaBackendBytes = quotaBytes
	return config, nil
}
