//! CPU time of processes, from Linux's `/proc`.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::outcome::Failure;

/// Length of the clock tick in `/proc/PID/stat`: the kernel's USER_HZ, 100 a second on every architecture
/// that Rust builds for (proc_pid_stat(5); it is not the kernel's own tick rate).
const TICK: Duration = Duration::from_millis(10);

/// CPU time used between two moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CpuUsed {
    /// By the members together; none when no process ids were given.
    pub(crate) members: Option<Duration>,
    /// By this process; none where there is no `/proc`.
    pub(crate) client: Option<Duration>,
}

/// Counts CPU time from its start to its stop.
pub(crate) struct CpuMeter<'a> {
    pids: &'a [u32],
    members_before: Duration,
    client_before: Option<Duration>,
}

impl<'a> CpuMeter<'a> {
    /// Starts counting for these members and for this process.
    pub(crate) fn start(pids: &'a [u32]) -> Result<Self, Failure> {
        Ok(CpuMeter {
            pids,
            members_before: used_by_all(pids)?,
            client_before: used_by_self(),
        })
    }

    /// Stops counting; fails when a member has ended in between, for its time is lost with it.
    pub(crate) fn stop(self) -> Result<CpuUsed, Failure> {
        let client_after = used_by_self();
        let members = used_by_all(self.pids)?.saturating_sub(self.members_before);
        let client = client_after.zip(self.client_before);
        Ok(CpuUsed {
            members: (!self.pids.is_empty()).then_some(members),
            client: client.map(|(after, before)| after.saturating_sub(before)),
        })
    }
}

/// The most memory that a process has had resident since it began, in bytes.
pub(crate) fn peak_memory(pid: u32) -> Result<u64, Failure> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"));
    let text = text.map_err(Failure::local(format!(
        "reading the memory of process {pid}"
    )))?;
    parse_peak(&text).ok_or_else(|| Failure::Fault(format!("process {pid} tells no memory")))
}

/// `VmHWM` of proc_pid_status(5).
fn parse_peak(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn used_by_self() -> Option<Duration> {
    read_stat(Path::new("/proc/self/stat")).ok()
}

fn used_by_all(pids: &[u32]) -> Result<Duration, Failure> {
    pids.iter().map(|&pid| used_by(pid)).sum()
}

fn used_by(pid: u32) -> Result<Duration, Failure> {
    read_stat(Path::new(&format!("/proc/{pid}/stat"))).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::Usage(format!("no process has the id {pid}")),
        _ => Failure::local(format!("reading the CPU time of process {pid}"))(error),
    })
}

fn read_stat(path: &Path) -> io::Result<Duration> {
    parse_stat(&fs::read_to_string(path)?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// User and system time of all threads, living and ended: fields 14 and 15 of proc_pid_stat(5).
fn parse_stat(text: &str) -> Option<Duration> {
    // Field 2 is the program's name in parentheses, which may itself hold spaces and parentheses.
    let (_, after_name) = text.rsplit_once(')')?;
    let mut times = after_name.split_ascii_whitespace().skip(11);
    let user: u32 = times.next()?.parse().ok()?;
    let system: u32 = times.next()?.parse().ok()?;
    Some(TICK * user.checked_add(system)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETCD: &str = "4711 (etcd) S 1 4711 4711 0 -1 1077936384 9876 0 3 0 1234 567 8 9 20 0 11 0 \
                        424242 11811160064 5000 18446744073709551615 1 1 0 0 0 0 0 0 2143420159 0 0 0 17 1\n";

    #[test]
    fn user_and_system_time_are_added() {
        assert_eq!(parse_stat(ETCD), Some(Duration::from_millis(18_010)));
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_is_skipped() {
        let text = ETCD.replace("(etcd)", "(a) b (c d)");
        assert_eq!(parse_stat(&text), parse_stat(ETCD));
    }

    #[test]
    fn what_is_not_a_stat_line_is_refused() {
        for text in [
            "",
            "4711 etcd S 1",
            "4711 (etcd) S 1 2 3",
            &ETCD.replace("567", "-1"),
        ] {
            assert_eq!(parse_stat(text), None, "{text:?}");
        }
    }

    #[test]
    fn this_process_can_be_read_by_its_id() {
        let before = used_by(std::process::id()).unwrap();
        assert!(used_by_self().unwrap() >= before);
    }

    #[test]
    fn peak_memory_is_read_in_bytes() {
        let status = "Name:\tetcd\nVmPeak:\t 9 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 10 kB\n";
        assert_eq!(parse_peak(status), Some(2 << 20));
        assert_eq!(parse_peak("Name:\tkthreadd\n"), None);
        assert!(peak_memory(std::process::id()).unwrap() > 0);
    }

    #[test]
    fn a_missing_process_is_named() {
        // Above the largest process id that Linux gives out, 2^22.
        let failure = used_by(4_194_305).unwrap_err();
        assert_eq!(failure.to_string(), "no process has the id 4194305");
    }

    #[test]
    fn without_process_ids_only_the_client_is_counted() {
        let used = CpuMeter::start(&[]).unwrap().stop().unwrap();
        assert_eq!(used.members, None);
        assert!(used.client.is_some());
    }
}
