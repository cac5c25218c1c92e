//! The keys, certificates and kubeconfigs of a cluster.
//!
//! It writes files; it never starts anything.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::KeyPair;
use serde_json::json;

use super::network::API_SERVICE;
use crate::certificates::{Authority, Issued};

/// The names at which pods reach the API server.
const NAMES: [&str; 4] =
    ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];

/// The authority of a cluster and the folder with its files.
#[derive(Debug)]
pub(super) struct Pki {
    folder: PathBuf,
    authority: Authority,
    server: String,
}

impl Pki {
    /// Makes everything that the control plane needs; `server` is the URL of the API server at `address`.
    pub(super) fn write(folder: PathBuf, address: Ipv4Addr, server: String) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        let pki = Self { folder, authority: Authority::new("headgate-tests")?, server };
        pki.save("ca", &pki.authority.itself())?;
        let (address, service) = (address.to_string(), API_SERVICE.to_string());
        let names = [&NAMES[..], &["localhost", "127.0.0.1", &address, &service]].concat();
        pki.save("apiserver", &pki.authority.component("kube-apiserver", None, &names)?)?;
        let kubelets = pki.authority.component("kube-apiserver-kubelet-client", Some("system:masters"), &[])?;
        pki.save("apiserver-kubelet-client", &kubelets)?;
        let front_proxy = Authority::new("headgate-tests-front-proxy")?;
        pki.save("front-proxy-ca", &front_proxy.itself())?;
        pki.save("front-proxy-client", &front_proxy.component("front-proxy-client", None, &[])?)?;
        let service_accounts = KeyPair::generate()?;
        fs::write(pki.file("sa.key"), service_accounts.serialize_pem())?;
        fs::write(pki.file("sa.pub"), service_accounts.public_key_pem())?;
        pki.kubeconfig("admin", "kubernetes-admin", Some("system:masters"))?;
        for component in ["kube-controller-manager", "kube-scheduler", "kube-proxy"] {
            pki.kubeconfig(component, &format!("system:{component}"), None)?;
        }
        Ok(pki)
    }

    /// Adds what the kubelet of this node needs: `<node>.crt`, `<node>.key`, `<node>.kubeconfig`.
    pub(super) fn add_node(&self, node: &str, address: Ipv4Addr) -> Result<()> {
        let (user, group) = (format!("system:node:{node}"), Some("system:nodes"));
        self.save(node, &self.authority.component(&user, group, &[node, &address.to_string()])?)?;
        self.kubeconfig(node, &user, group)
    }

    /// The path of one of the files.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The same as text, for a command line or a configuration file.
    pub(super) fn text(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }

    fn save(&self, name: &str, issued: &Issued) -> Result<()> {
        fs::write(self.file(&format!("{name}.crt")), &issued.certificate)?;
        Ok(fs::write(self.file(&format!("{name}.key")), &issued.key)?)
    }

    fn kubeconfig(&self, name: &str, user: &str, group: Option<&str>) -> Result<()> {
        let issued = self.authority.component(user, group, &[])?;
        let encode = |text: &str| STANDARD.encode(text);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{ "name": "tests", "cluster": {
                "server": self.server, "certificate-authority-data": encode(&self.authority.certificate()) } }],
            "users": [{ "name": "tests", "user": {
                "client-certificate-data": encode(&issued.certificate), "client-key-data": encode(&issued.key) } }],
            "contexts": [{ "name": "tests", "context": { "cluster": "tests", "user": "tests" } }],
        });
        Ok(fs::write(kubeconfig(&self.folder, name), config.to_string())?)
    }
}

fn kubeconfig(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.kubeconfig"))
}
