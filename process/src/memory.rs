//! What a process of ours leaves behind in memory and on disk: nothing that somebody else could use.
//!
//! The allocator below is that of every program that links this crate, because libraries read credentials into buffers
//! of their own (an HTTP server its request heads) that nobody else could wipe. It must never know what it wipes.

use std::alloc::System;
use std::io;
use zeroizing_alloc::ZeroAlloc;

#[global_allocator]
static WIPED_WHEN_GIVEN_BACK: ZeroAlloc<System> = ZeroAlloc(System);

/// Keeps this process from ever writing a core dump, and others of the same user from reading its memory: it holds
/// credentials that are in use (prctl(2), `PR_SET_DUMPABLE`; setrlimit(2), `RLIMIT_CORE`).
///
/// # Errors
/// If the system refuses.
#[cfg(target_os = "linux")]
pub fn forbid_core_dumps() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // The limit does not hold where the system gives dumps to a program.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Does nothing: pods run on Linux.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn forbid_core_dumps() -> io::Result<()> {
    Ok(())
}
