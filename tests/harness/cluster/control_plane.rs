//! The control plane: etcd, the API server, the controller manager and the scheduler, as processes on this machine.
//!
//! It needs no rights and no fixed port. What nodes need besides is in `node.rs`.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use http::Request;
use kube::Client;

use super::component::Component;
use super::network::SERVICES;
use super::pki::Pki;
use crate::ports::free_port;
use crate::spawn::command;
use crate::tools;
use crate::wait::eventually_ok;

/// It is ready after three seconds; a loaded machine gets a lot more.
const READY: Duration = Duration::from_mins(3);
/// For one question whether it is ready.
const QUESTION: Duration = Duration::from_secs(5);
/// Addresses for documentation: nobody is there, and without nodes nobody asks.
const NOWHERE: &str = "203.0.113.1";
/// How long a node may be silent before its pods are moved.
const NODE_SILENCE: &str = "20s";

/// A running control plane. Dropping it ends it.
#[derive(Debug)]
pub(super) struct ControlPlane {
    pki: Pki,
    logs: PathBuf,
    address: Ipv4Addr,
    etcd: Component,
    api_server: Component,
    controllers: Vec<Component>,
}

impl ControlPlane {
    /// Starts etcd and the API server; `address` is 127.0.0.1, or the one at which nodes reach this machine.
    pub(super) fn start(folder: &Path, logs: &Path, address: Ipv4Addr) -> Result<Self> {
        let port = free_port()?;
        let pki = Pki::write(folder.join("pki"), address, format!("https://{address}:{port}"))?;
        let storage = format!("http://127.0.0.1:{}", free_port()?);
        let mut etcd = kube("etcd")?;
        etcd.arg("-data-dir").arg(folder.join("etcd")).args(["-listen-client", &storage]);
        etcd.args(["-listen-peer", &format!("http://127.0.0.1:{}", free_port()?)]);
        let etcd = Component::start("etcd", etcd, logs)?;
        let mut api_server = kube("kube-apiserver")?;
        api_server.args(api_server_flags(&pki, address));
        api_server.args([format!("--etcd-servers={storage}"), format!("--secure-port={port}")]);
        // With its usual garbage collection it works nearly twice as long for what tests ask of it.
        api_server.env("GOGC", "300");
        let api_server = Component::start("kube-apiserver", api_server, logs)?;
        Ok(Self { pki, logs: logs.to_owned(), address, etcd, api_server, controllers: Vec::new() })
    }

    /// The files of this cluster.
    pub(super) fn pki(&self) -> &Pki {
        &self.pki
    }

    /// Where the API server listens.
    pub(super) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The kubeconfig of somebody who may do everything.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.pki.file("admin.kubeconfig")
    }

    /// Waits until the API server is ready, then starts the controllers: before that they end with "forbidden",
    /// because the API server grants them their rights only then.
    pub(super) async fn finish(&mut self, client: &Client) -> Result<()> {
        let outcome = eventually_ok("the API server to be ready", READY, async || {
            let gone = self.etcd.ensure_running().and_then(|()| self.api_server.ensure_running());
            if gone.is_err() {
                // Nothing to wait for: the loop ends with the outer Ok.
                return Ok(gone);
            }
            let question = client.request_text(Request::get("/readyz").body(Vec::new())?);
            tokio::time::timeout(QUESTION, question).await??;
            Ok(Ok(()))
        });
        outcome.await.and_then(|inner| inner).with_context(|| self.api_server.tail())?;
        for (name, flags) in
            [("kube-controller-manager", controller_manager_flags(&self.pki)), ("kube-scheduler", Vec::new())]
        {
            let mut controller = kube(name)?;
            let kubeconfig = self.pki.text(&format!("{name}.kubeconfig"));
            for flag in ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"] {
                controller.arg(format!("--{flag}={kubeconfig}"));
            }
            controller.args(["--bind-address=127.0.0.1", "--leader-elect=false", "--v=1"]);
            controller.arg(format!("--secure-port={}", free_port()?)).args(flags);
            self.controllers.push(Component::start(name, controller, &self.logs)?);
        }
        Ok(())
    }
}

/// One of Kubernetes' programs.
pub(super) fn kube(component: &str) -> Result<Command> {
    let mut kube = command(tools::kube()?.join("bin/kube"));
    kube.arg(component);
    Ok(kube)
}

fn api_server_flags(pki: &Pki, address: Ipv4Addr) -> Vec<String> {
    let file = |flag: &str, name: &str| format!("--{flag}={}", pki.text(name));
    let mut flags = vec![
        file("client-ca-file", "ca.crt"),
        file("tls-cert-file", "apiserver.crt"),
        file("tls-private-key-file", "apiserver.key"),
        file("kubelet-certificate-authority", "ca.crt"),
        file("kubelet-client-certificate", "apiserver-kubelet-client.crt"),
        file("kubelet-client-key", "apiserver-kubelet-client.key"),
        file("service-account-key-file", "sa.pub"),
        file("service-account-signing-key-file", "sa.key"),
        file("requestheader-client-ca-file", "front-proxy-ca.crt"),
        file("proxy-client-cert-file", "front-proxy-client.crt"),
        file("proxy-client-key-file", "front-proxy-client.key"),
        format!("--bind-address={address}"),
        format!("--service-cluster-ip-range={SERVICES}"),
    ];
    // Kubernetes refuses to tell pods a loopback address.
    if address.is_loopback() {
        flags.extend([format!("--advertise-address={NOWHERE}"), "--endpoint-reconciler-type=none".to_owned()]);
    } else {
        flags.push(format!("--advertise-address={address}"));
    }
    let fixed = [
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-aggregator-routing=true",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP",
        "--profiling=false",
        "--v=1",
    ];
    flags.extend(fixed.map(str::to_owned));
    flags
}

fn controller_manager_flags(pki: &Pki) -> Vec<String> {
    let file = |flag: &str, name: &str| format!("--{flag}={}", pki.text(name));
    vec![
        file("service-account-private-key-file", "sa.key"),
        file("root-ca-file", "ca.crt"),
        file("cluster-signing-cert-file", "ca.crt"),
        file("cluster-signing-key-file", "ca.key"),
        "--use-service-account-credentials=true".to_owned(),
        "--allocate-node-cidrs=false".to_owned(),
        format!("--service-cluster-ip-range={SERVICES}"),
        format!("--node-monitor-grace-period={NODE_SILENCE}"),
        // The default of 20 spares an API server that has more to do than this one.
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ]
}
