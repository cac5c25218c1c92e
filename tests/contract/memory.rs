//! What a gateway's memory tells somebody who gets hold of it: nothing of those whom it has served, and no core dump.

use crate::draining::RealGateway;
use crate::stage::{SOON, config};
use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use std::os::unix::process::ExitStatusExt as _;

/// W11
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_crashes_leaves_no_core_dump() -> Result<()> {
    // What this process may do, its children may do, unless they give it up.
    let allowed = getrlimit(Resource::Core).maximum;
    setrlimit(Resource::Core, Rlimit { current: allowed, maximum: allowed })?;
    let (_, config) = config()?;
    let mut gateway = RealGateway::start(&config, &[]).await?;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gateway.process.pid()))?;
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).context("no such limit")?;
    assert_eq!(line.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{line}");
    gateway.process.signal(Signal::ABORT)?;
    let status = gateway.process.exit(SOON).await?;
    assert_eq!((status.signal(), status.core_dumped()), (Some(Signal::ABORT.as_raw()), false));
    Ok(())
}

/// What a core dump would show of a process, without the pages that are empty. Takes root: nobody else may look.
#[cfg(feature = "pods")]
pub fn of_process(pid: u32) -> Result<Vec<u8>> {
    use std::os::unix::fs::FileExt as _;
    const PAGE_BYTES: usize = 4096;
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).context("only root may read a gateway's memory")?;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut image = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let range = line.split(' ').next().and_then(|range| range.split_once('-')).context("no range")?;
        let (start, end) = (u64::from_str_radix(range.0, 16)?, u64::from_str_radix(range.1, 16)?);
        let mut bytes = vec![0; (end - start) as usize];
        // The kernel's own pages cannot be read.
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            bytes.chunks(PAGE_BYTES).filter(|page| **page != [0; PAGE_BYTES]).for_each(|page| image.extend(page));
        }
    }
    anyhow::ensure!(image.len() > 1 << 20, "this is not the memory of a gateway: {} bytes", image.len());
    Ok(image)
}
