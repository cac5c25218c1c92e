//! The programs that a fresh machine may lack: looked for, installed through apt where that is possible, else named
//! together with the command that installs them.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;
use crate::progress::{self, Task};

const OLDEST_JAVA: u32 = 17;
/// From here on, Go gets the toolchain that a module asks for by itself.
const OLDEST_GO: (u32, u32) = (1, 21);
/// Where distributions put the plugin that every node needs.
const PLUGINS: [&str; 3] = ["/usr/lib/cni/bridge", "/opt/cni/bin/bridge", "/usr/libexec/cni/bridge"];

/// A program that must be there before anything of ours can run.
#[derive(Debug)]
pub(crate) struct Need {
    name: &'static str,
    packages: &'static [&'static str],
    is_there: fn() -> bool,
}

impl Need {
    const COMPILER: Self =
        Self { name: "a C compiler", packages: &["build-essential"], is_there: || runs("cc", &["--version"]) };
    const MAKE: Self = Self { name: "make", packages: &["make"], is_there: || runs("make", &["--version"]) };
    const PERL: Self = Self { name: "perl", packages: &["perl"], is_there: || runs("perl", &["-v"]) };
    /// Makes the RSA keys of the tests' own issuer.
    const OPENSSL: Self = Self { name: "openssl", packages: &["openssl"], is_there: || runs("openssl", &["version"]) };
    const JAVA: Self = Self { name: "Java 17 or newer", packages: &["default-jre-headless"], is_there: has_java };
    const MAVEN: Self = Self { name: "mvn", packages: &["maven"], is_there: || runs("mvn", &["--version"]) };
    const PYTHON: Self = Self {
        name: "python3 with venv",
        packages: &["python3", "python3-venv"],
        is_there: || runs("python3", &["-c", "import venv, ensurepip"]),
    };
    const NODE: Self = Self { name: "node", packages: &["nodejs"], is_there: || runs("node", &["--version"]) };
    const NPM: Self = Self { name: "npm", packages: &["npm"], is_there: || runs("npm", &["--version"]) };
    const CHROMIUM: Self =
        Self { name: "chromium", packages: &["chromium"], is_there: || super::browser::find().is_some() };

    /// For everything around Kubernetes. Not among [`Self::ALL`]: without it, only those tests are skipped.
    pub(super) const GO: Self =
        Self { name: "Go 1.21 or newer", packages: &["golang-go", "ca-certificates"], is_there: has_go };
    /// What a node of a cluster is made of.
    pub(super) const NODES: [Self; 8] = [
        Self { name: "containerd", packages: &["containerd"], is_there: || runs("containerd", &["--version"]) },
        Self { name: "runc", packages: &["runc"], is_there: || runs("runc", &["--version"]) },
        Self {
            name: "the CNI plugins",
            packages: &["containernetworking-plugins"],
            is_there: || PLUGINS.iter().any(|file| Path::new(file).is_file()),
        },
        Self { name: "iptables", packages: &["iptables"], is_there: || runs("iptables", &["--version"]) },
        Self { name: "nft", packages: &["nftables"], is_there: || runs("nft", &["--version"]) },
        Self { name: "conntrack", packages: &["conntrack"], is_there: || runs("conntrack", &["--version"]) },
        Self { name: "ip", packages: &["iproute2"], is_there: || runs("ip", &["-V"]) },
        Self { name: "nsenter and unshare", packages: &["util-linux"], is_there: || runs("nsenter", &["--version"]) },
    ];

    /// What the build needs.
    pub(crate) const BUILD: [Self; 3] = [Self::COMPILER, Self::MAKE, Self::PERL];
    /// What the build and the servers of the tests need.
    pub(crate) const ALL: [Self; 10] = [
        Self::COMPILER,
        Self::MAKE,
        Self::PERL,
        Self::OPENSSL,
        Self::JAVA,
        Self::MAVEN,
        Self::PYTHON,
        Self::NODE,
        Self::NPM,
        Self::CHROMIUM,
    ];
}

/// Makes sure that all of them are there.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages.iter().copied()).collect();
    let names = names(&missing);
    let remedy = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !runs("apt-get", &["--version"]) {
        bail!("missing: {names}. Install them with the package manager of this system (Debian's names: {packages:?})");
    }
    if !is_root() {
        bail!("missing: {names}. Run: sudo {remedy}");
    }
    progress::headline(&format!("missing: {names}"));
    let task = Task::start(&remedy);
    let outcome = apt(&packages);
    task.end(outcome.is_ok());
    outcome?;
    let still = self::missing(needs);
    if !still.is_empty() {
        bail!("still missing after `{remedy}`: {}", self::names(&still));
    }
    Ok(())
}

fn missing(needs: &[Need]) -> Vec<&Need> {
    needs.iter().filter(|need| !(need.is_there)()).collect()
}

fn names(needs: &[&Need]) -> String {
    needs.iter().map(|need| need.name).collect::<Vec<_>>().join(", ")
}

fn apt(packages: &[&str]) -> Result<()> {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        process::quiet(&mut command)
    };
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], packages].concat())
}

pub(super) fn is_root() -> bool {
    process::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    process::succeeds(Command::new(program).args(arguments))
}

fn has_java() -> bool {
    // It is written to stderr.
    let output = Command::new("java").arg("-version").output();
    output.is_ok_and(|output| java_version(&String::from_utf8_lossy(&output.stderr)) >= Some(OLDEST_JAVA))
}

/// The first number of `… version "17.0.15" …`.
fn java_version(text: &str) -> Option<u32> {
    let version = text.split('"').nth(1)?;
    version.split('.').next()?.parse().ok()
}

fn has_go() -> bool {
    process::output(Command::new("go").arg("version")).is_ok_and(|text| go_version(&text) >= Some(OLDEST_GO))
}

/// The first two numbers of `go version go1.26.8 linux/amd64`.
fn go_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().nth(2)?.strip_prefix("go")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_go_is_its_first_two_numbers() {
        assert_eq!(go_version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(go_version("go version go1.25 linux/amd64"), Some((1, 25)));
        assert!(go_version("go version go1.19.8 linux/amd64") < Some(OLDEST_GO));
        assert_eq!(go_version("go: not found"), None);
    }

    #[test]
    fn the_version_of_java_is_its_first_number() {
        assert_eq!(java_version("openjdk version \"17.0.15\" 2025-04-15\nmore"), Some(17));
        assert_eq!(java_version("openjdk version \"1.8.0_392\""), Some(1));
        assert_eq!(java_version("java: not found"), None);
        assert!(java_version("") < Some(OLDEST_JAVA));
    }

    #[test]
    fn what_is_missing_is_named() {
        let needs = [Need { name: "a unicorn", packages: &["unicorn"], is_there: || false }];
        assert_eq!(names(&missing(&needs)), "a unicorn");
    }
}
