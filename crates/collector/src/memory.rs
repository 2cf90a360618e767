//! The memory of the process, as the system counts it.

/// Has the system give this process no huge pages.
///
/// The allocator asks for them. A page of 2 MiB is then there whole as long as any of it is in use, and the
/// kernel's background thread makes such pages of small ones even where all but one were given back
/// (`khugepaged/max_ptes_none`). What had been open at a peak so came back into memory in the course of an hour;
/// at a steady load a quarter of the resident memory was of this kind. CPU per span was the same without.
pub(crate) fn refuse_huge_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay allowed");
    }
}

/// Bytes of the process that are in physical memory, where the system tells.
pub(crate) fn resident_bytes() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        let text = std::fs::read_to_string("/proc/self/statm").ok()?;
        let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    }
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_is_resident() {
        let before = resident_bytes().unwrap();
        let written = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = resident_bytes().unwrap();
        assert!(after >= before + (32 << 20), "{before} {after}");
        drop(written);
    }

    #[test]
    fn huge_pages_are_refused() {
        refuse_huge_pages();
        assert!(rustix::thread::transparent_huge_pages_are_disabled().unwrap());
    }
}
