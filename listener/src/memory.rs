//! How the process takes memory from the kernel.

/// Lets the process keep the memory of requests that are done for those to come. By itself
/// glibc gives large blocks back at once and spreads the others over eight arenas for each
/// processor, and clearing the fresh pages costs the kernel more than all that is done with
/// them: a quarter of the listener's time in large requests. Blocks past 32 MiB come and go
/// as ever.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn keep_freed() {
    // Threads that wait for each other's allocations cost less than memory of each one's own.
    const PROCESSORS_PER_ARENA: usize = 4;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let arenas = processors.div_ceil(PROCESSORS_PER_ARENA) as i32;
    for (parameter, value) in [
        (libc::M_ARENA_MAX, arenas),
        (libc::M_MMAP_THRESHOLD, 32 << 20),
        (libc::M_TRIM_THRESHOLD, 64 << 20),
    ] {
        // SAFETY: decides where memory is taken from and when it is given back, nothing else;
        // a value that the library does not take is ignored.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Other C libraries are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn keep_freed() {}
