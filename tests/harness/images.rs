//! Container images made of files of this machine, without a container engine: OCI archives with one layer.
//!
//! It packs what is built already; it never builds and never downloads.

mod libraries;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{folders, process, tools};

/// The operator's image in the tests.
pub const OPERATOR: &str = "headgate.invalid/operator:test";
/// The gateway's image in the tests.
pub const GATEWAY: &str = "headgate.invalid/gateway:test";
pub(crate) const PAUSE: &str = "headgate.invalid/pause:test";
pub(crate) const COREDNS: &str = "headgate.invalid/coredns:test";

/// The user of our images: anyone but root. It is a number so that Kubernetes can see that.
const USER: &str = "65532:65532";
const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";
const NSSWITCH: &str = "hosts: files dns\n";
/// Where distributions keep the certificate authorities.
const AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Writes the operator's image, from the program that is built.
pub fn pack_operator(archive: &Path) -> Result<()> {
    pack_ours("headgate-operator", OPERATOR, archive)
}

/// Writes the gateway's image, from the program that is built.
pub fn pack_gateway(archive: &Path) -> Result<()> {
    pack_ours("headgate-gateway", GATEWAY, archive)
}

pub(crate) fn pack_pause(archive: &Path) -> Result<()> {
    let image = Image::new(PAUSE, "/pause")?;
    image.copy(&tools::kube()?.join("bin/pause"), "/pause")?;
    image.pack(archive)
}

pub(crate) fn pack_coredns(archive: &Path) -> Result<()> {
    let image = Image::new(COREDNS, "/coredns")?;
    image.copy(&tools::kube()?.join("bin/coredns"), "/coredns")?;
    image.pack(archive)
}

fn pack_ours(program: &str, reference: &'static str, archive: &Path) -> Result<()> {
    let binary = process::binary(program)?;
    let entrypoint = format!("/usr/local/bin/{program}");
    let mut image = Image::new(reference, &entrypoint)?;
    image.user = Some(USER);
    // The symbols are most of it, and importing an image is most of a cluster's start.
    let stripped = image.place(&entrypoint)?;
    run(Command::new("strip").arg("-o").arg(&stripped).arg(&binary))?;
    for library in libraries::of(&binary)? {
        image.copy(&library, &library.to_string_lossy())?;
    }
    for (path, text) in [("/etc/passwd", PASSWD), ("/etc/group", GROUP), ("/etc/nsswitch.conf", NSSWITCH)] {
        fs::write(image.place(path)?, text)?;
    }
    let authorities = AUTHORITIES.iter().map(Path::new).find(|path| path.is_file());
    let authorities = authorities.with_context(|| format!("no certificate authorities in {AUTHORITIES:?}"))?;
    image.copy(authorities, AUTHORITIES[0])?;
    image.pack(archive)
}

/// An image in the making.
#[derive(Debug)]
struct Image {
    reference: &'static str,
    entrypoint: String,
    user: Option<&'static str>,
    work: TempDir,
}

impl Image {
    fn new(reference: &'static str, entrypoint: &str) -> Result<Self> {
        let work = folders::of_this_process("headgate-image-")?;
        let image = Self { reference, entrypoint: entrypoint.to_owned(), user: None, work };
        let tmp = image.root().join("tmp");
        fs::create_dir_all(&tmp)?;
        fs::set_permissions(tmp, fs::Permissions::from_mode(0o1777))?;
        Ok(image)
    }

    /// The image's file system.
    fn root(&self) -> PathBuf {
        self.work.path().join("root")
    }

    /// Where a file of the image is to be written.
    fn place(&self, path: &str) -> Result<PathBuf> {
        let place = self.root().join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().context("a file of an image lies in a folder")?)?;
        Ok(place)
    }

    fn copy(&self, from: &Path, to: &str) -> Result<()> {
        let to = self.place(to)?;
        fs::copy(from, to).map(drop).with_context(|| format!("cannot copy {} into an image", from.display()))
    }

    fn pack(&self, archive: &Path) -> Result<()> {
        let layout = self.work.path().join("layout");
        fs::create_dir_all(layout.join("blobs/sha256"))?;
        let layer = self.work.path().join("layer.tar");
        tar(&self.root(), &layer)?;
        let layer = add_blob(&layout, LAYER, &fs::read(&layer)?)?;
        let machine = json!({ "architecture": architecture(), "os": "linux" });
        let mut config = machine.clone();
        config["config"] = json!({ "Entrypoint": [self.entrypoint], "User": self.user.unwrap_or_default(),
                                   "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"] });
        config["rootfs"] = json!({ "type": "layers", "diff_ids": [layer["digest"]] });
        let config = add_blob(&layout, CONFIG, config.to_string().as_bytes())?;
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
        let mut manifest = add_blob(&layout, MANIFEST, manifest.to_string().as_bytes())?;
        manifest["platform"] = machine;
        manifest["annotations"] = json!({ "io.containerd.image.name": self.reference,
                                          "org.opencontainers.image.ref.name": self.reference });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest] });
        fs::write(layout.join("index.json"), index.to_string())?;
        fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        tar(&layout, archive)
    }
}

/// Writes a blob under its digest and gives its descriptor.
fn add_blob(layout: &Path, media_type: &str, content: &[u8]) -> Result<Value> {
    let digest = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    fs::write(layout.join("blobs/sha256").join(&digest), content)?;
    Ok(json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": content.len() }))
}

/// Everything in `folder`, always with the same bytes for the same content.
fn tar(folder: &Path, archive: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"]);
    run(tar.arg("--file").arg(archive).arg("--directory").arg(folder).arg("."))
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    ensure!(output.status.success(), "{program} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_makes_the_same_archive() {
        let folder = tempfile::tempdir().unwrap();
        let pack = |name: &str| {
            let image = Image::new("headgate.invalid/test:test", "/bin/x").unwrap();
            fs::write(image.place("/bin/x").unwrap(), "content").unwrap();
            let archive = folder.path().join(name);
            image.pack(&archive).unwrap();
            fs::read(archive).unwrap()
        };
        let first = pack("first.tar");
        assert!(!first.is_empty());
        assert!(first == pack("second.tar"), "the archives differ");
    }

    #[test]
    fn a_blob_lies_under_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        let blob = add_blob(folder.path(), LAYER, b"abc").unwrap();
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(blob["digest"], format!("sha256:{digest}"));
        assert_eq!(fs::read(folder.path().join("blobs/sha256").join(digest)).unwrap(), b"abc");
    }
}
